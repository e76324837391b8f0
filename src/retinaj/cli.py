"""The `retinaj` command. The only module that may import all three packages; each command imports what it needs when called."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from retinaj.annotation_options import Classes, ClassFrom, Columns, Format, reading
from retinaj.augment_command import augment
from retinaj.check_command import check
from retinaj.command_line import Annotations, Images, Names, console, progress_bar, say, with_plain_errors
from retinaj.convert_command import convert
from retinaj.describe_command import describe
from retinaj.errors import RetinaJError
from retinaj.foreign_options import (
    DEFAULT_MAX_BOXES,
    DEFAULT_RANGE,
    ForeignClasses,
    ForeignFirstLabel,
    ForeignMaxBoxes,
    ForeignMean,
    ForeignMultiple,
    ForeignOutputs,
    ForeignRange,
    ForeignStd,
    FromOnnx,
    class_list,
    numbers,
    pixel_values,
    refuse_foreign_options,
)
from retinaj.plane_options import Axes, Channels, Series, Slices, change_planes, given_planes
from retinaj.prediction.detector import DEFAULT_THRESHOLD, Detector, limit_words
from retinaj.split_command import split
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
app.command()(with_plain_errors(check))
app.command()(with_plain_errors(describe))
app.command()(with_plain_errors(split))
app.command()(with_plain_errors(convert))
app.command()(with_plain_errors(augment))

_MODEL_FORMS = "model folder, or a package by `retinaj package`: zip, folder, rdf.yaml, or https://…zip#sha256=…"
Model = Annotated[str, typer.Option(help=f"A {_MODEL_FORMS}.")]
Threshold = Annotated[float, typer.Option(help="Lowest score of a box that is kept, above 0 up to 1.")]
Overlap = Annotated[
    float | None,
    typer.Option(help="Of two boxes of a class with a higher IoU, the lower-scored is dropped. \\[default: the model's, 0.5]"),
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
    from retinaj.training.run_folder import images_of_run
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
            reading=reading(format_name, classes, columns, class_from),
            planes=change_planes(detector.planes, given_planes(axes, series, channels, z)),
            progress=progress,
        )
    for note in evaluation.dataset.notes:
        say(f"Note: {note}")
    for warning in (*evaluation.dataset.warnings, *evaluation.warnings):
        say(f"Warning: {warning}")
    Console().print(evaluation.result.table())
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


@app.command()
@with_plain_errors
def predict(
    source: Annotated[Path, typer.Argument(help="An image, or a folder of images.")],
    model: Model,
    output: Annotated[Path, typer.Option(help="Folder for CSV, RoiSet.zip and overlay picture of each image.")],
    threshold: Threshold = DEFAULT_THRESHOLD,
    overlap: Overlap = None,
    axes: Axes = None,
    series: Series = None,
) -> None:
    """Detect objects on an image, or on all images of a folder."""
    from retinaj.prediction.batch import predict as run_prediction

    detector = _open_model(model)
    with progress_bar("detecting") as progress:
        outcomes = run_prediction(
            source, detector, output, threshold=threshold, overlap=overlap, axes=axes, series=series, progress=progress
        )
    failed = [outcome for outcome in outcomes if outcome.error]
    boxes = sum(sum(outcome.counts.values()) for outcome in outcomes)
    skipped = sum(outcome.skipped for outcome in outcomes)
    earlier = f" ({skipped} of them earlier)" if skipped else ""
    say(f"{boxes} boxes on {len(outcomes) - len(failed)} images{earlier}, in {output}.")
    full = [outcome.source for outcome in outcomes if outcome.full]
    if full:
        say(f"Warning: on {len(full)} images, such as {full[0].name}, there are {limit_words(detector)}.")
    if failed:
        for outcome in failed:
            say(f"Failed: {outcome.error}")
        raise RetinaJError(f"{len(failed)} of {len(outcomes)} images could not be used; see above.")


@app.command()
@with_plain_errors
def info(
    model: Annotated[str, typer.Argument(help=f"A {_MODEL_FORMS}.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything that is known, as JSON.")] = False,
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
    output: Annotated[Path, typer.Option(help="Zip file to make; it must not exist.")],
    model: Annotated[Path | None, typer.Argument(help="Model folder that `retinaj train` made.")] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(help="File that says the authors, licence, citations and so on; `retinaj metadata` makes one to fill in."),
    ] = None,
    interactive: Annotated[
        bool,
        typer.Option(
            "--interactive", help="Ask for what --metadata leaves open, and keep the answers in a file for --metadata."
        ),
    ] = False,
    image: Annotated[
        Path | None,
        typer.Option(
            help="Image to show and to test with; it becomes public. \\[default: a validation image, which training kept]"
        ),
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(help="Folder that `retinaj evaluate` wrote. \\[default: its last figures of this model, if any]"),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weight formats, with commas between: onnx, keras_v3, tensorflow_saved_model_bundle. \\[default: all]"
        ),
    ] = None,
    from_onnx: FromOnnx = None,
    outputs: ForeignOutputs = None,
    classes: ForeignClasses = None,
    first_label: ForeignFirstLabel = None,
    pixel_range: ForeignRange = DEFAULT_RANGE,
    mean: ForeignMean = None,
    std: ForeignStd = None,
    multiple: ForeignMultiple = None,
    max_boxes: ForeignMaxBoxes = DEFAULT_MAX_BOXES,
) -> None:
    """Write a model as a package for the BioImage Model Zoo (one zip, for Fiji and Python too), and test it."""
    from retinaj_zoo.metadata import Metadata, read_metadata
    from retinaj_zoo.weight_formats import WEIGHT_FORMATS, choose_formats

    formats = WEIGHT_FORMATS if weights is None else choose_formats(weights.split(","))
    details = Metadata() if metadata is None else read_metadata(metadata)
    if from_onnx is not None:
        from retinaj_zoo.foreign_packaging import ForeignOptions, package_foreign

        if model is not None or outputs is None or image is None or weights is not None or interactive:
            raise RetinaJError(
                "--from-onnx takes the place of MODEL, needs --outputs and --image, and knows neither --weights nor "
                "--interactive; see --help."
            )
        options = ForeignOptions(
            outputs=outputs,
            class_names=class_list(classes),
            first_label=first_label,
            pixel_range=pixel_values(pixel_range),
            mean=numbers("mean", mean),
            std=numbers("std", std),
            multiple=multiple,
            max_detections=max_boxes,
        )
        package_foreign(from_onnx, output, options=options, image=image, metadata=details, log=say)
        return
    refuse_foreign_options(
        outputs=outputs,
        classes=classes,
        first_label=first_label,
        pixel_range=pixel_range,
        mean=mean,
        std=std,
        multiple=multiple,
        max_boxes=max_boxes,
    )
    if model is None:
        raise RetinaJError("MODEL is missing: the model folder to package, or --from-onnx FILE.")
    if interactive:
        from retinaj_zoo.questionnaire import complete_interactively

        details = complete_interactively(details, model, output, console)
    from retinaj_zoo.packaging import package_model  # TensorFlow, only now

    package_model(model, output, image=image, evaluation=evaluation, metadata=details, weights=formats, log=say)


@app.command()
@with_plain_errors
def metadata(
    output: Annotated[Path, typer.Argument(help="metadata.yaml to make.")],
) -> None:
    """Write a metadata.yaml to fill in, for `retinaj package --metadata`: every field with what it is for and an example."""
    from retinaj.files import require_absent, write_text
    from retinaj_zoo.metadata_file import metadata_text

    require_absent(output)
    write_text(output, metadata_text())
    say(f"Fill in {output} and give it as --metadata to `retinaj package`.")


@app.command()
@with_plain_errors
def publish(
    package: Annotated[Path, typer.Argument(help="Zip file that `retinaj package` made.")],
    token: Annotated[
        str | None,
        typer.Option(
            help="Your upload token for bioimage.io. \\[default: the environment variable BIOIMAGEIO_HYPHA_UPLOAD_TOKEN]"
        ),
    ] = None,
    check_only: Annotated[bool, typer.Option("--check-only", help="Only go through the checklist; nothing is sent.")] = False,
    by_hand: Annotated[
        bool, typer.Option("--by-hand", help="Say how to upload the package on the zoo's web page; nothing is sent.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Upload without asking for a confirmation.")] = False,
) -> None:
    """Go through the BioImage Model Zoo's checklist on this computer, then upload a package for review."""
    from retinaj_zoo.checklist import zoo_checklist
    from retinaj_zoo.publishing import TOKEN_STEPS, TOKEN_VARIABLE, page_steps, upload_package

    say(f"Going through the zoo's checklist with {package} …")
    items = zoo_checklist(package)
    for item in items:
        say(f"{item.level:>6}  {item.subject}: {item.detail}")
    musts = sum(item.level == "must" for item in items)
    if musts:
        raise RetinaJError(f"{musts} of these must be changed before the zoo can take {package}; nothing was sent.")
    if check_only:
        return
    if by_hand:
        for number, step in enumerate(page_steps(package), 1):
            say(f"{number}. {step}")
        return
    token = token or os.environ.get(TOKEN_VARIABLE)
    if not token:
        for number, step in enumerate(TOKEN_STEPS, 1):
            say(f"{number}. {step}")
        raise RetinaJError(
            f"{TOKEN_VARIABLE} is not set and --token not given; nothing was sent. The page needs none: --by-hand."
        )
    if not (yes or typer.confirm(f"Upload {package} to bioimage.io, where it becomes public after review?")):
        raise RetinaJError("Nothing was sent.")
    say(f"In review, as a draft: {upload_package(package, token, say)}")


@app.command()
@with_plain_errors
def imagej(
    macro: Annotated[Path | None, typer.Argument(help="Macro to run without a window. \\[default: open the window]")] = None,
    arguments: Annotated[list[str] | None, typer.Argument(help="What the macro gets from getArgument(), one a line.")] = None,
    fiji: Annotated[Path | None, typer.Option(help="Fiji folder to use instead of the embedded ImageJ.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="PyImageJ endpoint to use instead, such as sc.fiji:fiji.")] = None,
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
    data: Annotated[
        Path | None, typer.Option(help="PASCAL VOC folder with ImageSets/Main. \\[default: example images]")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder to make. \\[default: retinaj-demo]")] = None,
    epochs: Annotated[int | None, typer.Option(help="\\[default: chosen for the data]")] = None,
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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a file name that the terminal cannot show must not end a run
    signal.signal(signal.SIGTERM, _interrupt)  # a polite kill is like Ctrl-C: what was reached is kept
    app()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
