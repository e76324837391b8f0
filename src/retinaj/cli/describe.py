"""The command `retinaj describe`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from retinaj.cli.annotation_options import Classes, ClassFrom, Columns, Format, reading
from retinaj.cli.common import Annotations, Images, Names, progress_bar, say, say_all
from retinaj.cli.plane_options import Axes, Channels, Series, Slices, change_planes, given_planes

if TYPE_CHECKING:
    from rich.table import Table

    from retinaj.describing import Description

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
    Console().print(_table(survey.description))
    for hint in survey.description.hints:
        say(f"- {hint}")
    if output is not None:
        say(f"Report: {output / REPORT_FILE}")


def _table(description: Description) -> Table:
    """Classes with their objects, sizes, crowding and anchors."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    from retinaj.describing.description import table_rows

    sizes = description.sizes
    kind = f"{sizes[0].width} x {sizes[0].height} pixels" if len(sizes) == 1 else f"{len(sizes)} sizes or pixel types"
    table = Table(
        title=f"{description.images:,} images ({kind}), {description.overall.objects:,} objects",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for at, title in enumerate(
        ("class", "objects", "images", "in an\nimage", "width\npixels", "height\npixels", "touch", "fit an\nanchor")
    ):
        table.add_column(title, justify="left" if at == 0 else "right", overflow="fold")
    for each in table_rows(description, _MOST_CLASSES):
        table.add_row(
            escape(each.name),
            f"{each.objects:,} ({each.share:.0%})",
            f"{each.images:,}",
            f"{each.per_image.median:g}",
            f"{each.width.low:.0f}-{each.width.high:.0f}",
            f"{each.height.low:.0f}-{each.height.high:.0f}",
            f"{each.touching:.0%}",
            f"{each.covered:.1%}",
            style="bold" if each is description.overall else None,
        )
    if (more := len(description.classes) - _MOST_CLASSES) > 0:
        table.caption = f"and {more} more classes"
    return table
