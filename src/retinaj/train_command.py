"""The command `retinaj train`: options to settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retinaj.annotation_options import Classes, ClassFrom, Columns, Format, reading
from retinaj.augmentation import AugmentationConfig
from retinaj.augmentation.strengths import list_strengths, parse_strengths
from retinaj.command_line import Annotations, Images, Names, Validation, console, validation_choice
from retinaj.errors import RetinaJError
from retinaj.network.config import BACKBONES
from retinaj.plane_options import Axes, Channels, Series, Slices, change_planes, given_planes

Augment = Annotated[
    list[str] | None,
    typer.Option(
        help="How training windows vary, as in 'rotate=30 blur=1.5 mosaic=0.5'; 'none' turns everything off first. Names, "
        "ranges and defaults:\n\n" + "\n\n".join(list_strengths(AugmentationConfig()))
    ),
]


def _backbone(value: str | None) -> str | None:
    if value is not None and value not in BACKBONES:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(BACKBONES)}.")
    return value


def train(
    context: typer.Context,
    images: Images,
    annotations: Annotations,
    output: Annotated[Path, typer.Option(help="Model folder to make.")],
    names: Names = None,
    validation: Validation = None,
    backbone: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(BACKBONES)}. [default: light]", callback=_backbone)
    ] = None,
    imagenet_weights: Annotated[
        bool, typer.Option("--imagenet-weights", help="Start the backbone from ImageNet weights (downloaded once).")
    ] = False,
    weights_from: Annotated[
        str | None,
        typer.Option(help="Start from this model: a model folder, or a package (zip, folder, rdf.yaml, https://…#sha256=…)."),
    ] = None,
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
    augment: Augment = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the interrupted run in OUTPUT.")] = False,
    format_name: Format = None,
    classes: Classes = None,
    columns: Columns = None,
    class_from: ClassFrom = "name",
    axes: Axes = None,
    series: Series = None,
    channels: Channels = None,
    z: Slices = None,
) -> None:
    """Train a model on annotated images."""
    from retinaj.training.run_folder import load_run
    from retinaj.training.settings import TrainingSettings

    share, validation_list = validation_choice(validation)
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
    # The command line knows how to read packages, the core does not: see retinaj.cli.
    start = context.obj(weights_from) if weights_from is not None else None
    tied = start.settings() if start is not None else {}
    base = load_run(output).record.training.settings.model_dump() if resume else tied
    if augment:
        recorded = base.get("augmentation")
        chosen["augmentation"] = parse_strengths(
            augment, AugmentationConfig() if recorded is None else AugmentationConfig(**recorded)
        )
    settings = _checked(TrainingSettings, base | chosen)
    planes = change_planes(settings.planes, given_planes(axes, series, channels, z))
    settings = settings.model_copy(update={"planes": planes})

    from retinaj.training.train import train as run_training  # TensorFlow, only now

    run_training(
        images,
        annotations,
        output,
        names=names,
        validation=validation_list,
        settings=settings,
        reading=reading(format_name, classes, columns, class_from),
        start=start,
        resume=resume,
        console=console,
    )


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
