"""TIFF files: their images, whole or left in the file, or only what the header says of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import xarray as xr
from numpy.typing import NDArray

from retinaj.errors import RetinaJError
from retinaj.images.axes import in_order
from retinaj.images.lazy_pixels import Index, LazyPixels, block_shape
from retinaj.images.ome_xml import OmeImage, read_ome_xml
from retinaj.images.tiff_chain import require_sound_chain
from retinaj.images.tiff_layout import TiffLayout, lay_out
from retinaj.images.tiff_segments import require_whole

SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")  # classic and BigTIFF, both byte orders


def read(path: Path, *, axes: str | None, series: int | None, max_bytes: int, lazy_above: int | None) -> xr.DataArray:
    """One image of a TIFF file, as `retinaj.images.open_image` describes it.

    Args:
        path: the file.
        axes: what the user calls the axes, or None.
        series: which image, from 1; None is the first.
        max_bytes: the most to decode at once.
        lazy_above: an image of more bytes stays in the file, as a dask array; None reads every image.
    """
    require_sound_chain(path)
    with _open(path) as file:
        layout = _layout(path, file, axes, series, max_bytes)
        lazy = lazy_above is not None and layout.nbytes > lazy_above
        if not lazy:
            require_room(path, layout.series.shape, layout.nbytes, max_bytes)
        require_whole(path, file, layout.series)
        # dask arrays have the same operators, as far as they are needed here.
        pixels: Any = _lazy(path, layout, series) if lazy else np.asarray(layout.series.asarray())
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    names = list(layout.axes)
    if layout.palette is not None:
        pixels = layout.palette[pixels] if isinstance(pixels, np.ndarray) else _map_palette(pixels, layout.palette)
        names.append("s")
    array = xr.DataArray(pixels, dims=names, attrs={"path": str(path), **layout.attrs})
    if "s" in names:
        array = array.isel(s=slice(layout.samples)).rename(s="c")
    array = array.squeeze([dim for dim in array.dims if dim not in ("y", "x") and array.sizes[dim] == 1])
    array = array.transpose(*in_order([str(dim) for dim in array.dims]))
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    array = array.rename(None)  # dask's own
    return array if lazy else array.copy(data=np.ascontiguousarray(array.to_numpy()))


def read_header(path: Path, *, axes: str | None, series: int | None, max_bytes: int) -> TiffLayout:
    """What the file says of the image that `read` would give."""
    require_sound_chain(path)
    with _open(path) as file:
        layout = _layout(path, file, axes, series, max_bytes)
        if layout.series.dataoffset is not None:  # else all pages would have to be looked up
            require_whole(path, file, layout.series)
        return layout


def write_plane(path: Path, image: xr.DataArray) -> None:
    """Write one plane as a TIFF that `read` and ImageJ open with the same axes, over what is at `path`.

    Args:
        path: the file.
        image: dims y, x, or c, y, x.
    """
    if image.attrs.get("rgb"):
        tifffile.imwrite(path, image.transpose("y", "x", "c").to_numpy(), photometric="rgb")
        return
    for_imagej = image.dtype.name in ("uint8", "uint16", "float32")
    axes = "".join(str(dim).upper() for dim in image.dims)
    tifffile.imwrite(path, image.to_numpy(), imagej=for_imagej, photometric="minisblack", metadata={"axes": axes})


@contextmanager
def _open(path: Path) -> Generator[tifffile.TiffFile]:
    """The file, with every failure of the decoder turned into one clear error and its own log kept quiet."""
    logger = logging.getLogger("tifffile")
    disabled, logger.disabled = logger.disabled, True
    try:
        with tifffile.TiffFile(path) as file:
            yield file
    except RetinaJError:
        raise
    except Exception as error:  # a damaged file makes decoders raise nearly anything
        raise RetinaJError(f"{path} is damaged or cut short and cannot be decoded: {error}.") from error
    finally:
        logger.disabled = disabled


def _layout(path: Path, file: tifffile.TiffFile, axes: str | None, number: int | None, max_bytes: int) -> TiffLayout:
    # Before tifffile parses it, too, without such care.
    described = read_ome_xml(path, file.ome_metadata) if file.is_ome and file.ome_metadata else []
    all_series = file.series
    if not all_series or all(len(series.shape) < 2 for series in all_series):
        raise RetinaJError(f"{path} is a TIFF file without any image.")
    chosen = choose_series(path, number, [series.name for series in all_series])
    series = all_series[chosen]
    layout = lay_out(path, file, series, axes, _described(described, all_series, chosen))
    layout = replace(layout, series_names=tuple(str(each.name) for each in all_series))
    plane = math.prod(layout.sizes[axis] for axis in ("c", "y", "x") if axis in layout.sizes) * layout.dtype.itemsize
    require_room(path, series.shape, plane, max_bytes)
    return layout


def choose_series(path: Path, number: int | None, names: list[str]) -> int:
    """The 0-based place of the image that a user means by a number from 1; the first by default.

    Raises:
        RetinaJError: if there is none of that number, with the names of those that there are.
    """
    if number is None or 1 <= number <= len(names):
        return (number or 1) - 1
    listed = ", ".join(f"{at} {name!r}" for at, name in enumerate(names[:5], 1))
    more = ", ..." if len(names) > 5 else ""
    raise RetinaJError(f"series is {number}, but {path} holds {len(names)}: {listed}{more}.")


def _described(images: list[OmeImage], all_series: list[tifffile.TiffPageSeries], chosen: int) -> OmeImage | None:
    """What the OME-XML says of a series; tifffile leaves images out that have no pixels."""
    if len(images) == len(all_series):
        return images[chosen]
    named = [image for image in images if image.name == all_series[chosen].name]
    return named[0] if len(named) == 1 else None


def require_room(path: Path, shape: Sequence[int], nbytes: int, max_bytes: int) -> None:
    """Refuse an image of more bytes than are to be decoded at once, naming its shape."""
    if nbytes > max_bytes:
        raise RetinaJError(
            f"{path} says that its image is {' x '.join(map(str, shape))}, {nbytes / 2**30:,.1f} GiB; "
            f"RetinaJ reads up to {max_bytes / 2**30:.0f} GiB at once. Crop it, or save fewer frames."
        )


def _lazy(path: Path, layout: TiffLayout, number: int | None) -> Any:
    series = layout.series
    stored = _as_zarr(series).chunks if _contiguous_at(series) is None else [1] * len(series.shape)
    inner = [layout.axes.index(axis) for axis in ("s", "x", "y") if axis in layout.axes]
    block = block_shape(series.shape, stored, series.dtype.itemsize, inner)
    return LazyPixels(path, series.shape, series.dtype, partial(_read_block, path, number)).to_dask(block)


def _read_block(path: Path, number: int | None, index: Index) -> NDArray[Any]:
    with _open(path) as file:
        series = file.series[(number or 1) - 1]
        start = _contiguous_at(series)
        if start is None:
            return np.asarray(_as_zarr(series)[index])
        dtype = series.dtype.newbyteorder(file.byteorder)
        return np.array(np.memmap(path, dtype, mode="r", offset=start, shape=series.shape)[index])


def _contiguous_at(series: tifffile.TiffPageSeries) -> int | None:
    """Where the pixels lie in the file one after the other, as numbers; tifffile would read a page of them at least."""
    return None if series.dtype == np.bool_ else series.dataoffset


def _as_zarr(series: tifffile.TiffPageSeries) -> Any:
    import zarr

    return zarr.open_array(series.aszarr(level=0), mode="r")


def _map_palette(pixels: Any, palette: NDArray[np.uint8]) -> Any:
    return pixels.map_blocks(
        partial(_look_up, palette), dtype=np.uint8, new_axis=pixels.ndim, chunks=(*pixels.chunks, (palette.shape[1],))
    )


def _look_up(palette: NDArray[np.uint8], pixels: NDArray[Any]) -> NDArray[np.uint8]:
    return palette[pixels]
