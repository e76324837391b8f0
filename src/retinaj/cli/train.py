"""The command `retinaj train`: options to settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retinaj.augmentation import AugmentationConfig
from retinaj.augmentation.strengths import list_strengths, parse_strengths
from retinaj.cli.annotation_options import Classes, ClassFrom, Columns, Format, reading
from retinaj.cli.common import Annotations, Images, Names, Validation, console, say, validation_choice
from retinaj.cli.plane_options import Axes, Channels, Series, Slices, change_planes, given_planes
from retinaj.errors import RetinaJError
from retinaj.network.config import BACKBONES

Augment = Annotated[
    list[str] | None,
    typer.Option(
        help="How training windows vary, as in 'rotate=30 blur=1.5 mosaic=0.5'; 'none' turns everything off first. Names, "
        "ranges and defaults:\n\n" + "\n\n".join(list_strengths(AugmentationConfig()))
    ),
]

_PANEL = "How the network learns"
_NETWORK = "The network"


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
        str | None, typer.Option(help=f"One of {', '.join(BACKBONES)}. \\[default: light]", callback=_backbone)
    ] = None,
    imagenet_weights: Annotated[
        bool, typer.Option("--imagenet-weights", help="Start the backbone from ImageNet weights (downloaded once).")
    ] = False,
    weights_from: Annotated[
        str | None,
        typer.Option(help="Start from this model: a model folder, or a package (zip, folder, rdf.yaml, https://…#sha256=…)."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Train for about this long: fits the number of epochs. \\[default: 35]")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="\\[default: as many as fit into --minutes on this machine]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Training windows in a step. \\[default: 4]")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop when validation AP has not risen for so many epochs. \\[default: never]")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest, after warm-up. \\[default: 0.001]")] = None,
    optimizer: Annotated[
        Literal["adamw", "adam", "sgd"] | None, typer.Option(help="\\[default: adamw]", rich_help_panel=_PANEL)
    ] = None,
    schedule: Annotated[
        Literal["cosine", "constant", "step", "plateau"] | None,
        typer.Option(help="How the learning rate goes on after warm-up. \\[default: cosine]", rich_help_panel=_PANEL),
    ] = None,
    plateau: Annotated[
        int | None,
        typer.Option(
            help="With that schedule, epochs without gain before the rate is halved. \\[default: 5]", rich_help_panel=_PANEL
        ),
    ] = None,
    warmup_steps: Annotated[
        int | None, typer.Option(help="Steps in which the learning rate rises. \\[default: 200]", rich_help_panel=_PANEL)
    ] = None,
    accumulate: Annotated[
        int | None, typer.Option(help="Batches averaged before weights change. \\[default: 1]", rich_help_panel=_PANEL)
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Of adamw and sgd. \\[default: 0.01]", rich_help_panel=_PANEL)
    ] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Longest gradient. \\[default: 10]", rich_help_panel=_PANEL)] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            help="Share of the average kept in a step; 0 averages nothing. \\[default: 0.999]", rich_help_panel=_PANEL
        ),
    ] = None,
    freeze: Annotated[
        Literal["none", "stage2", "stage3", "stage4", "stage5", "backbone"] | None,
        typer.Option(
            help="Do not train the backbone up to this stage. \\[default: stage2 with --imagenet-weights, else none]",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    freeze_batch_norm: Annotated[
        bool | None,
        typer.Option(
            "--freeze-batch-norm/--train-batch-norm",
            help="Of the backbone. \\[default: frozen with --imagenet-weights]",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    balance: Annotated[
        Literal["none", "weights", "sampling"] | None,
        typer.Option(
            help="Make up for rare classes in the loss, or by showing them more often. \\[default: none]",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    hard_images: Annotated[
        float | None,
        typer.Option(
            help="Show images more often the higher their loss: 0 not, 1 in proportion. \\[default: 0]", rich_help_panel=_PANEL
        ),
    ] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(help="Ask for so much less than a score of 1. \\[default: 0]", rich_help_panel=_PANEL)
    ] = None,
    precision: Annotated[
        Literal["float32", "mixed_bfloat16"] | None,
        typer.Option(help="\\[default: mixed on a GPU that is fast at it, else float32]", rich_help_panel=_PANEL),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random. \\[default: 0]")] = None,
    box_loss: Annotated[
        Literal["giou", "ciou", "smooth_l1"] | None, typer.Option(help="\\[default: giou]", rich_help_panel=_PANEL)
    ] = None,
    assignment: Annotated[
        Literal["atss", "iou"] | None, typer.Option(help="Which anchors learn a box. \\[default: atss]", rich_help_panel=_PANEL)
    ] = None,
    focal_alpha: Annotated[
        float | None, typer.Option(help="Weight of objects in the class loss. \\[default: 0.25]", rich_help_panel=_PANEL)
    ] = None,
    focal_gamma: Annotated[
        float | None, typer.Option(help="Focus on what is scored badly. \\[default: 2]", rich_help_panel=_PANEL)
    ] = None,
    class_weight: Annotated[
        float | None, typer.Option(help="Of the class loss. \\[default: 1]", rich_help_panel=_PANEL)
    ] = None,
    box_weight: Annotated[
        float | None, typer.Option(help="Of the localisation loss. \\[default: 2]", rich_help_panel=_PANEL)
    ] = None,
    norm: Annotated[
        Literal["group", "batch"] | None,
        typer.Option(help="GroupNorm or BatchNorm, in heads and light backbones. \\[default: group]", rich_help_panel=_NETWORK),
    ] = None,
    separable: Annotated[
        bool, typer.Option("--separable", help="Separable convolutions in pyramid and heads.", rich_help_panel=_NETWORK)
    ] = False,
    pyramid_width: Annotated[
        int | None, typer.Option(help="Channels of pyramid and heads. \\[default: 64]", rich_help_panel=_NETWORK)
    ] = None,
    levels: Annotated[
        str | None, typer.Option(help="First and last pyramid level, as in 3-7. \\[default: fitted to the boxes]")
    ] = None,
    downsampling: Annotated[
        int | None, typer.Option(help="Average images down by 1, 2, 4 or 8. \\[default: fitted to the boxes]")
    ] = None,
    window: Annotated[
        int | None, typer.Option(help="Side of the training windows, downsampled pixels. \\[default: fitted to the boxes]")
    ] = None,
    augment: Augment = None,
    devices: Annotated[
        int | None, typer.Option(help="GPUs to train on, of each machine: see docs/several-gpus.md. \\[default: all]")
    ] = None,
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
    from retinaj.training.cluster import leads, this_cluster
    from retinaj.training.run_folder import load_run
    from retinaj.training.settings import TrainingSettings

    share, validation_list = validation_choice(validation)
    given: dict[str, Any] = {
        "backbone": backbone,
        "imagenet_weights": imagenet_weights or None,
        "minutes": minutes,
        "epochs": epochs,
        "batch_size": batch_size,
        "patience": patience,
        "learning_rate": learning_rate,
        "optimizer": optimizer,
        "schedule": schedule,
        "plateau": plateau,
        "warmup_steps": warmup_steps,
        "accumulate": accumulate,
        "weight_decay": weight_decay,
        "clip_norm": clip_norm,
        "ema": ema,
        "freeze": freeze,
        "freeze_batch_norm": freeze_batch_norm,
        "balance": balance,
        "hard_images": hard_images,
        "label_smoothing": label_smoothing,
        "validation": share,
        "precision": precision,
        "seed": seed,
        "box_loss": box_loss,
        "assignment": assignment,
        "focal_alpha": focal_alpha,
        "focal_gamma": focal_gamma,
        "class_weight": class_weight,
        "box_weight": box_weight,
        "norm": norm,
        "separable": separable or None,
        "pyramid_width": pyramid_width,
        "levels": _levels(levels),
        "downsampling": downsampling,
        "window": window,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    cluster = this_cluster()
    if cluster is not None:  # before a model is loaded
        from retinaj.training.replicas import join_machines

        join_machines(say, devices)
    # The command line knows how to read packages, the core does not: see retinaj.cli.
    start = context.obj(weights_from) if weights_from is not None else None
    tied = start.settings() if start is not None else {}
    base = load_run(output).record.training.settings.model_dump() if resume and leads(cluster) else tied
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
        devices=devices,
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
