"""Validation images as the network sees them: whole, or in the tiles in which prediction would search them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinaj.augmentation import visible_boxes
from retinaj.augmentation.geometry import Pixels
from retinaj.dataset import Sample
from retinaj.model_folder import ModelRecord
from retinaj.network.targets import Targets
from retinaj.prediction.tile_grid import Grid, Tile
from retinaj.prediction.tiling import Tiling
from retinaj.training.data import assign_targets
from retinaj.training.image_store import ImageStore, pad_to_multiple, whole


@dataclass(frozen=True)
class ValidationImage:
    """A whole image, or a tile of a large one, as the network sees it, with its targets.

    Attributes:
        image: float32 [1, y, x, channel], normalised, averaged down, padded to the stride.
        targets: of its ground truth.
        tile: where it lies, in pixels of the image itself.
        grid: all tiles of the image; they follow each other.
    """

    image: NDArray[np.float32]
    targets: Targets
    tile: Tile
    grid: Grid


def validation_grid(sample: Sample, record: ModelRecord, store: ImageStore) -> Grid:
    """The tiles in which prediction would search an image."""
    width, height = store.size(sample)
    return Tiling.of(record).cut(height, width, "auto")


def validation_images(samples: tuple[Sample, ...], record: ModelRecord, store: ImageStore) -> Iterator[ValidationImage]:
    """All images for validation, unaugmented, in order, those that are too large for one pass tile by tile."""
    network = record.network
    for sample in samples:
        image, grid = store[sample], validation_grid(sample, record, store)
        xyxy = sample.boxes.xyxy / np.float32(network.downsampling)
        for tile in grid.tiles:
            boxes, label = xyxy, sample.boxes.label
            if len(grid.tiles) == 1:
                pixels = whole(image)
            else:
                pixels, boxes, label = _cut(image, boxes, label, tile, network.downsampling)
            pixels = pad_to_multiple(pixels, network.stride // network.downsampling, np.asarray(network.fill, np.float32))
            yield ValidationImage(pixels[None], assign_targets(record, pixels.shape, boxes, label), tile, grid)


def _cut(
    image: Pixels, xyxy: NDArray[np.float32], label: NDArray[np.int32], tile: Tile, factor: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    """The pixels of a tile, and what a training window would show of its objects; all but `tile` in downsampled pixels."""
    left, top = tile.left // factor, tile.top // factor
    right, bottom = min(-(-tile.right // factor), image.shape[1]), min(-(-tile.bottom // factor), image.shape[0])
    pixels = image[top:bottom, left:right] if isinstance(image, np.ndarray) else image.part(left, top, right, bottom)
    boxes, label = visible_boxes(xyxy - np.array([left, top] * 2, np.float32), label, right - left, bottom - top)
    return pixels, boxes, label
