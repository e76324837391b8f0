"""Going through all pixels of a plane a band of rows at a time, so that a large one is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import xarray as xr

# Of a band, unless a row has more.
BAND_BYTES = 64 * 2**20


def row_bands(plane: xr.DataArray, *, multiple: int = 1) -> Iterator[xr.DataArray]:
    """A plane from top to bottom, in bands of up to `BAND_BYTES`; a smaller plane is one band.

    Args:
        plane: dims y, x, or c, y, x; of a dask array, each band is read by itself.
        multiple: bands begin at multiples of so many rows.

    >>> [band.sizes["y"] for band in row_bands(xr.DataArray([[1], [2], [3]], dims=("y", "x")))]
    [3]
    """
    height = plane.sizes["y"]
    rows = BAND_BYTES * height // max(plane.nbytes, 1)
    step = max(multiple, rows // multiple * multiple)
    for top in range(0, height, step):
        yield plane.isel(y=slice(top, top + step))
