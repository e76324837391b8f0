"""The command `retinaj convert`: annotations of any format to any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from retinaj.annotations import FORMATS
from retinaj.cli.annotation_options import Classes, ClassFrom, Columns, Format, reading
from retinaj.cli.common import progress_bar, say
from retinaj.counting import counted


def convert(
    source: Annotated[Path, typer.Argument(help="File or folder of annotations: see --format.")],
    target: Annotated[Path, typer.Argument(help="File or folder to make.")],
    to: Annotated[str, typer.Option(help=f"Format to write: {', '.join(each.name for each in FORMATS)}.")],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images, for their sizes and full names. Some formats need it, and say so."),
    ] = None,
    copy_images: Annotated[
        bool,
        typer.Option(
            "--copy-images",
            help="Copy the images too: into TARGET (for most formats, its images/), or TARGET_images beside it.",
        ),
    ] = False,
    skip_faults: Annotated[
        bool,
        typer.Option(
            "--skip-faults",
            help="Leave out objects that cannot be read, and say which, instead of stopping; not whole files.",
        ),
    ] = False,
    format_name: Format = None,
    classes: Classes = None,
    columns: Columns = None,
    class_from: ClassFrom = "name",
) -> None:
    """Convert annotations from any format to any other, and say what the new one cannot hold. The source stays as it is."""
    from retinaj.convert import convert as run_conversion

    with progress_bar("converting") as progress:
        done = run_conversion(
            source,
            target,
            to,
            reading=replace(reading(format_name, classes, columns, class_from), images=images),
            copy_images=copy_images,
            skip_faults=skip_faults,
            progress=progress,
        )
    for note in done.notes:
        say(f"Note: {note}")
    for fault in done.skipped:
        say(f"Left out: {fault}")
    found = f"{counted(done.objects, 'object')} on {counted(done.images, 'image')}"
    say(f"{found}, read as {done.read_as.title}, {'is' if done.objects == 1 else 'are'} in {target}.")
    if done.image_folder is not None:
        say(f"Their images are in {done.image_folder}.")
    elif done.written_as.next_step:
        say(done.written_as.next_step)
