"""PNG and JPEG files, by Pillow: pixel values as stored."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from retinaj.errors import RetinaJError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIGNATURES = (_PNG_SIGNATURE, b"\xff\xd8\xff")

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})


def read_header(path: Path) -> tuple[dict[str, int], np.dtype[Any], bool]:
    """Axis lengths in the order c, y, x, pixel type, and whether viewers show the image turned or mirrored (EXIF)."""
    with _open(path) as picture:
        channels = 1 if picture.mode in _GREY_MODES else 3
        sizes = ({"c": channels} if channels > 1 else {}) | {"y": picture.height, "x": picture.width}
        deep = picture.mode.startswith("I") or _png_depth(path) == 16
        dtype = np.dtype(np.uint16 if deep else np.uint8)
        # Not picture.getexif(): that of a PNG decodes all pixels to look behind them.
        return sizes, dtype, Image.Image.getexif(picture).get(0x0112, 1) != 1


def _open(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path, formats=("PNG", "JPEG"))
    except Image.DecompressionBombError as error:
        raise RetinaJError(
            f"{path} says that it has more pixels than RetinaJ decodes from a PNG or JPEG "
            "(about 179 million). If it is really that large, save it as TIFF."
        ) from error
    except UnidentifiedImageError as error:
        raise RetinaJError(f"{path} begins like an image, but its header is damaged or cut short.") from error
    except Exception as error:  # a damaged file makes decoders raise nearly anything
        raise RetinaJError(f"{path} is damaged and cannot be decoded: {error}.") from error


def decode(path: Path) -> NDArray[Any]:
    """The pixels of a PNG or JPEG, [y, x] or [y, x, 3]."""
    with _open(path) as picture:
        try:
            # Pillow would cut a 16-bit colour PNG down to 8 bits, so these go another way.
            if _png_depth(path) == 16 and picture.mode not in ("I", "I;16", "I;16B"):
                return _without_alpha(_decode_deep_png(path))
            if picture.mode == "1":
                return np.asarray(picture.convert("L"))
            if picture.mode in ("L", "I;16", "I;16B"):
                return _native(np.asarray(picture))
            if picture.mode == "I":
                return np.asarray(picture).astype(np.uint16)
            if picture.mode in ("LA", "La"):
                return np.asarray(picture)[..., 0]
            # RGB, RGBA, palette (with or without a transparent colour), CMYK: RGBA first, so that no
            # transparent palette entry is painted over.
            rgb = picture.convert("RGBA") if picture.mode == "P" else picture
            return np.asarray(rgb)[..., :3] if rgb.mode == "RGBA" else np.asarray(rgb.convert("RGB"))
        except Exception as error:  # as above
            raise RetinaJError(f"{path} is damaged or cut short and cannot be decoded: {error}.") from error


def _decode_deep_png(path: Path) -> NDArray[Any]:
    import imagecodecs

    return np.asarray(imagecodecs.png_decode(path.read_bytes()))


def _without_alpha(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.ndim == 2:
        return pixels
    channels = pixels.shape[2]
    return pixels[..., 0] if channels <= 2 else pixels[..., :3]


def _native(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _png_depth(path: Path) -> int | None:
    """Bits per sample of a PNG (byte 24 of the file, in its first chunk); None for a JPEG."""
    with path.open("rb") as stream:
        start = stream.read(25)
    return start[24] if len(start) == 25 and start.startswith(_PNG_SIGNATURE) else None
