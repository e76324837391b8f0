"""Pixels out of ImageJ: an ImagePlus as xarray, plane by plane or whole. The image is only read, never changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.errors import RetinaJError

_CLOSED = "The image {} was closed before RetinaJ had read it; leave it open."


def to_xarray(image: Any, *, channel: int | None = None) -> xr.DataArray:
    """The pixels of an ImagePlus, copied.

    Args:
        image: an ij.ImagePlus of any type: 8, 16 or 32 bit, RGB, stack or hyperstack. Look-up tables are for the eye, also
            inverting ones: they change nothing. Only 8-bit images that ImageJ calls "8-bit color", whose values are the
            numbers of colours in a table, become RGB.
        channel: take only this channel, from 1; default: all.

    Returns:
        Dims a subset of t, c, z, y, x in that order, without those of size 1 other than y and x; RGB is c=3. Pixel type
        uint8, uint16, float32, or int16 for an image that ImageJ calls "signed 16-bit".

    Raises:
        RetinaJError: if the image was closed, or has no such channel.
    """
    planes = list(read_planes(image, channel=channel))
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


def read_planes(image: Any, *, channel: int | None = None) -> Iterator[tuple[tuple[int, int], xr.DataArray]]:
    """The planes of an ImagePlus one after the other, so that a time lapse need not fit into memory twice.

    Args:
        image: as for `to_xarray`.
        channel: as for `to_xarray`.

    Yields:
        ((t, z), plane): 0-based, z fastest; the plane has the dims y and x, before them c if it has several channels.

    Raises:
        RetinaJError: as `to_xarray`.
    """
    if image.getProcessor() is None:
        raise RetinaJError(_CLOSED.format(image.getTitle()))
    channels, slices, frames = count_planes(image)
    if channel is not None and channel > channels:
        raise RetinaJError(f"channel is {channel}, but the image {image.getTitle()} has {channels}.")
    take = range(channels) if channel is None else range(channel - 1, channel)
    table = _colour_table(image) if is_palette(image) else None
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


def is_palette(image: Any) -> bool:
    """Whether the pixels are numbers of colours in a table. Tables that run smoothly, such as "Fire", do not count."""
    processor = image.getProcessor()
    if int(image.getBitDepth()) != 8 or bool(image.isComposite()) or bool(processor.isThreshold()):
        return False
    # ImageJ's own rule for "8-bit color", which it applies only when it shows an image.
    return bool(processor.isColorLut()) and not bool(processor.isPseudoColorLut())


def _colour_table(image: Any) -> NDArray[np.uint8]:
    """uint8 [256, 3]: red, green and blue of each value."""
    table = np.array(image.getProcessor().getLut().getBytes(), np.int8).view(np.uint8)
    return table.reshape(3, 256).T


def _pixels(image: Any, stack: Any, index: int, table: NDArray[np.uint8] | None, signed: bool) -> NDArray[np.generic]:
    """One slice of the stack, copied: [y, x], or [3, y, x] for colour."""
    # Copied at once: JPype loses an exception that passes a frame in which a view of a Java array lives.
    array = stack.getPixels(index)
    if array is None:
        raise RetinaJError(_CLOSED.format(image.getTitle()))
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
