"""Detection on images of any size: as a whole where memory allows, else tile by tile.

An image that fits is searched exactly as `Detector.detect` does. A larger one is read, normalised and searched in overlapping
tiles, so that neither it nor what the network makes of it is ever in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.images.bands import row_bands
from retinaj.normalization import scale_of_blocks
from retinaj.prediction.detector import DEFAULT_THRESHOLD, Detector, check_fraction, require_range
from retinaj.prediction.tile_grid import Grid
from retinaj.prediction.tile_merging import merge_tiles
from retinaj.prediction.tiling import TileChoice, Tiling


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        boxes: with scores, highest first in each plane; with planes as `Detector.detect` gives them.
        tiles: how many each plane was searched in; 1 if it was searched as a whole.
        limit: of the passes that gave as many boxes as the model can, the highest of their lowest scores; 0 if there was none.
            Objects that score below it may be missing.
    """

    boxes: Boxes
    tiles: int
    limit: float

    def is_full(self, threshold: float) -> bool:
        """Whether objects from this score on may be missing, because the model could not give more: see `limit_words`."""
        return self.limit >= threshold


def find_objects(
    detector: Detector,
    image: xr.DataArray,
    *,
    tiles: TileChoice = "auto",
    threshold: float = DEFAULT_THRESHOLD,
    overlap: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Detect objects on every plane of an image of any size.

    The most boxes that a model gives hold for each tile, so that there may be far more on a large image. The percentiles by
    which an image is normalised are those of the whole plane. Near the border of a tile a network sees a little less than in
    the whole image, and GroupNorm takes the statistics of the tile: scores differ slightly from those of one pass.

    Args:
        detector: the model.
        image: dims a subset of t, c, z, y, x in that order, any pixel type. Of a dask array, which is what
            `retinaj.images.open_image` gives for a large file, a tile is read at a time.
        tiles: see `Tiling.cut`.
        threshold: the lowest score that is kept, above 0 up to 1.
        overlap: NMS drops the lower-scored of two boxes of a class whose IoU is above it; default: the model's.
        progress: called as progress(tiles done, tiles in all) before the first, after each, and while percentiles are counted;
            an exception from it cancels.

    Raises:
        RetinaJError: as `Detector.detect`, and for tiles that are too small for the objects that the model looks for.
    """
    overlap = detector.overlap if overlap is None else overlap
    check_fraction("threshold", threshold)
    check_fraction("overlap", overlap)
    if not image.size:
        raise RetinaJError(f"The image has no pixels: its size is {dict(image.sizes)}.")
    planes = [(t, z) for t in range(image.sizes.get("t", 1)) for z in range(image.sizes.get("z", 1))]
    grid = Tiling.of(detector.record).cut(image.sizes["y"], image.sizes["x"], tiles)
    count = _Count(len(grid.tiles) * len(planes), progress)
    parts: list[Boxes] = []
    limit = 0.0
    for t, z in planes:
        plane = image.isel({axis: at for axis, at in (("t", t), ("z", z)) if axis in image.dims})
        if len(grid.tiles) == 1:
            of_tiles = [detector.detect(plane, threshold=threshold, overlap=overlap)]
            count.add()
        else:
            of_tiles = list(_search_tiles(detector, plane, grid, threshold, overlap, count))
        limit = max([limit, *(_limit(boxes, detector.max_detections) for boxes in of_tiles)])
        found = of_tiles[0] if len(of_tiles) == 1 else merge_tiles(grid, of_tiles, overlap)
        parts.append(found.on_plane(t, 0, z) if {"t", "z"} & set(image.dims) else found)
    return Found(Boxes.concatenate(parts), len(grid.tiles), limit)


class _Count:
    """Tiles that are done, told to whom it concerns."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._progress = 0, total, progress
        self.tell()

    def tell(self) -> None:
        if self._progress is not None:
            self._progress(self._done, self._total)

    def add(self) -> None:
        self._done += 1
        self.tell()


def _search_tiles(
    detector: Detector, plane: xr.DataArray, grid: Grid, threshold: float, overlap: float, count: _Count
) -> Iterator[Boxes]:
    """The boxes of each tile, in pixels of the image."""

    def blocks() -> Iterator[NDArray[np.generic]]:
        for band in row_bands(plane):
            count.tell()  # nothing is done, but it may be cancelled
            yield detector.pixels(band)

    scale = scale_of_blocks(detector.normalization, blocks)
    for tile in grid.tiles:
        pixels = detector.pixels(plane.isel(y=slice(tile.top, tile.bottom), x=slice(tile.left, tile.right)))
        require_range(pixels, detector.normalization)
        boxes = detector.one_pass(scale(pixels), threshold, overlap)
        count.add()
        yield boxes.moved(tile.left, tile.top)


def _limit(boxes: Boxes, most: int) -> float:
    """The score of the last box that the model can give; 0 if there are fewer. The boxes are sorted."""
    return float(boxes.score[most - 1]) if boxes.score is not None and len(boxes) >= most else 0.0
