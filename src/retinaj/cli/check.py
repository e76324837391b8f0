"""The command `retinaj check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retinaj.cli.annotation_options import Classes, ClassFrom, Columns, Format, reading
from retinaj.cli.common import Images, LastingConsole, progress_bar, say
from retinaj.cli.plane_options import Axes, Channels, Series, Slices, change_planes, given_planes
from retinaj.counting import counted
from retinaj.files import atomic_folder, require_absent, write_text

if TYPE_CHECKING:
    from retinaj.checking.run import CheckResult

_LIST = "Text file (.txt) with the names of the {} images, or annotations of their own."
PAGE_FILE, JSON_FILE = "check.html", "check.json"


def check(
    images: Images,
    annotations: Annotated[
        list[Path],
        typer.Argument(help="File or folder of annotations: see --format. Several: one for each part of the data."),
    ],
    train: Annotated[
        Path | None, typer.Option("--train", help=f"{_LIST.format('training')} \\[default: all that are in no other]")
    ] = None,
    validation: Annotated[Path | None, typer.Option(help=_LIST.format("validation"))] = None,
    test: Annotated[
        Path | None,
        typer.Option(help=f"{_LIST.format('test')} \\[default for all three: VOC's ImageSets/Main, if it is there]"),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help=f"Folder to make, with {PAGE_FILE} and {JSON_FILE}; or one file, .html or .json.")
    ] = None,
    fix: Annotated[
        Path | None, typer.Option(help="Folder to make, with a corrected copy of the annotations and a list of the changes.")
    ] = None,
    overlap: Annotated[float, typer.Option(help="IoU from which on two boxes are taken for one object.")] = 0.8,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not read the pixels: no search for copies, overlaps and damaged images.")
    ] = False,
    format_name: Format = None,
    classes: Classes = None,
    columns: Columns = None,
    class_from: ClassFrom = "name",
    axes: Axes = None,
    series: Series = None,
    channels: Channels = None,
    z: Slices = None,
) -> None:
    """Look for what is wrong with images and annotations, before training. The exit status is 1 if there are errors."""
    from retinaj.checking.findings import Grade
    from retinaj.checking.parts import TEST, TRAINING, VALIDATION, find_parts
    from retinaj.checking.run import check_dataset
    from retinaj.checking.summary import details, table, totals
    from retinaj.images.plane_choice import AS_STORED

    for target in (report, fix):
        if target is not None:
            require_absent(target)
    given = {name: path for name, path in ((TRAINING, train), (VALIDATION, validation), (TEST, test)) if path is not None}
    parts = find_parts(images, annotations, given)
    planes = change_planes(AS_STORED, given_planes(axes, series, channels, z))
    with progress_bar("reading and comparing") as progress:
        result = check_dataset(
            images,
            parts,
            reading=reading(format_name, classes, columns, class_from),
            planes=planes,
            same_object=overlap,
            compare=not quick,
            progress=progress,
        )
    report_at = _write_report(report, result) if report is not None else None  # first: who pipes may stop listening
    if result.findings:
        output = LastingConsole()
        for line in details(result):
            output.print(line, highlight=False, markup=False, soft_wrap=True)
        output.print(table(result))
    for line in totals(result):
        say(line)
    if report_at is not None:
        say(f"Report: {report_at}")
    if fix is not None:
        _write_fixed(fix, result)
    if result.graded()[Grade.ERROR]:
        raise typer.Exit(1)


def _write_report(target: Path, result: CheckResult) -> Path:
    from retinaj.checking.summary import to_json
    from retinaj.report.check_page import check_page

    if target.suffix.lower() == ".json":
        write_text(target, to_json(result))
    elif target.suffix.lower() in (".html", ".htm"):
        write_text(target, check_page(result))
    else:
        with atomic_folder(target) as folder:
            write_text(folder / PAGE_FILE, check_page(result))
            write_text(folder / JSON_FILE, to_json(result))
        return target / PAGE_FILE
    return target


def _write_fixed(target: Path, result: CheckResult) -> None:
    from retinaj.checking.fix import CHANGES_TEXT, write_fixed

    fixed = write_fixed(result, target)
    for line in fixed.losses:
        say(f"Note: {line}")
    if fixed.changes:
        say(f"Corrected copy: {target}, with {counted(len(fixed.changes), 'change')}.")
    else:
        say(f"There is nothing that RetinaJ can correct by itself, so that {target} was not written: use the originals.")
    if fixed.left:
        left = counted(len(fixed.left), "error or warning is", "errors and warnings are")
        say(f"{left} left for you to decide: see {target / CHANGES_TEXT if fixed.changes else 'above'}.")
