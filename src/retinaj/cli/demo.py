"""The commands `retinaj demo` and `retinaj example-data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retinaj.cli.common import say


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


def example_data(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    seed: Annotated[int, typer.Option(help="Of the images.")] = 0,
) -> None:
    """Draw a small data set of microscopy-like images with PASCAL VOC annotations, to look at and to train on."""
    from retinaj.example_data import make_example_data

    make_example_data(folder, seed=seed)
    say(f"Images, annotations and lists are in {folder}.")
