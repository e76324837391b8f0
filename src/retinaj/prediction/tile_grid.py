"""Where the tiles of a large image lie, so that every object up to a known size lies whole in one of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tile:
    """A rectangle of an image, in whole pixels, half open: `left` and `top` are inside, `right` and `bottom` are not."""

    left: int
    top: int
    right: int
    bottom: int

    def shared(self, other: Tile) -> Tile | None:
        """What lies in both; None if nothing does.

        >>> Tile(0, 0, 8, 8).shared(Tile(6, 0, 14, 8))
        Tile(left=6, top=0, right=8, bottom=8)
        """
        both = Tile(
            max(self.left, other.left), max(self.top, other.top), min(self.right, other.right), min(self.bottom, other.bottom)
        )
        return both if both.left < both.right and both.top < both.bottom else None


@dataclass(frozen=True)
class Grid:
    """The tiles of one image.

    Attributes:
        height, width: of the image, in pixels.
        margin: what lies nearer than this to a border inside the image lacks surroundings, and counts as cut by it.
        tiles: row by row.
    """

    height: int
    width: int
    margin: int
    tiles: tuple[Tile, ...]

    @classmethod
    def of(cls, height: int, width: int, *, side: int, overlap: int, margin: int, multiple: int) -> Grid:
        """As few tiles as cover an image, all of the same size but for the last of a row or column.

        An object of up to `overlap - 2 * margin` pixels lies whole in at least one of them, wherever it is.

        Args:
            height, width: of the image, in pixels.
            side: the longest that a tile may be; above `overlap`.
            overlap: of neighbours, at least.
            margin: see the class.
            multiple: tiles begin at multiples of it, so that a network's cells lie on the same pixels in all of them. It
                divides `side`.

        >>> [(tile.left, tile.right) for tile in Grid.of(8, 100, side=48, overlap=16, margin=0, multiple=8).tiles]
        [(0, 48), (32, 80), (64, 100)]
        """
        rows, columns = (_spans(length, side, overlap, multiple) for length in (height, width))
        tiles = tuple(Tile(left, top, right, bottom) for top, bottom in rows for left, right in columns)
        return cls(height, width, margin, tiles)

    @classmethod
    def whole(cls, height: int, width: int) -> Grid:
        """A single tile."""
        return cls(height, width, 0, (Tile(0, 0, width, height),))

    def holds(self, tile: Tile, xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which boxes a tile holds whole, with their surroundings.

        Args:
            tile: one of `tiles`.
            xyxy: float32 [N, 4] in pixels of the image.

        Returns:
            bool [N].
        """
        # Where the image ends, there is nothing more to see.
        low = [-np.inf if at == 0 else at + self.margin for at in (tile.left, tile.top)]
        ends = ((tile.right, self.width), (tile.bottom, self.height))
        high = [np.inf if at == end else at - self.margin for at, end in ends]
        return np.all((xyxy[:, :2] >= low) & (xyxy[:, 2:] <= high), axis=1)


def _spans(length: int, side: int, overlap: int, multiple: int) -> list[tuple[int, int]]:
    """(first, end) of the tiles along one axis: no more than needed, and then no longer than needed."""
    if length <= side:
        return [(0, length)]
    step = (side - overlap) // multiple * multiple
    count = 1 - (side - length) // step  # the last begins at (count - 1) * step and reaches the end
    overlap_used = side - step
    shorter = -(-(length + (count - 1) * overlap_used) // count)
    side = min(side, -(-shorter // multiple) * multiple)
    step = side - overlap_used
    return [(at * step, min(at * step + side, length)) for at in range(count)]
