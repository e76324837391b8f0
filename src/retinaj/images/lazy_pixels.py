"""Pixels that stay in their file until they are asked for: dask arrays over TIFF and OME-Zarr."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.errors import RetinaJError

# What one reading fetches at most, unless a plane's own tiles or strips are larger: enough that there are few of them,
# and little beside what a detector needs for a plane.
BLOCK_BYTES = 64 * 2**20
# dask plans each of them.
MAX_BLOCKS = 1_000_000

Index = tuple[slice, ...]


class LazyPixels:
    """What dask asks for blocks: like an array, but each block is read anew, by whichever thread or process needs it.

    Args:
        path: the file, for errors.
        shape: in pixels along each stored axis.
        dtype: of the pixels.
        read: gives the pixels at an index of slices. It can be pickled, and opens the file by itself each time, so that no
            file stays open.
    """

    def __init__(self, path: Path, shape: Sequence[int], dtype: np.dtype[Any], read: Callable[[Index], NDArray[Any]]) -> None:
        self._path, self._read = path, read
        self.shape, self.dtype, self.ndim = tuple(shape), dtype, len(shape)

    def __getitem__(self, index: Index) -> NDArray[Any]:
        try:
            return np.asarray(self._read(index))
        except RetinaJError:
            raise
        except Exception as error:  # damaged data make decoders raise nearly anything
            raise RetinaJError(f"{self._path} is damaged or cut short and cannot be decoded: {error}.") from error

    def to_dask(self, block: Sequence[int]) -> Any:
        """A `dask.array.Array` whose chunks are blocks of this size.

        Raises:
            RetinaJError: if there would be more than a million.
        """
        import dask.array

        count = math.prod(-(-length // size) for length, size in zip(self.shape, block, strict=True))
        if count > MAX_BLOCKS:
            raise RetinaJError(
                f"{self._path} says that its image is {' x '.join(map(str, self.shape))}, in {count:,} parts; RetinaJ reads up "
                f"to {MAX_BLOCKS:,}. Crop it, or save fewer frames."
            )
        # No name from the content: dask would have to read all of it.
        chunks: Any = tuple(block)
        return dask.array.from_array(self, chunks=chunks, name=False, asarray=True, meta=np.empty(0, self.dtype))


def block_shape(shape: Sequence[int], stored: Sequence[int], itemsize: int, inner: Sequence[int]) -> list[int]:
    """How much to read at once: the blocks of the file, widened along a row, then down the rows, up to `BLOCK_BYTES`.

    Args:
        shape: of the whole array.
        stored: of a block in the file: a tile, a strip, a page or a chunk.
        itemsize: bytes of a pixel.
        inner: positions of the axes to widen, the first first: samples, x, y.

    >>> block_shape((10, 40_000, 30_000), (1, 256, 256), 1, (2, 1))
    [1, 2048, 30000]
    """
    block = [min(part, length) for part, length in zip(stored, shape, strict=True)]
    for axis in inner:
        others = max(1, itemsize * math.prod(block) // max(1, block[axis]))
        steps = max(1, BLOCK_BYTES // others // max(1, block[axis]))
        block[axis] = min(shape[axis], block[axis] * steps)
    return block
