"""The command `retinaj import-tf2`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retinaj.cli.common import say


def import_tf2(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT_DIR",
            help="Folder of a model of the TF2 Object Detection API, as its model zoo packs them: pipeline.config and "
            "checkpoint/ckpt-0.index with its data.",
        ),
    ],
    output: Annotated[Path, typer.Option(help="Model folder to make; it must not exist.")],
    label_map: Annotated[
        Path | None,
        typer.Option(
            help="label_map.pbtxt with the names of the classes. \\[default: the one that pipeline.config names, if it exists]"
        ),
    ] = None,
    pipeline_config: Annotated[
        Path | None, typer.Option(help="pipeline.config, if it lies elsewhere. \\[default: in CHECKPOINT_DIR]")
    ] = None,
) -> None:
    """Import a model of the TF2 Object Detection API (SSD ResNet or MobileNet with FPN), to detect with or to train on."""
    from retinaj.importing.tf2_model import import_tf2 as run_import

    run_import(checkpoint, output, config=pipeline_config, classes=label_map, log=say)
