"""The command `retinaj evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retinaj.cli.annotation_options import Classes, ClassFrom, Columns, Format, reading
from retinaj.cli.common import Annotations, Images, LastingConsole, Names, progress_bar, say, say_all
from retinaj.cli.model_options import Model, Overlap, Threshold, Tiles, open_model
from retinaj.cli.plane_options import Axes, Channels, Series, Slices, change_planes, given_planes
from retinaj.prediction.detector import DEFAULT_THRESHOLD


def evaluate(
    images: Images,
    annotations: Annotations,
    model: Model,
    output: Annotated[Path, typer.Option(help="Folder to make, with evaluation.json, evaluation.md and report.html.")],
    names: Names = None,
    threshold: Threshold = DEFAULT_THRESHOLD,
    overlap: Overlap = None,
    tiles: Tiles = "auto",
    format_name: Format = None,
    classes: Classes = None,
    columns: Columns = None,
    class_from: ClassFrom = "name",
    axes: Axes = None,
    series: Series = None,
    channels: Channels = None,
    z: Slices = None,
) -> None:
    """Measure a model on annotated images: AP by class, a table and a report to look at."""
    from retinaj.evaluation.run import EVALUATION_FILE, REPORT_FILE
    from retinaj.evaluation.run import evaluate as run_evaluation
    from retinaj.files import write_text
    from retinaj.model_folder import TRAINING_FOLDER
    from retinaj.prediction.tiling import parse_tiles
    from retinaj.training.run_folder import images_of_run
    from retinaj_zoo.reading import is_model_folder, locate

    choice = parse_tiles(tiles)
    path = locate(model)
    detector = open_model(path)
    training = path / TRAINING_FOLDER
    history = training / "history.csv"
    with progress_bar("evaluating") as progress:
        evaluation = run_evaluation(
            images,
            annotations,
            detector,
            output,
            names=names,
            threshold=threshold,
            overlap=overlap,
            tiles=choice,
            history=history if history.is_file() else None,
            reading=reading(format_name, classes, columns, class_from),
            planes=change_planes(detector.planes, given_planes(axes, series, channels, z)),
            progress=progress,
        )
    say_all("Note", evaluation.dataset.notes)
    say_all("Warning", (*evaluation.dataset.warnings, *evaluation.warnings))
    LastingConsole().print(evaluation.result.table())
    if is_model_folder(path) and training.is_dir():
        seen = images_of_run(path) & {sample.name for sample in evaluation.dataset.samples}
        if seen:
            say(f"Note: {len(seen)} of these images were used to train this model, which makes the figures flatter it.")
        try:
            write_text(training / EVALUATION_FILE, evaluation.result.to_json() + "\n")
            say(f"The figures were also put into {training}, for the documentation of a package.")
        except OSError as error:
            say(f"Note: the figures could not be put into {training} ({error.strerror}); `retinaj package` needs --evaluation.")
    say(f"Report: {output / REPORT_FILE}")
