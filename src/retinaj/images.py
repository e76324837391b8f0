"""Reading microscopy images: PNG, JPEG and TIFF files, pixel values as stored, axes by name."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from retinaj import tiff
from retinaj.errors import RetinaJError
from retinaj.files import require_file, require_folder

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

# What decoders may allocate for one file. A stitched 16-bit field of 60,000 x 60,000 pixels is 7 GB; a file
# that asks for more is damaged or hostile, or needs tiles read from disk, which is not this function's job.
MAX_IMAGE_BYTES = 8 * 1024**3

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8\xff"


@dataclass(frozen=True)
class ImageHeader:
    """What a file says about its image, without its pixels.

    Attributes:
        sizes: length of each axis, a subset of t, c, z, y, x in that order, as `read_image` will give them.
        dtype: the pixel type.
        turned: the file carries an EXIF orientation, so that viewers show it turned or mirrored.
    """

    sizes: Mapping[str, int]
    dtype: np.dtype[Any]
    turned: bool = False

    @property
    def width(self) -> int:
        """In pixels."""
        return self.sizes["x"]

    @property
    def height(self) -> int:
        """In pixels."""
        return self.sizes["y"]

    @property
    def channels(self) -> int:
        """1 for an image without a channel axis."""
        return self.sizes.get("c", 1)


def read_image(path: Path) -> xr.DataArray:
    """Read one image file.

    The pixel values are those in the file: nothing is scaled or inverted (an inverting look-up table, as
    ImageJ's "blobs" has it, is display only). RGB becomes three channels, alpha is dropped, a PNG palette
    becomes RGB, 1-bit images become 8-bit 0 and 255. Rows and columns are those stored: an EXIF orientation
    is not applied, because ImageJ does not apply it either and annotations and ROIs count stored pixels.
    Axes of length 1 are left out. Of a TIFF with several images the first is read.

    Args:
        path: a PNG, JPEG or TIFF file, recognised by its content. TIFF may be a stack: ImageJ hyperstacks
            and OME-TIFF give t, c and z by their metadata; plain pages become z, as in ImageJ.

    Returns:
        dims a subset of t, c, z, y, x in that order; attrs "path" (str), "rgb" (whether the channels are the red, green and
        blue of a colour image) and, where the file states it, "physical_size": the size of a pixel along x, y (and z) with
        its "unit".

    Raises:
        RetinaJError: if the file is missing, of another format, truncated, damaged or absurdly large.
    """
    path = Path(path)
    if _kind(path) == "tiff":
        return tiff.read(path, MAX_IMAGE_BYTES)
    pixels = _decode_picture(path)
    dims = ("y", "x") if pixels.ndim == 2 else ("c", "y", "x")
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    return xr.DataArray(pixels, dims=dims, attrs={"path": str(path), "rgb": pixels.ndim == 3})


def read_header(path: Path) -> ImageHeader:
    """The axes and pixel type that `read_image` will give, from the first bytes of the file.

    Raises:
        RetinaJError: as `read_image`, except that damage to the pixels themselves is not noticed.
    """
    path = Path(path)
    if _kind(path) == "tiff":
        sizes, dtype = tiff.read_header(path, MAX_IMAGE_BYTES)
        return ImageHeader(sizes, dtype)
    with _open_picture(path) as picture:
        channels = 1 if picture.mode in _GREY_MODES else 3
        sizes = ({"c": channels} if channels > 1 else {}) | {"y": picture.height, "x": picture.width}
        deep = picture.mode.startswith("I") or _png_depth(path) == 16
        dtype = np.dtype(np.uint16 if deep else np.uint8)
        # Not picture.getexif(): that of a PNG decodes all pixels to look behind them.
        return ImageHeader(sizes, dtype, turned=Image.Image.getexif(picture).get(0x0112, 1) != 1)


def find_images(folder: Path) -> list[Path]:
    """The PNG, JPEG and TIFF files directly in `folder`, without hidden ones, in natural order.

    Raises:
        RetinaJError: if `folder` is not a folder.
    """
    require_folder(Path(folder), "a folder of images")
    found = [path for path in Path(folder).iterdir() if is_image_name(path.name) and path.is_file()]
    return sorted(found, key=lambda path: natural_key(path.name))


def is_image_name(name: str) -> bool:
    """Whether a file of this name counts as an image: by its suffix, and not hidden.

    >>> is_image_name("Cell (2).TIF"), is_image_name("._cell.tif"), is_image_name("cell.xml")
    (True, False, False)
    """
    return not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES)


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """A sort key that puts numbers in the order of their values.

    >>> sorted(["cell10.png", "cell2.png"], key=natural_key)
    ['cell2.png', 'cell10.png']
    """
    # At most 18 digits at once, so that a hostile name cannot cost quadratic time in int().
    parts = re.findall(r"([0-9]{1,18})|([^0-9]+)", name.casefold())
    return tuple((0, int(number), "") if number else (1, 0, text) for number, text in parts), name


def _kind(path: Path) -> str:
    require_file(path, "an image file")
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise RetinaJError(f"{path} cannot be read: {error.strerror or error}.") from error
    if start[:4] in tiff.SIGNATURES:
        return "tiff"
    if start.startswith((_PNG_SIGNATURE, _JPEG_SIGNATURE)):
        return "picture"
    empty = "is empty" if not start else "is not a PNG, JPEG or TIFF image"
    raise RetinaJError(f"{path} {empty}. Open it in ImageJ and save it as TIFF, or leave it out.")


_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})


def _open_picture(path: Path) -> Image.Image:
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


def _decode_picture(path: Path) -> NDArray[Any]:
    """The pixels of a PNG or JPEG, [y, x] or [y, x, 3]."""
    with _open_picture(path) as picture:
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
