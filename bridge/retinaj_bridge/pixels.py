"""Pixels out of ImageJ: an ImagePlus as xarray, plane by plane or whole. The image is only read, never changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.errors import RetinaJError
from retinaj_bridge.jvm import java_class


def to_xarray(image: Any, *, channel: int | None = None, palette_as_rgb: bool = True) -> xr.DataArray:
    """The pixels of an ImagePlus, copied.

    Args:
        image: an ij.ImagePlus of any type: 8, 16 or 32 bit, RGB, stack or hyperstack.
        channel: take only this channel, from 1; default: all.
        palette_as_rgb: show 8-bit pixels with a colour table as the RGB they look like. Look-up tables change nothing
            else: an inverting one leaves the values as they are in the file.

    Returns:
        Dims a subset of t, c, z, y, x in that order, without those of size 1 other than y and x; RGB is c=3. Pixel type
        uint8, uint16, float32, or int16 for an image that ImageJ calls "signed 16-bit".

    Raises:
        RetinaJError: if the image was closed, or has no such channel.
    """
    planes = list(read_planes(image, channel=channel, palette_as_rgb=palette_as_rgb))
    frames, slices = planes[-1][0][0] + 1, planes[-1][0][1] + 1
    pixels = np.stack([plane.to_numpy() for _, plane in planes])
    pixels = pixels.reshape(frames, slices, *pixels.shape[1:])
    inner = planes[0][1].dims
    if "c" in inner:
        pixels = np.moveaxis(pixels, 2, 1)
        dims = ("t", "c", "z", "y", "x")
    else:
        dims = ("t", "z", "y", "x")
    whole = xr.DataArray(pixels, dims=dims, name=str(image.getTitle()))
    return whole.squeeze([axis for axis, size in (("t", frames), ("z", slices)) if size == 1])


def read_planes(
    image: Any, *, channel: int | None = None, palette_as_rgb: bool = True
) -> Iterator[tuple[tuple[int, int], xr.DataArray]]:
    """The planes of an ImagePlus one after the other, so that a time lapse need not fit into memory twice.

    Args:
        image: as for `to_xarray`.
        channel: as for `to_xarray`.
        palette_as_rgb: as for `to_xarray`.

    Yields:
        ((t, z), plane): 0-based, z fastest; the plane has the dims y and x, before them c if it has several channels.

    Raises:
        RetinaJError: as `to_xarray`.
    """
    channels, slices, frames = count_planes(image)
    if channel is not None and channel > channels:
        raise RetinaJError(f"channel is {channel}, but the image {image.getTitle()} has {channels}.")
    take = range(channels) if channel is None else range(channel - 1, channel)
    table = _colour_table(image) if palette_as_rgb else None
    signed = bool(image.getCalibration().isSigned16Bit())
    stack = image.getStack()
    for t in range(frames):
        for z in range(slices):
            parts = [_pixels(image, stack, image.getStackIndex(c + 1, z + 1, t + 1), table, signed) for c in take]
            # RGB planes are [c, y, x] by themselves, others [y, x].
            pixels = parts[0] if len(parts) == 1 else np.concatenate(parts) if parts[0].ndim == 3 else np.stack(parts)
            yield (t, z), xr.DataArray(pixels, dims=("c", "y", "x")[-pixels.ndim :])


def count_planes(image: Any) -> tuple[int, int, int]:
    """(channels, slices, time frames) of an ImagePlus."""
    return int(image.getNChannels()), int(image.getNSlices()), int(image.getNFrames())


def _colour_table(image: Any) -> NDArray[np.uint8] | None:
    """uint8 [256, 3] of an 8-bit colour image, else None."""
    if int(image.getType()) != int(java_class("ij.ImagePlus").COLOR_256):
        return None
    table = image.getProcessor().getLut()
    return np.stack(
        [np.array(part, np.int8).view(np.uint8) for part in (table.getReds(), table.getGreens(), table.getBlues())], 1
    )


def _pixels(image: Any, stack: Any, index: int, table: NDArray[np.uint8] | None, signed: bool) -> NDArray[np.generic]:
    """One slice of the stack, copied: [y, x], or [3, y, x] for colour."""
    # Copied at once: JPype loses an exception that passes a frame in which a view of a Java array lives.
    array = stack.getPixels(index)
    if array is None:
        raise RetinaJError(f"The image {image.getTitle()} was closed before RetinaJ had read it; leave it open.")
    flat = np.array(array)
    shape = (int(stack.getHeight()), int(stack.getWidth()))
    if flat.dtype == np.int8:
        grey = flat.view(np.uint8).reshape(shape)
        return grey if table is None else np.moveaxis(table[grey], -1, 0)
    if flat.dtype == np.int16:
        values = flat.view(np.uint16).reshape(shape)
        # ImageJ stores signed values shifted by 32768.
        return (values.astype(np.int32) - 32768).astype(np.int16) if signed else values
    if flat.dtype == np.int32:
        return np.stack([(flat.reshape(shape) >> shift & 255).astype(np.uint8) for shift in (16, 8, 0)])
    return flat.reshape(shape)
