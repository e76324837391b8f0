"""The `retinaj` command. The only module that may import all three packages; each command imports what it needs when called."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from retinaj.errors import RetinaJError
from retinaj.network.config import BACKBONES
from retinaj.prediction.detector import DEFAULT_THRESHOLD, Detector

app = typer.Typer(
    name="retinaj",
    help="RetinaNet detection for microscopy: train, evaluate, predict, package for the BioImage Model Zoo, use in ImageJ.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
_console = Console(stderr=True)

Images = Annotated[Path, typer.Argument(help="Folder of images (PNG, JPEG, TIFF).")]
Annotations = Annotated[Path, typer.Argument(help="Folder of PASCAL VOC XML files, or one COCO JSON file.")]
Names = Annotated[Path | None, typer.Option(help="Text file with the names of the images to use, one a line. [default: all]")]
Model = Annotated[Path, typer.Option(help="Model folder, or a bioimage.io package (zip) made by `retinaj package`.")]
Threshold = Annotated[float, typer.Option(help="Lowest score of a box that is kept, above 0 up to 1.")]
Overlap = Annotated[
    float | None,
    typer.Option(help="Of two boxes of a class with a higher IoU, the lower-scored is dropped. [default: the model's, 0.5]"),
]


def _command(function: Callable[..., None]) -> Callable[..., None]:
    """Register a command whose errors, where the user can put them right, are one line and not a traceback."""

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> None:
        try:
            function(*args, **options)
        except RetinaJError as error:
            _console.print(f"Error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as interruption:
            raise typer.Exit(130) from interruption

    return app.command()(run)


def _backbone(value: str | None) -> str | None:
    if value is not None and value not in BACKBONES:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(BACKBONES)}.")
    return value


@_command
def train(
    images: Images,
    annotations: Annotations,
    output: Annotated[Path, typer.Option(help="Model folder to make.")],
    names: Names = None,
    validation: Annotated[
        str | None,
        typer.Option(help="Share of the images (0.2), or a text file of names, or a COCO JSON file. [default: 0.2]"),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(BACKBONES)}. [default: light]", callback=_backbone)
    ] = None,
    imagenet_weights: Annotated[
        bool, typer.Option("--imagenet-weights", help="Start the backbone from ImageNet weights (downloaded once).")
    ] = False,
    epochs: Annotated[int | None, typer.Option(help="[default: 40]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Training windows in a step. [default: 4]")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest, after warm-up. [default: 0.001]")] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random. [default: 0]")] = None,
    box_loss: Annotated[Literal["giou", "smooth_l1"] | None, typer.Option(help="[default: giou]")] = None,
    assignment: Annotated[Literal["atss", "iou"] | None, typer.Option(help="[default: atss]")] = None,
    focal_alpha: Annotated[float | None, typer.Option(help="Weight of objects in the class loss. [default: 0.25]")] = None,
    focal_gamma: Annotated[float | None, typer.Option(help="Focus on what is scored badly. [default: 2]")] = None,
    class_weight: Annotated[float | None, typer.Option(help="Of the class loss. [default: 1]")] = None,
    box_weight: Annotated[float | None, typer.Option(help="Of the localisation loss. [default: 2]")] = None,
    levels: Annotated[
        str | None, typer.Option(help="First and last pyramid level, as in 3-7. [default: fitted to the boxes]")
    ] = None,
    downsampling: Annotated[
        int | None, typer.Option(help="Average images down by 1, 2, 4 or 8. [default: fitted to the boxes]")
    ] = None,
    window: Annotated[
        int | None, typer.Option(help="Side of the training windows, downsampled pixels. [default: fitted to the boxes]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the interrupted run in OUTPUT.")] = False,
) -> None:
    """Train a model on annotated images."""
    from retinaj.training.run_folder import load_run
    from retinaj.training.settings import TrainingSettings

    share, validation_list = _validation(validation)
    given: dict[str, Any] = {
        "backbone": backbone,
        "imagenet_weights": imagenet_weights or None,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "validation": share,
        "seed": seed,
        "box_loss": box_loss,
        "assignment": assignment,
        "focal_alpha": focal_alpha,
        "focal_gamma": focal_gamma,
        "class_weight": class_weight,
        "box_weight": box_weight,
        "levels": _levels(levels),
        "downsampling": downsampling,
        "window": window,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    base = load_run(output).record.training.settings.model_dump() if resume else {}
    settings = _checked(TrainingSettings, base | chosen)

    from retinaj.training.train import train as run_training  # TensorFlow, only now

    run_training(
        images,
        annotations,
        output,
        names=names,
        validation=validation_list,
        settings=settings,
        resume=resume,
        console=_console,
    )


@_command
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

    detector = _open_model(model)
    training = model / TRAINING_FOLDER
    history = training / "history.csv"
    with _progress("evaluating") as progress:
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
        _say(f"Note: {note}")
    Console().print(evaluation.result.table())
    if training.is_dir():
        write_text(training / EVALUATION_FILE, evaluation.result.to_json() + "\n")
        _say(f"The figures were also put into {training}, for the documentation of a package.")
    _say(f"Report: {output / REPORT_FILE}")


@_command
def predict(
    source: Annotated[Path, typer.Argument(help="An image, or a folder of images.")],
    model: Model,
    output: Annotated[Path, typer.Option(help="Folder for CSV, RoiSet.zip and overlay picture of each image.")],
    threshold: Threshold = DEFAULT_THRESHOLD,
    overlap: Overlap = None,
) -> None:
    """Detect objects on an image, or on all images of a folder."""
    from retinaj.prediction.batch import predict as run_prediction

    with _progress("detecting") as progress:
        outcomes = run_prediction(source, _open_model(model), output, threshold=threshold, overlap=overlap, progress=progress)
    failed = [outcome for outcome in outcomes if outcome.error]
    boxes = sum(sum(outcome.counts.values()) for outcome in outcomes)
    skipped = sum(outcome.skipped for outcome in outcomes)
    earlier = f" ({skipped} of them earlier)" if skipped else ""
    _say(f"{boxes} boxes on {len(outcomes) - len(failed)} images{earlier}, in {output}.")
    if failed:
        for outcome in failed:
            _say(f"Failed: {outcome.error}")
        raise RetinaJError(f"{len(failed)} of {len(outcomes)} images could not be used; see above.")


@_command
def package(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    output: Annotated[Path, typer.Option(help="Zip file to make.")],
    metadata: Annotated[
        Path | None, typer.Option(help="metadata.yaml: authors, licence, citations, ... see docs/packaging.md.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="Image for test, cover and sample. [default: one that training kept]")
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option(help="Folder of `retinaj evaluate`. [default: the last one of this model]")
    ] = None,
) -> None:
    """Write a bioimage.io package with keras_v3, ONNX and SavedModel weights, and test it."""
    from retinaj_zoo.metadata import read_metadata
    from retinaj_zoo.packaging import package_model

    details = None if metadata is None else read_metadata(metadata)
    package_model(model, output, image=image, evaluation=evaluation, metadata=details, log=_say)


@_command
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


@_command
def demo(
    data: Annotated[Path | None, typer.Option(help="PASCAL VOC folder with ImageSets/Main. [default: example images]")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder to make. [default: retinaj-demo]")] = None,
    epochs: Annotated[int | None, typer.Option(help="[default: chosen for the data]")] = None,
) -> None:
    """Train, evaluate, package and test a model, and let an ImageJ macro put its boxes into the ROI Manager."""
    from retinaj.demo import run_demo

    run_demo(data, output, epochs)


@_command
def example_data(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    seed: Annotated[int, typer.Option(help="Of the images.")] = 0,
) -> None:
    """Draw a small data set of microscopy-like images with PASCAL VOC annotations, to look at and to train on."""
    from retinaj.example_data import make_example_data

    make_example_data(folder, seed=seed)
    _say(f"Images, annotations and lists are in {folder}.")


def _open_model(path: Path) -> Detector:
    """A model folder or a package."""
    from retinaj_zoo import open_model

    return open_model(path)


@contextmanager
def _progress(what: str) -> Generator[Callable[[int, int], None]]:
    """A bar with an estimate, on a terminal; yields what to call with (done, in all)."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console, transient=True, disable=not _console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _say(line: str) -> None:
    _console.print(line, highlight=False, markup=False, soft_wrap=True)


def _validation(value: str | None) -> tuple[float | None, Path | None]:
    """A share, or a list of names."""
    if value is None:
        return None, None
    try:
        return float(value), None
    except ValueError:
        return None, Path(value)


def _levels(value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    first, separator, last = value.partition("-")
    if not (separator and first.isdigit() and last.isdigit() and int(first) <= int(last)):
        raise RetinaJError(f"--levels is {value!r}; expected the first and last pyramid level, such as 3-7.")
    return int(first), int(last)


def _checked(kind: Any, values: dict[str, Any]) -> Any:
    """Settings from options, or the one option that cannot be.

    Raises:
        RetinaJError: naming the option, its value and what was expected.
    """
    from pydantic import ValidationError

    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise RetinaJError(f"--{option} is {first['input']!r}: {first['msg']}.") from error


def main() -> None:
    """Run the command line."""
    # A polite kill is an interruption like Ctrl-C: what was reached is kept.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    app()
