"""The `retinaj` command. The only module that may import all three packages; each command imports what it needs when called."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from retinaj.command_line import Annotations, Images, Names, progress_bar, say, with_plain_errors
from retinaj.errors import RetinaJError
from retinaj.foreign_options import (
    ForeignClasses,
    ForeignFirstLabel,
    ForeignMean,
    ForeignMultiple,
    ForeignOutputs,
    ForeignRange,
    ForeignStd,
    FromOnnx,
    class_list,
    numbers,
    pixel_values,
)
from retinaj.prediction.detector import DEFAULT_THRESHOLD, Detector
from retinaj.train_command import train

if TYPE_CHECKING:
    from retinaj.training.start import StartingPoint


def _starting_point(model: str) -> StartingPoint:
    """The weights of a model folder or a package, for training to start from."""
    from retinaj_zoo.starting_point import starting_point

    return starting_point(model)


app = typer.Typer(
    name="retinaj",
    help="RetinaNet detection for microscopy: train, evaluate, predict, package for the BioImage Model Zoo, use in ImageJ.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command(context_settings={"obj": _starting_point})(with_plain_errors(train))

_MODEL_FORMS = "model folder, or a package by `retinaj package`: zip, folder, rdf.yaml, or https://…zip#sha256=…"
Model = Annotated[str, typer.Option(help=f"A {_MODEL_FORMS}.")]
Threshold = Annotated[float, typer.Option(help="Lowest score of a box that is kept, above 0 up to 1.")]
Overlap = Annotated[
    float | None,
    typer.Option(help="Of two boxes of a class with a higher IoU, the lower-scored is dropped. [default: the model's, 0.5]"),
]


@app.command()
@with_plain_errors
def evaluate(
    images: Images,
    annotations: Annotations,
    model: Model,
    output: Annotated[Path, typer.Option(help="Folder to make, with evaluation.json, evaluation.md and report.html.")],
    names: Names = None,
    threshold: Threshold = DEFAULT_THRESHOLD,
    overlap: Overlap = None,
) -> None:
    """Measure a model on annotated images: AP by class, a table and a report to look at."""
    from retinaj.evaluation.run import EVALUATION_FILE, REPORT_FILE
    from retinaj.evaluation.run import evaluate as run_evaluation
    from retinaj.files import write_text
    from retinaj.model_folder import TRAINING_FOLDER
    from retinaj_zoo.reading import is_model_folder, locate

    path = locate(model)
    detector = _open_model(path)
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
            history=history if history.is_file() else None,
            progress=progress,
        )
    for note in evaluation.dataset.notes:
        say(f"Note: {note}")
    Console().print(evaluation.result.table())
    if is_model_folder(path) and training.is_dir():
        write_text(training / EVALUATION_FILE, evaluation.result.to_json() + "\n")
        say(f"The figures were also put into {training}, for the documentation of a package.")
    say(f"Report: {output / REPORT_FILE}")


@app.command()
@with_plain_errors
def predict(
    source: Annotated[Path, typer.Argument(help="An image, or a folder of images.")],
    model: Model,
    output: Annotated[Path, typer.Option(help="Folder for CSV, RoiSet.zip and overlay picture of each image.")],
    threshold: Threshold = DEFAULT_THRESHOLD,
    overlap: Overlap = None,
) -> None:
    """Detect objects on an image, or on all images of a folder."""
    from retinaj.prediction.batch import predict as run_prediction

    with progress_bar("detecting") as progress:
        outcomes = run_prediction(source, _open_model(model), output, threshold=threshold, overlap=overlap, progress=progress)
    failed = [outcome for outcome in outcomes if outcome.error]
    boxes = sum(sum(outcome.counts.values()) for outcome in outcomes)
    skipped = sum(outcome.skipped for outcome in outcomes)
    earlier = f" ({skipped} of them earlier)" if skipped else ""
    say(f"{boxes} boxes on {len(outcomes) - len(failed)} images{earlier}, in {output}.")
    if failed:
        for outcome in failed:
            say(f"Failed: {outcome.error}")
        raise RetinaJError(f"{len(failed)} of {len(outcomes)} images could not be used; see above.")


@app.command()
@with_plain_errors
def info(
    model: Annotated[str, typer.Argument(help=f"A {_MODEL_FORMS}.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show what a model is: classes, input, training, AP, licence, authors, weights."""
    from rich.markup import escape
    from rich.table import Table

    from retinaj_zoo.info import describe_model

    found = describe_model(model)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    table = Table(box=None, show_header=False)
    for label, text in found.lines():
        table.add_row(label, escape(text))
    Console().print(table)


