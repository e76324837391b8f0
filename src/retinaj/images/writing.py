"""Writing one plane as an image file that loses nothing: pixel type, bit depth and pixel size stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
import xarray as xr

from retinaj.errors import RetinaJError
from retinaj.files import atomic_path

TIFF_SUFFIXES = (".tif", ".tiff")
_PNG_TYPES = ("uint8", "uint16")
_PNG_LEVEL = 1  # six times as fast as the usual 6, and files 15 % larger
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")


def lossless_suffix(source: Path, image: xr.DataArray) -> str:
    """Of a file that holds `image` without loss: ".tif" where it comes from a TIFF or where PNG cannot, else ".png".

    >>> lossless_suffix(Path("cell.jpg"), xr.DataArray(np.zeros((2, 2), np.uint8), dims=("y", "x")))
    '.png'
    """
    fits_png = image.dtype.name in _PNG_TYPES and image.sizes.get("c", 1) in (1, 3)
    return ".png" if fits_png and source.suffix.lower() not in TIFF_SUFFIXES else ".tif"


def write_image(path: Path, image: xr.DataArray) -> None:
    """Write a PNG or TIFF file, whole or not at all.

    `retinaj.images.read_image` gives the same pixels and pixel size back. TIFF is written as ImageJ does where ImageJ knows the
    pixel type, so that it opens there with channels and scale.

    Args:
        path: its suffix, .png, .tif or .tiff, says which format.
        image: dims y, x or c, y, x; attrs "rgb" and "physical_size" as `read_image` sets them. PNG holds grey and RGB of
            uint8 and uint16.

    Raises:
        RetinaJError: if the format cannot hold the image.
    """
    path = Path(path)
    pixels = image.to_numpy()
    rgb = bool(image.attrs.get("rgb")) and image.sizes.get("c") == 3
    if path.suffix.lower() in TIFF_SUFFIXES:
        with atomic_path(path) as temporary:
            _write_tiff(temporary, image, rgb=rgb)
        return
    if path.suffix.lower() != ".png" or pixels.dtype.name not in _PNG_TYPES or image.sizes.get("c", 1) not in (1, 3):
        raise RetinaJError(
            f"{path} cannot hold an image of {image.sizes.get('c', 1)} channels of type {pixels.dtype}: expected .tif, or .png "
            "with grey or RGB pixels of 8 or 16 bits."
        )
    with atomic_path(path) as temporary:
        arranged = np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 else pixels
        temporary.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(arranged), level=_PNG_LEVEL))


def _write_tiff(path: Path, image: xr.DataArray, *, rgb: bool) -> None:
    pixels = image.to_numpy()
    options: dict[str, Any] = {"photometric": "rgb" if rgb else "minisblack"}
    if rgb:
        pixels = np.moveaxis(pixels, 0, -1)
    imagej = pixels.dtype.name in _IMAGEJ_TYPES and (not rgb or pixels.dtype == np.uint8)
    metadata: dict[str, Any] = {"axes": "YXS" if rgb else "CYX" if pixels.ndim == 3 else "YX"}
    size = image.attrs.get("physical_size")
    if imagej and size:
        # Such descriptions are ASCII: ImageJ writes µ as \u00B5, too.
        metadata["unit"] = "".join(letter if letter.isascii() else f"\\u{ord(letter):04X}" for letter in size["unit"])
        options["resolution"] = (1 / size["x"], 1 / size["y"])
        if "z" in size:
            metadata["spacing"] = size["z"]
    if imagej:
        options["imagej"] = True
    elif not rgb and pixels.ndim == 3:
        options["planarconfig"] = "separate"
    tifffile.imwrite(path, np.ascontiguousarray(pixels), metadata=metadata, **options)
