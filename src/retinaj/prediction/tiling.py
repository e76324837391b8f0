"""Whether an image is searched as a whole or in tiles, and how large these are and overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from retinaj.errors import RetinaJError
from retinaj.model_folder import ModelRecord
from retinaj.network.anchors import anchor_sizes
from retinaj.prediction.pass_memory import pass_pixels
from retinaj.prediction.tile_grid import Grid

TileChoice = Literal["auto", "none"] | int

# What a detector that RetinaJ did not train is taken to be: its graph does not say.
_FOREIGN_STRIDE, _FOREIGN_LARGEST = 64, 384
# Cells of the coarsest level that an object must keep around it to be scored as in the whole image.
_MARGIN_CELLS = 2
# Of two boxes with an IoU of one half, the IoU at which an anchor learns a box, the larger is twice the smaller.
_LARGER = math.sqrt(2)


@dataclass(frozen=True)
class Tiling:
    """How the images of a detector are cut, in pixels of the image.

    Attributes:
        multiple: tiles begin and end at multiples of it.
        margin: what an object needs around it.
        overlap: of neighbouring tiles: the largest object that the detector looks for, with its margins.
        pass_pixels: what one pass holds comfortably.
    """

    multiple: int
    margin: int
    overlap: int
    pass_pixels: int

    @classmethod
    def of(cls, record: ModelRecord | None) -> Tiling:
        """From the strides, the largest anchors and the training windows of a model; None stands for a detector that RetinaJ
        did not train.

        >>> tiling = Tiling.of(None)
        >>> tiling.multiple, tiling.margin, tiling.overlap
        (64, 128, 640)
        """
        if record is None:
            multiple, largest = _FOREIGN_STRIDE, float(_FOREIGN_LARGEST)
        else:
            network = record.network
            anchor = float(anchor_sizes(network.anchors, network.anchors.max_level).max())
            # Of an object larger than its windows a model has only seen parts.
            multiple, largest = network.stride, network.downsampling * min(_LARGER * anchor, record.training.window)
        margin = _MARGIN_CELLS * multiple
        overlap = math.ceil((largest + 2 * margin) / multiple) * multiple
        return cls(multiple, margin, overlap, pass_pixels(None if record is None else record.network))

    @property
    def shortest(self) -> int:
        """The least side of a tile: most of a smaller one would be overlap."""
        return 2 * self.overlap

    def cut(self, height: int, width: int, tiles: TileChoice) -> Grid:
        """The tiles of an image of this size; a single one if it is searched as a whole.

        Args:
            height, width: of the image, in pixels.
            tiles: "auto" cuts what is larger than one pass holds comfortably, "none" nothing; a number is the longest side of a
                tile: larger images are cut.

        Raises:
            RetinaJError: if such tiles are too small for the largest objects.
        """
        fits = tiles == "none" or (height * width <= self.pass_pixels if tiles == "auto" else max(height, width) <= tiles)
        if fits:
            return Grid.whole(height, width)
        wanted = max(math.isqrt(self.pass_pixels), self.shortest) if isinstance(tiles, str) else tiles
        if wanted < self.shortest:
            raise RetinaJError(
                f"tiles is {tiles}, too little for this model: neighbouring tiles overlap by {self.overlap} pixels, so that "
                f"the largest objects that it looks for lie whole in one of them. Expected {self.shortest} or more, or auto."
            )
        side = wanted // self.multiple * self.multiple
        return Grid.of(height, width, side=side, overlap=self.overlap, margin=self.margin, multiple=self.multiple)


def parse_tiles(value: str) -> TileChoice:
    """A choice of tiles from a command line or a macro.

    Raises:
        RetinaJError: if it is none.

    >>> parse_tiles("auto"), parse_tiles("2048")
    ('auto', 2048)
    """
    if value in ("auto", "none"):
        return "auto" if value == "auto" else "none"
    if value.isdecimal() and 0 < len(value) < 10 and int(value):
        return int(value)
    raise RetinaJError(f"tiles is {value!r}; expected auto, none, or the longest side of a tile in pixels, such as 2048.")
