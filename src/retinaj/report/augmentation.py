"""A page that shows what augmentation does to one's own images: training windows, and each kind of change by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.augmentation import AugmentationConfig
from retinaj.augmentation.strengths import ALL_NAMES, list_strengths, strengths_text
from retinaj.augmentation.view import Picture
from retinaj.boxes import Boxes
from retinaj.colours import class_colours, hex_colour
from retinaj.dataset import Dataset
from retinaj.files import write_text
from retinaj.prediction.overlay import mix_channels
from retinaj.report.examples import DrawnBox, drawn_boxes, picture_address
from retinaj.report.templates import environment
from retinaj.training.data import WindowSource
from retinaj.training.image_store import ImageStore, middle
from retinaj.training.plan import plan_model
from retinaj.training.settings import TrainingSettings

_WINDOWS = 8
# A strength is drawn by chance for each window, so that some hardly show it: of so many, the one that shows it best.
_TRIES = 10
_LONGEST_SIDE = 400  # of a picture in the page, in pixels


@dataclass(frozen=True)
class Tile:
    """One window in the page."""

    caption: str
    picture: str
    side: int
    boxes: list[DrawnBox]


@dataclass(frozen=True)
class Row:
    """One kind of change: what it is, and how it looks.

    Attributes:
        name: of the strength.
        words: its range, default and meaning.
        tiles: a window as it was, and with the strength.
        idle: it changes nothing on these images.
    """

    name: str
    words: str
    tiles: list[Tile]
    idle: bool


def write_preview(path: Path, training: Dataset, validation: Dataset, *, config: AugmentationConfig, seed: int) -> None:
    """Write a page with the first windows of a training and with every kind of change, weak and strong.

    The windows are those that `retinaj train` makes of these images, with this seed and these strengths.

    Args:
        path: the HTML file; it is written whole or not at all, and loads nothing.
        training, validation: as training would be given them.
        config: the strengths of the training windows.
        seed: of the training.

    Raises:
        RetinaJError: if an image cannot be read, or there is nothing to learn from.
    """
    settings = TrainingSettings(augmentation=config, seed=seed)
    record = plan_model("preview", training, validation, settings, lambda line: None)
    source = WindowSource(training.samples, record, ImageStore(record))
    order = source.order(1, max(_WINDOWS, _TRIES)).tolist()
    display = _Display(training, middle(source.picture(order[0])[0]))
    windows = [display.tile(source.augmented(1, at, order[at]), training.samples[order[at]].name) for at in range(_WINDOWS)]
    names = class_colours(training.class_names)
    page = (
        environment()
        .get_template("augmentation.html")
        .render(
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            version=version("retinaj"),
            images=len(training),
            side=record.training.window,
            downsampling=record.network.downsampling,
            seed=seed,
            strengths=strengths_text(config, AugmentationConfig()),
            windows=windows,
            rows=[_row(name, source, order, display) for name in ALL_NAMES],
            colours={name: hex_colour(colour) for name, colour in names.items()},
        )
    )
    write_text(Path(path), page)


class _Display:
    """Windows as pictures, all with one range of brightness, so that changes of brightness show."""

    def __init__(self, dataset: Dataset, image: NDArray[np.float32]) -> None:
        self._dataset = dataset
        self._low, self._high = np.percentile(image, [0.2, 99.8]).tolist()

    def tile(self, window: Picture, caption: str) -> Tile:
        pixels, xyxy, label = window
        share = (pixels - self._low) / max(self._high - self._low, 1e-6)
        shown = (np.clip(share, 0, 1) * 255).round().astype(np.uint8)
        picture = shown if shown.shape[2] == 3 else mix_channels(np.moveaxis(shown, 2, 0))
        boxes = Boxes(xyxy, label, self._dataset.class_names)
        drawn = drawn_boxes(boxes, np.ones(len(boxes), np.bool_))
        return Tile(caption, picture_address(picture, _LONGEST_SIDE), len(pixels), drawn)


def _row(name: str, source: WindowSource, order: Sequence[int], display: _Display) -> Row:
    field = AugmentationConfig.model_fields[name]
    switch = field.annotation is bool
    examples: list[Any] = [True] if switch else list(field.examples or [])
    # Around an object, so that there is something to see; where placement itself is shown, anywhere.
    still = AugmentationConfig.off().model_copy(update={} if name == "on_object" else {"on_object": 1.0})
    steps = [still, *(still.model_copy(update={name: value}) for value in examples)]

    def drawn(at: int) -> list[Picture]:
        return [source.augmented(1, at, order[at], config) for config in steps]

    tried = [drawn(at) for at in range(_TRIES)]
    shown = max(tried, key=_visible_change)
    how = ["weak: ", "strong: "] if len(examples) > 1 else [""]
    captions = ["as it was", *(f"{word}{strengths_text(step, still)}" for word, step in zip(how, steps[1:], strict=True))]
    tiles = [display.tile(window, caption) for window, caption in zip(shown, captions, strict=True)]
    [words] = list_strengths(AugmentationConfig(), [name])
    return Row(name, words.partition("=")[2], tiles, idle=not _visible_change(shown))


def _visible_change(windows: Sequence[Picture]) -> float:
    """How much the last window differs from the first; one that has lost all its objects counts least."""
    difference = float(np.abs(windows[-1][0] - windows[0][0]).mean())
    return difference if len(windows[-1][1]) else difference / 1000