@app.command()
@with_plain_errors
def package(
    output: Annotated[Path, typer.Option(help="Zip file to make.")],
    model: Annotated[Path | None, typer.Argument(help="Model folder; none with --from-onnx.")] = None,
    metadata: Annotated[
        Path | None, typer.Option(help="metadata.yaml: authors, licence, citations, ... see docs/packaging.md.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="Image for test, cover and sample. [default: one that training kept]")
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option(help="Folder of `retinaj evaluate`. [default: the last one of this model]")
    ] = None,
    from_onnx: FromOnnx = None,
    outputs: ForeignOutputs = None,
    classes: ForeignClasses = None,
    first_label: ForeignFirstLabel = None,
    pixel_range: ForeignRange = "0,1",
    mean: ForeignMean = None,
    std: ForeignStd = None,
    multiple: ForeignMultiple = None,
) -> None:
    """Write a bioimage.io package with keras_v3, ONNX and SavedModel weights, and test it."""
    from retinaj_zoo.metadata import read_metadata
    from retinaj_zoo.packaging import package_model

    details = None if metadata is None else read_metadata(metadata)
    if from_onnx is not None:
        from retinaj_zoo.foreign_packaging import ForeignOptions, package_foreign
        from retinaj_zoo.metadata import Metadata

        if model is not None or outputs is None or image is None:
            raise RetinaJError("--from-onnx takes the place of MODEL, and needs --outputs and --image; see --help.")
        options = ForeignOptions(
            outputs=outputs,
            class_names=class_list(classes),
            first_label=first_label,
            pixel_range=pixel_values(pixel_range),
            mean=numbers("mean", mean),
            std=numbers("std", std),
            multiple=multiple,
        )
        package_foreign(from_onnx, output, options=options, image=image, metadata=details or Metadata(), log=say)
        return
    if model is None:
        raise RetinaJError("MODEL is missing: the model folder to package, or --from-onnx FILE.")
    package_model(model, output, image=image, evaluation=evaluation, metadata=details, log=say)


@app.command()
@with_plain_errors
def imagej(
    macro: Annotated[Path | None, typer.Argument(help="Macro to run without a window. [default: open the window]")] = None,
    arguments: Annotated[list[str] | None, typer.Argument(help="What the macro gets from getArgument(), one a line.")] = None,
    fiji: Annotated[Path | None, typer.Option(help="Fiji folder to use instead of the embedded ImageJ.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="PyImageJ endpoint to use instead, such as sc.fiji:fiji:2.16.0.")] = None,
) -> None:
    """Run a macro in ImageJ with `RetinaJ Detect...`, or open ImageJ's window with it in the Plugins menu."""
    import retinaj_bridge

    if macro is None:
        retinaj_bridge.open_window(fiji=fiji, endpoint=endpoint)
    else:
        retinaj_bridge.run_macro(macro, arguments or [], fiji=fiji, endpoint=endpoint)


@app.command()
@with_plain_errors
def demo(
    data: Annotated[Path | None, typer.Option(help="PASCAL VOC folder with ImageSets/Main. [default: example images]")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder to make. [default: retinaj-demo]")] = None,
    epochs: Annotated[int | None, typer.Option(help="[default: chosen for the data]")] = None,
) -> None:
    """Train, evaluate, package and test a model, and let an ImageJ macro put its boxes into the ROI Manager."""
    from retinaj.demo import run_demo

    run_demo(data, output, epochs)


@app.command()
@with_plain_errors
def example_data(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    seed: Annotated[int, typer.Option(help="Of the images.")] = 0,
) -> None:
    """Draw a small data set of microscopy-like images with PASCAL VOC annotations, to look at and to train on."""
    from retinaj.example_data import make_example_data

    make_example_data(folder, seed=seed)
    say(f"Images, annotations and lists are in {folder}.")


def _open_model(path: Path | str) -> Detector:
    """A model folder or a package, at a path or a URL."""
    from retinaj_zoo import open_model

    return open_model(path)


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, _interrupt)  # a polite kill is like Ctrl-C: what was reached is kept
    app()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
