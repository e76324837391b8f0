"""A detector without a network: it finds bright patches, so that what it finds depends on the pixels that it was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retinaj.normalization import FixedScale
from retinaj.prediction.detector import Detector

CLASSES = ("RBC", "Living Cell", "µ,x")
MAX_DETECTIONS = 50


class BrightPatches:
    """A `Runtime`: a box, a quarter pixel too large, around each patch of pixels above 200.

    The class is the patch's number modulo 3. The score is the brightness, from .5 at 200 to 1 at 255, less a hundredth of
    `overlap`, so that the caller's overlap shows in the result.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []

    def __call__(self, batch: NDArray[np.float32], overlap: float) -> NDArray[np.float32]:
        self.calls.append(batch.shape)
        values = (batch[0].mean(axis=-1) + 2) * 64  # undoes FixedScale
        patches, _ = ndimage.label(values > 200)
        found = np.zeros((1, MAX_DETECTIONS, 6), np.float32)
        for at, place in enumerate(ndimage.find_objects(patches)[:MAX_DETECTIONS]):
            rows, columns = place
            score = min(0.5 + (values[place].max() - 200) / 110, 1) - overlap / 100
            box = (columns.start - 0.25, rows.start - 0.25, columns.stop + 0.25, rows.stop + 0.25)
            found[0, at] = (*box, score, at % len(CLASSES) + 1)
        return found


def fake_detector(channels: int = 3, runtime: BrightPatches | None = None) -> Detector:
    """A detector for images of 1 or 3 channels."""
    return Detector("fake", CLASSES, channels, FixedScale(), runtime or BrightPatches(), 0.05, 0.5, MAX_DETECTIONS)


def open_fake(path: Path) -> Detector:
    """What stands in for `retinaj_zoo.open_model`: a folder whose name begins with "grey" is a model for grey images."""
    return fake_detector(1 if path.name.startswith("grey") else 3)


def patches(seed: int = 0, height: int = 60, width: int = 80, count: int = 6) -> NDArray[np.uint8]:
    """A grey image uint8 [height, width] with up to `count` bright patches."""
    random = np.random.default_rng(seed)
    image = random.integers(20, 60, (height, width)).astype(np.uint8)
    for _ in range(count):
        top, left = int(random.integers(0, height - 12)), int(random.integers(0, width - 12))
        image[top : top + int(random.integers(3, 11)), left : left + int(random.integers(3, 11))] = random.integers(205, 256)
    return image
