"""The command `retinaj split`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retinaj.cli.annotation_options import Classes, ClassFrom, Columns, Format, reading
from retinaj.cli.common import Annotations, Images, LastingConsole, Names, say, say_all
from retinaj.cli.plane_options import Axes, Channels, Series, Slices, change_planes, given_planes

if TYPE_CHECKING:
    from rich.table import Table

    from retinaj.splitting import Split

_MOST_CLASSES = 6  # in the table on the terminal; split.json has them all


def split(
    images: Images,
    annotations: Annotations,
    output: Annotated[
        Path, typer.Option(help="Folder to make, with train.txt, validation.txt, test.txt (image names) and split.json.")
    ],
    names: Names = None,
    validation: Annotated[float, typer.Option(help="Share of the images for validation.")] = 0.15,
    test: Annotated[float, typer.Option(help="Share of the images for the test; 0 makes none.")] = 0.15,
    seed: Annotated[int, typer.Option(help="Of chance: another number gives another split.")] = 0,
    group_by: Annotated[
        str | None,
        typer.Option(
            help="Keep images of a plate, patient or well in one part: a regular expression with one group that is searched "
            r"for in their names, such as '^(plate\d+)_', a CSV file with the columns image and group, or the word folder for "
            "the folder they lie in. \\[default: each image on its own]"
        ),
    ] = None,
    format_name: Format = None,
    classes: Classes = None,
    columns: Columns = None,
    class_from: ClassFrom = "name",
    axes: Axes = None,
    series: Series = None,
    channels: Channels = None,
    z: Slices = None,
) -> None:
    """Divide annotated images into training, validation and test lists: by chance, with a share of each class in each."""
    from retinaj.dataset import load_dataset
    from retinaj.files import require_absent
    from retinaj.images.plane_choice import AS_STORED
    from retinaj.splitting import Grouping, split_dataset, write_split

    require_absent(output)
    planes = change_planes(AS_STORED, given_planes(axes, series, channels, z))
    how = reading(format_name, classes, columns, class_from)
    dataset = load_dataset(images, annotations, names=names, reading=how, planes=planes)
    grouping = None if group_by is None else Grouping.parse(group_by)
    done = split_dataset(dataset, images, validation=validation, test=test, seed=seed, grouping=grouping)
    write_split(done, output)
    say_all("Note", (*dataset.notes, *done.notes))
    LastingConsole().print(_table(done))
    say(f"The lists are in {output}. The images stay where they are; nothing was copied.")
    lists = [f"--names {output / 'train.txt'}"] + ([f"--validation {output / 'validation.txt'}"] if validation else [])
    say(f"For `retinaj train`: {' '.join(lists)}")


def _table(split: Split) -> Table:
    """Images, groups and objects of each class in each part."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    counts = {part.name: split.counts(part) for part in split.parts}
    total = {name: sum(each[name] for each in counts.values()) for name in split.class_names}
    shown = sorted(split.class_names, key=lambda name: -total[name])[:_MOST_CLASSES]
    more = len(split.class_names) - len(shown)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("part")
    for title in ("images", *(["groups"] if split.grouping else []), *map(escape, shown)):
        table.add_column(title, justify="right", overflow="fold")
    images = sum(len(part.samples) for part in split.parts)
    for part in split.parts:
        cells = [f"{len(part.samples):,} ({len(part.samples) / images:.0%})"]
        cells += [f"{len(part.groups):,}"] if split.grouping else []
        cells += [f"{counts[part.name][name]:,} ({counts[part.name][name] / max(total[name], 1):.0%})" for name in shown]
        table.add_row(part.name, *cells)
    if more:
        table.caption = f"{more} more classes are in split.json"
    return table
