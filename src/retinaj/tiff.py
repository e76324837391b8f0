"""TIFF files: which axis is which, what is a channel and what is alpha, and how large is too large."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import xarray as xr
from numpy.typing import NDArray

from retinaj.errors import RetinaJError

SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")  # classic and BigTIFF, both byte orders

_AXES = "tczyx"
# Axes that carry no microscopy meaning: pages, sequences, "other". ImageJ opens such pages as slices.
_UNNAMED = "IQ"
_COLOUR = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR, tifffile.PHOTOMETRIC.PALETTE)
_UNSUPPORTED = {
    5: "CMYK",
    8: "CIE L*a*b*",
    9: "ICC L*a*b*",
    10: "ITU L*a*b*",
    32803: "a raw colour filter array",
}


def read(path: Path, max_bytes: int) -> xr.DataArray:
    """The first image of a TIFF file, as `retinaj.images.read_image` describes it."""
    with _open(path) as file:
        series, axes = _first_series(path, file, max_bytes)
        _require_whole(path, file, series)
        pixels = np.asarray(series.asarray())
        page = series.keyframe
        if pixels.dtype == np.bool_:
            pixels = pixels.astype(np.uint8) * np.uint8(255)
        if _is_indexed_colour(file, page):
            pixels, axes = _apply_palette(pixels, page, axes)
        array = xr.DataArray(pixels, dims=axes)
        rgb = False
        if "s" in axes:
            rgb = page.photometric in _COLOUR
            array = array.isel(s=slice(_colour_samples(page, array.sizes["s"]))).rename(s="c")
        array = array.squeeze([dim for dim in array.dims if dim not in ("y", "x") and array.sizes[dim] == 1])
        array = array.transpose(*[axis for axis in _AXES if axis in array.dims])
        native = array.dtype.newbyteorder("=")
        attrs: dict[str, Any] = {"path": str(path), "rgb": rgb}
        if physical := _physical_size(file, page):
            attrs["physical_size"] = physical
        return xr.DataArray(np.ascontiguousarray(array.to_numpy(), native), dims=array.dims, attrs=attrs)


def read_header(path: Path, max_bytes: int) -> tuple[dict[str, int], np.dtype[Any]]:
    """Axis lengths, in the order t, c, z, y, x, and pixel type that `read` will give."""
    with _open(path) as file:
        series, axes = _first_series(path, file, max_bytes)
        page = series.keyframe
        sizes = dict(zip(axes, series.shape, strict=True))
        dtype = np.dtype(np.uint8) if series.dtype == np.bool_ else np.dtype(series.dtype).newbyteorder("=")
        if _is_indexed_colour(file, page):
            sizes["c"], dtype = 3, np.dtype(np.uint8)
        if "s" in sizes:
            sizes["c"] = _colour_samples(page, sizes.pop("s"))
        return {axis: sizes[axis] for axis in _AXES if axis in sizes and (sizes[axis] > 1 or axis in "yx")}, dtype


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


def _first_series(path: Path, file: tifffile.TiffFile, max_bytes: int) -> tuple[tifffile.TiffPageSeries, list[str]]:
    """The first image and the name of each of its axes; "s" is colour samples."""
    if not file.series or len(file.series[0].shape) < 2:
        raise RetinaJError(f"{path} is a TIFF file without any image.")
    series = file.series[0]
    if not (np.issubdtype(series.dtype, np.number) or series.dtype == np.bool_):
        raise RetinaJError(f"{path} has pixels of a type that RetinaJ does not know ({series.dtype}).")
    if np.issubdtype(series.dtype, np.complexfloating):
        raise RetinaJError(f"{path} has complex numbers for pixels; save their magnitude instead.")
    # in Python integers: numpy's product of absurd sizes would wrap round
    size = series.dtype.itemsize
    for length in series.shape:
        size *= int(length)
    if size > max_bytes:
        raise RetinaJError(
            f"{path} says that its image is {' x '.join(map(str, series.shape))}, {size / 2**30:,.1f} GiB; "
            f"RetinaJ reads up to {max_bytes / 2**30:.0f} GiB at once. Crop it, or save fewer frames."
        )
    name = _UNSUPPORTED.get(int(series.keyframe.photometric))
    if name is not None:
        raise RetinaJError(f"{path} stores its colours as {name}; save it as RGB or as grey channels.")
    return series, _name_axes(path, series)


def _name_axes(path: Path, series: tifffile.TiffPageSeries) -> list[str]:
    axes = [axis for axis, _ in zip(series.axes, series.shape, strict=True)]
    unnamed = [at for at, axis in enumerate(axes) if axis in _UNNAMED and series.shape[at] > 1]
    spare = [axis for axis in "ZT" if axis not in axes]
    if len(unnamed) == 1 and spare:
        axes[unnamed[0]] = spare[0]
    names = [axis.lower() for axis in axes]
    for at, axis in enumerate(names):
        if axis not in "tczyxs":
            if series.shape[at] > 1:
                raise RetinaJError(
                    f"{path} has the axes {series.axes} with the lengths {series.shape}; RetinaJ knows "
                    "T, C, Z, Y, X. Open it in ImageJ, set the dimensions (Image > Hyperstacks) and save it."
                )
            names[at] = f"{axis}{at}"  # of length one: squeezed away; unique, because a letter may come twice
    coloured = "s" in names and series.shape[names.index("s")] > 1
    if coloured and "c" in names and series.shape[names.index("c")] > 1:
        raise RetinaJError(f"{path} has channels that are RGB each; split the channels or make it one RGB.")
    if "s" in names and "c" in names:  # one of them has length one
        spare_axis = "c" if coloured else "s"
        names[names.index(spare_axis)] = f"{spare_axis}0"
    return names


def _require_whole(path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    """Refuse a file that ends before its pixels do: tifffile would fill the rest with zeros."""
    available = file.filehandle.size
    if series.dataoffset is not None:
        needed = series.dataoffset + series.nbytes
    else:
        ends = [
            offset + count
            for page in series.pages
            if page is not None
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
            if page.parent is file
        ]
        needed = max(ends, default=0)
    if needed > available:
        raise RetinaJError(f"{path} is cut short: its pixels need {needed:,} bytes, it has {available:,}.")


def _is_indexed_colour(file: tifffile.TiffFile, page: Any) -> bool:
    # ImageJ stores a look-up table as a palette; there the pixel values are intensities, not colour numbers.
    return page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None and not file.is_imagej


def _apply_palette(pixels: NDArray[Any], page: Any, axes: list[str]) -> tuple[NDArray[Any], list[str]]:
    palette = (np.asarray(page.colormap) >> 8).astype(np.uint8)  # [3, entries], stored with 16 bits
    return np.moveaxis(palette[:, pixels], 0, -1), [*axes, "s"]


def _colour_samples(page: Any, samples: int) -> int:
    """How many of the samples of a pixel are colour: alpha and other extras follow them."""
    if page.photometric in _COLOUR:
        return min(samples, 3)
    alpha = [extra for extra in page.extrasamples if int(extra) in (1, 2)]
    return max(1, samples - len(alpha))


def _physical_size(file: tifffile.TiffFile, page: Any) -> dict[str, float | str] | None:
    """The size of a pixel where ImageJ states one; the resolution of other files is for printers."""
    metadata = file.imagej_metadata or {}
    unit = str(metadata.get("unit", ""))
    if not unit or unit in ("pixel", "px", "inch"):
        return None
    size: dict[str, float | str] = {"unit": unit.replace("\\u00B5", "µ")}
    for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
        value = page.tags.valueof(tag)
        if not value or not value[0]:
            return None
        size[axis] = value[1] / value[0]
    if "spacing" in metadata:
        size["z"] = float(metadata["spacing"])
    return size
