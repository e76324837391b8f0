"""The command `retinaj describe`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retinaj.cli.annotation_options import Classes, ClassFrom, Columns, Format, reading
from retinaj.cli.common import Annotations, Images, LastingConsole, Names, progress_bar, say, say_all
from retinaj.cli.plane_options import Axes, Channels, Series, Slices, change_planes, given_planes
from retinaj.counting import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console
    from rich.table import Table

    from retinaj.describing import Description
    from retinaj.describing.description import ClassDescription

_NARROWEST_NAME = 10  # characters of a class name on one line
_WIDEST = 1000  # characters of a table
_MOST_CLASSES = 20  # on the terminal; the report has more


def describe(
    images: Images,
    annotations: Annotations,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder to make, with report.html, description.json and examples.png. Without it only the terminal tells."
        ),
    ] = None,
    names: Names = None,
    format_name: Format = None,
    classes: Classes = None,
    columns: Columns = None,
    class_from: ClassFrom = "name",
    axes: Axes = None,
    series: Series = None,
    channels: Channels = None,
    z: Slices = None,
) -> None:
    """Say what is in annotated images: classes, sizes, crowding, brightness, and what to know before training."""
    from retinaj.dataset import load_dataset
    from retinaj.describing.run import REPORT_FILE
    from retinaj.describing.run import describe as run_description
    from retinaj.files import require_absent
    from retinaj.images.plane_choice import AS_STORED

    if output is not None:
        require_absent(output)
    planes = change_planes(AS_STORED, given_planes(axes, series, channels, z))
    how = reading(format_name, classes, columns, class_from)
    dataset = load_dataset(images, annotations, names=names, reading=how, planes=planes)
    with progress_bar("reading images") as progress:
        survey = run_description(dataset, "/".join(images.resolve().parts[-2:]), output, progress)
    say_all("Note", dataset.notes)
    screen = LastingConsole()
    screen.print(_table(survey.description, screen))
    for hint in survey.description.hints:
        say(f"- {hint}")
    if output is not None:
        say(f"Report: {output / REPORT_FILE}")


# What the table leaves out on a narrow terminal, first the least important; the report has all.
_LEFT_OUT_FIRST = ("touch", "in an\nimage", "images", "fit an\nanchor", "height\npixels", "width\npixels")


def _table(description: Description, on: Console) -> Table:
    """Classes with their objects, sizes, crowding and anchors; as many columns as fit, so that no number is broken."""
    for dropped in range(len(_LEFT_OUT_FIRST)):
        table = _columns(description, _LEFT_OUT_FIRST[:dropped])
        if on.measure(table, options=on.options.update(width=_WIDEST)).minimum <= on.width:  # else it is cut to the width
            return table
    return _columns(description, _LEFT_OUT_FIRST)


def _columns(description: Description, without: Sequence[str]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    from retinaj.describing.description import table_rows

    sizes = description.sizes
    kind = f"{sizes[0].width} x {sizes[0].height} pixels" if len(sizes) == 1 else f"{len(sizes)} sizes or pixel types"
    table = Table(
        title=f"{counted(description.images, 'image')} ({kind}), {counted(description.overall.objects, 'object')}",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    rows = table_rows(description, _MOST_CLASSES)
    longest = max(len(each.name) for each in rows)
    table.add_column("class", overflow="fold", min_width=min(longest, _NARROWEST_NAME))
    numbers: dict[str, Callable[[ClassDescription], str]] = {
        "objects": lambda each: f"{each.objects:,} ({each.share:.0%})",
        "images": lambda each: f"{each.images:,}",
        "in an\nimage": lambda each: f"{each.per_image.median:g}",
        "width\npixels": lambda each: f"{each.width.low:.0f}-{each.width.high:.0f}",
        "height\npixels": lambda each: f"{each.height.low:.0f}-{each.height.high:.0f}",
        "touch": lambda each: f"{each.touching:.0%}",
        "fit an\nanchor": lambda each: f"{each.covered:.1%}",
    }
    shown = {title: words for title, words in numbers.items() if title not in without}
    for title, words in shown.items():
        table.add_column(title, justify="right", no_wrap=True, min_width=max(len(words(each)) for each in rows))
    for each in rows:
        cells = (words(each) for words in shown.values())
        table.add_row(escape(each.name), *cells, style="bold" if each is description.overall else None)
    if (more := len(description.classes) - _MOST_CLASSES) > 0:
        table.caption = f"and {counted(more, 'more class')}"
    return table
