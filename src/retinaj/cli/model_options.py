"""Options of all commands that use a model, and how they open it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retinaj.prediction.detector import Detector

MODEL_FORMS = "model folder, or a package by `retinaj package`: zip, folder, rdf.yaml, or https://…zip#sha256=…"
Model = Annotated[str, typer.Option(help=f"A {MODEL_FORMS}.")]
Threshold = Annotated[float, typer.Option(help="Lowest score of a box that is kept, above 0 up to 1.")]
Overlap = Annotated[
    float | None,
    typer.Option(help="Of two boxes of a class with a higher IoU, the lower-scored is dropped. \\[default: the model's, 0.5]"),
]

Tiles = Annotated[
    str,
    typer.Option(
        help="auto: cut images that are too large for one pass into overlapping tiles. none: never. A number: cut all that are "
        "larger, in pixels; the most boxes that a model gives then hold for each tile."
    ),
]


def open_model(path: Path | str) -> Detector:
    """A model folder or a package, at a path or a URL."""
    from retinaj_zoo import open_model

    return open_model(path)
