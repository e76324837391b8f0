"""The command `retinaj predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retinaj.cli.common import progress_bar, say
from retinaj.cli.model_options import Model, Overlap, Threshold, Tiles, open_model
from retinaj.cli.plane_options import Axes, Series
from retinaj.errors import RetinaJError
from retinaj.files import anything_written, require_writable
from retinaj.prediction.detector import DEFAULT_THRESHOLD, limit_words


def predict(
    source: Annotated[Path, typer.Argument(help="An image, or a folder of images.")],
    model: Model,
    output: Annotated[
        Path,
        typer.Option(
            help="Folder for CSV, RoiSet.zip and overlay picture of each image, and a table and contact sheet of all."
        ),
    ],
    threshold: Threshold = DEFAULT_THRESHOLD,
    overlap: Overlap = None,
    tiles: Tiles = "auto",
    axes: Axes = None,
    series: Series = None,
) -> None:
    """Detect objects on an image, or on all images of a folder."""
    from retinaj.prediction.batch import predict as run_prediction
    from retinaj.prediction.record import SETTINGS_FILE
    from retinaj.prediction.tiling import parse_tiles

    choice = parse_tiles(tiles)
    require_writable(output / SETTINGS_FILE)
    detector = open_model(model)
    try:
        with progress_bar("detecting") as progress:
            outcomes = run_prediction(
                source,
                detector,
                output,
                threshold=threshold,
                overlap=overlap,
                tiles=choice,
                axes=axes,
                series=series,
                progress=progress,
            )
    except KeyboardInterrupt as interruption:
        if not anything_written():
            raise
        words = f"the finished images are in {output}, and the same command goes on from there."
        raise KeyboardInterrupt(words) from interruption
    failed = [outcome for outcome in outcomes if outcome.error]
    boxes = sum(sum(outcome.counts.values()) for outcome in outcomes)
    skipped = sum(outcome.skipped for outcome in outcomes)
    earlier = f" ({skipped} of them earlier)" if skipped else ""
    say(f"{boxes} boxes on {len(outcomes) - len(failed)} images{earlier}, in {output}.")
    full = [outcome.source for outcome in outcomes if outcome.full]
    if full:
        say(f"Warning: on {len(full)} images, such as {full[0].name}, a pass found {limit_words(detector)}.")
    if failed:
        for outcome in failed:
            say(f"Failed: {outcome.error}")
        raise RetinaJError(f"{len(failed)} of {len(outcomes)} images could not be used; see above.")
