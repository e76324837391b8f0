"""The command `retinaj train`: options to settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retinaj.augmentation import AugmentationConfig
from retinaj.augmentation.strengths import list_strengths, parse_strengths
from retinaj.cli.annotation_options import Classes, ClassFrom, Columns, Format, reading
from retinaj.cli.common import Annotations, Images, Names, Validation, console, say, validation_choice
from retinaj.cli.plane_options import Axes, Channels, Series, Slices, change_planes, given_planes
from retinaj.cli.setting_options import NONE_GIVEN, GivenSettings, checked_settings, with_settings

Augment = Annotated[
    list[str] | None,
    typer.Option(
        help="How training windows vary, as in 'rotate=30 blur=1.5 mosaic=0.5'; 'none' turns everything off first. Names, "
        "ranges and defaults:\n\n" + "\n\n".join(list_strengths(AugmentationConfig()))
    ),
]


@with_settings
def train(
    context: typer.Context,
    images: Images,
    annotations: Annotations,
    output: Annotated[Path, typer.Option(help="Model folder to make.")],
    names: Names = None,
    validation: Validation = None,
    weights_from: Annotated[
        str | None,
        typer.Option(help="Start from this model: a model folder, or a package (zip, folder, rdf.yaml, https://…#sha256=…)."),
    ] = None,
    given: GivenSettings = NONE_GIVEN,
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

    share, validation_list = validation_choice(validation)
    chosen = {**given, **({} if share is None else {"validation": share})}
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
    settings = checked_settings(base | chosen)
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
