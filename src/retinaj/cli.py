"""The `retinaj` command. The only module that may import all three packages; each command imports what it needs when called."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from retinaj.errors import RetinaJError
from retinaj.network.config import BACKBONES
from retinaj.prediction.detector import DEFAULT_THRESHOLD

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
def predict(
    source: Annotated[Path, typer.Argument(help="An image, or a folder of images.")],
    model: Model,
    output: Annotated[Path, typer.Option(help="Folder for CSV, RoiSet.zip and overlay of each image.")],
    threshold: Threshold = DEFAULT_THRESHOLD,
    overlap: Overlap = None,
) -> None:
    """Detect objects on an image, or on all images of a folder."""
    raise NotImplementedError


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
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # A polite kill is an interruption like Ctrl-C: what was reached is kept.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    app()
