"""Changing a whole image as a file holds it: any pixel type, any size, with its boxes."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.augmentation.config import AugmentationConfig
from retinaj.augmentation.geometry import flip, quarter_turns
from retinaj.augmentation.intensity import change_intensity
from retinaj.augmentation.view import random_view
from retinaj.boxes import Boxes
from retinaj.normalization import FixedScale, choose_normalization


def turn_image(image: xr.DataArray, boxes: Boxes, *, mirrored: str, turns: int) -> tuple[xr.DataArray, Boxes]:
    """Mirror an image, then turn it by quarter turns to the right; pixels and boxes are exact.

    Args:
        image: dims y, x or c, y, x.
        boxes: of the image.
        mirrored: "x" (left-right), "y" (up-down) or "" (not at all).
        turns: 0 to 3, of 90 degrees, clockwise.

    Returns:
        An image of the same dims, pixel type and attrs (the sizes of a pixel along x and y change places with the axes), and
        its boxes.
    """
    pixels = image.transpose("y", "x", ...).to_numpy()
    pixels, xyxy = flip(pixels, boxes.xyxy, horizontally=mirrored == "x", vertically=mirrored == "y")
    pixels, xyxy = quarter_turns(pixels, xyxy, -turns % 4)
    attrs = dict(image.attrs)
    if turns % 2 and "physical_size" in attrs:
        size = attrs["physical_size"]
        attrs["physical_size"] = {**size, "x": size["y"], "y": size["x"]}
    turned = xr.DataArray(pixels, dims=("y", "x", "c")[: pixels.ndim], attrs=attrs).transpose(*image.dims)
    return turned.copy(data=np.ascontiguousarray(turned.to_numpy())), Boxes(xyxy, boxes.label, boxes.class_names)


def vary_image(
    image: xr.DataArray, boxes: Boxes, config: AugmentationConfig, random: np.random.Generator
) -> tuple[xr.DataArray, Boxes]:
    """Apply strengths to a whole image, which keeps its size and pixel type; flips, quarter turns and mosaics are left out.

    Values are computed in float32, rounded and limited to what the pixel type holds. What moves in from outside the image is
    its mean colour, which pixels that are not a number become too. Objects that are then mostly outside are dropped, as
    `visible_boxes` does.

    Args:
        image: dims y, x or c, y, x.
        boxes: of the image.
        config: the strengths.
        random: the only source of randomness.
    """
    pixels = (image if "c" in image.dims else image.expand_dims("c")).transpose("y", "x", "c").to_numpy()
    gain, offset = _scale(pixels)
    normal = pixels.astype(np.float32) * gain + offset
    finite = np.isfinite(normal)
    known = np.where(finite, normal, 0).sum(axis=(0, 1), dtype=np.float64)
    fill = np.asarray(known / np.maximum(finite.sum(axis=(0, 1)), 1), np.float32)
    np.copyto(normal, fill, where=~finite)
    height, width = normal.shape[:2]
    view, xyxy, label = random_view(
        (normal, boxes.xyxy, boxes.label), width=width, height=height, fill=fill, config=config, random=random
    )
    values = (change_intensity(view, config, fill, random) - offset) / gain
    if np.issubdtype(pixels.dtype, np.integer):
        limits = np.iinfo(pixels.dtype)
        values = np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max)
    stored = xr.DataArray(values.astype(pixels.dtype), dims=("y", "x", "c"), attrs=image.attrs)
    stored = stored if "c" in image.dims else stored.isel(c=0)
    stored = stored.transpose(*image.dims)
    return stored.copy(data=np.ascontiguousarray(stored.to_numpy())), Boxes(xyxy, label, boxes.class_names)


def _scale(pixels: NDArray[np.generic]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gain and offset [channel] to normalised values: as training normalises, but without clipping, to find the way back."""
    normalization = choose_normalization({pixels.dtype})
    channels = pixels.shape[2]
    if isinstance(normalization, FixedScale):
        return np.full(channels, normalization.gain, np.float32), np.full(channels, normalization.offset, np.float32)
    low, high = np.zeros(channels), np.zeros(channels)
    for channel in range(channels):
        values = pixels[..., channel].astype(np.float64)
        finite = values[np.isfinite(values)]
        if len(finite):
            low[channel], high[channel] = np.percentile(finite, [normalization.low, normalization.high])
    gain = normalization.gain / np.where(high > low, high - low, 1.0)
    return gain.astype(np.float32), (normalization.offset - low * gain).astype(np.float32)
