"""Large images made small enough to look at, without ever holding them whole."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.images.bands import row_bands


def reduced(plane: xr.DataArray, longest: int) -> tuple[xr.DataArray, int]:
    """A plane averaged down by a whole factor, if it is at least twice as long as it needs to be.

    Args:
        plane: dims y, x, or c, y, x; of a dask array, a band of rows is read at a time.
        longest: what its longer side must keep at least, in pixels.

    Returns:
        The plane in memory, its pixel type kept, and the factor; 1 leaves it as it is. Up to `factor - 1` pixels at the right
        and the bottom, which do not fill a block, are left out.

    >>> small, factor = reduced(xr.DataArray(np.arange(32).reshape(4, 8), dims=("y", "x")), 2)
    >>> small.values.tolist(), factor
    ([[13, 17]], 4)
    """
    factor = min(max(plane.sizes["y"], plane.sizes["x"]) // longest, plane.sizes["y"], plane.sizes["x"])
    if factor < 2:
        return plane.compute(), 1
    whole = plane.isel(y=slice(plane.sizes["y"] // factor * factor))
    bands = [_block_means(band.to_numpy(), factor) for band in row_bands(whole, multiple=factor)]
    return xr.DataArray(np.concatenate(bands, axis=-2), dims=plane.dims, attrs=plane.attrs), factor


def _block_means(pixels: NDArray[np.generic], factor: int) -> NDArray[np.generic]:
    """Of [..., y, x], the last columns left out that do not fill a block; a whole number of blocks high."""
    *outer, height, width = pixels.shape
    blocks = pixels[..., : width // factor * factor].reshape(*outer, height // factor, factor, width // factor, factor)
    return blocks.mean(axis=(-3, -1), dtype=np.float32).astype(pixels.dtype)
