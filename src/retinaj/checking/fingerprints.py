"""What an image looks like, in a few kilobytes: enough to find its copies and neighbours among thousands."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from PIL import Image

from retinaj.images.plane_choice import AS_STORED, PlaneChoice

THUMB = 64  # pixels: side of the square that every image is averaged down to


@dataclass(frozen=True)
class Fingerprint:
    """One image.

    Attributes:
        digest: of all pixel values, their type and the shape: equal only for the same pixels, whatever the file format.
        size: (width, height) in pixels.
        thumb: float32 [THUMB, THUMB], the image in grey, averaged down.
        flat: all pixels are equal, so that there is nothing to compare.
    """

    digest: bytes
    size: tuple[int, int]
    thumb: NDArray[np.float32]
    flat: bool


def fingerprint(path: Path, planes: PlaneChoice = AS_STORED) -> Fingerprint:
    """Read an image, and keep what is needed to compare it.

    Raises:
        RetinaJError: if it cannot be read.
    """
    image = planes.whole(path)
    pixels = image.to_numpy()
    digest = hashlib.blake2b(f"{image.dims}{pixels.shape}{pixels.dtype}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    size = (image.sizes["x"], image.sizes["y"])
    return Fingerprint(digest.digest(), size, reduced(grey(image), THUMB, THUMB), bool((pixels == pixels.flat[0]).all()))


def grey(image: xr.DataArray) -> NDArray[np.float32]:
    """float32 [y, x]: the mean of the channels, of a stack its middle plane; what is not a number is 0."""
    plane = image.isel({axis: image.sizes[axis] // 2 for axis in ("t", "z") if axis in image.dims})
    pixels = plane.to_numpy()
    mean = pixels.astype(np.float32) if pixels.ndim == 2 else pixels.mean(axis=0, dtype=np.float32)
    return mean if np.issubdtype(pixels.dtype, np.integer) else np.nan_to_num(mean, nan=0.0, posinf=0.0, neginf=0.0)


def reduced(pixels: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """The same picture with other numbers of pixels, averaged where there are fewer."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX), np.float32)
