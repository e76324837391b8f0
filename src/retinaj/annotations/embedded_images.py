"""Images inside records: what they are, under which name to give them back, and making them from any image file."""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from PIL import Image

from retinaj.annotations.record_file import MAX_RECORD_BYTES
from retinaj.errors import RetinaJError
from retinaj.files import require_file
from retinaj.images import read_image

_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}
_SUFFIXES = {"png": (".png",), "jpeg": (".jpg", ".jpeg")}
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L"})

_MAX_STEM = 200  # bytes: most file systems take names of 255 in all
_UNSAFE = re.compile('[\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"|?*]')
# What Windows takes for a device, whatever the suffix.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


class EmbeddedImage(NamedTuple):
    """What an encoded image is: "png" or "jpeg", its size in pixels, and 1 or 3 channels."""

    kind: str
    width: int
    height: int
    channels: int


def describe(data: bytes, where: str) -> EmbeddedImage:
    """What an encoded image is, from its header.

    Args:
        data: the content of a PNG or JPEG file.
        where: what it comes from, for errors.

    Raises:
        RetinaJError: if it is neither PNG nor JPEG, or its header is damaged.
    """
    kind = _kind(data)
    if kind is None:
        raise RetinaJError(f"{where}: its image is neither PNG nor JPEG; RetinaJ and the API's own tools write these two.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
                return EmbeddedImage(kind, *picture.size, 1 if picture.mode in _GREY_MODES else 3)
    except Exception as error:  # a damaged file makes decoders raise nearly anything
        raise RetinaJError(f"{where}: its image is damaged, or larger than RetinaJ decodes from PNG and JPEG.") from error


def encode_image(path: Path) -> bytes:
    """The content of an image file as PNG or JPEG: as it is if it is one of these, else the same pixels as PNG.

    Args:
        path: any image file that RetinaJ reads.

    Raises:
        RetinaJError: if the image is a stack, has other than one or three channels, or values that no PNG holds: fractions,
            negative ones, or those above 65,535.
    """
    require_file(path, "an image file")
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            if _kind(start):
                # A file that is too large for a record is refused there; no more than that is read of it.
                return start + stream.read(MAX_RECORD_BYTES)
    except OSError as error:
        raise RetinaJError(f"{path} cannot be read: {error.strerror or error}.") from error
    image = read_image(path)
    stack = [f"{axis} = {image.sizes[axis]}" for axis in "tz" if axis in image.dims]
    if stack:
        raise RetinaJError(
            f"{path} is a stack ({', '.join(stack)}); TFRecord holds single planes. In ImageJ, save its slices with "
            "File > Save As > Image Sequence, and annotate those."
        )
    if image.sizes.get("c", 1) not in (1, 3):
        raise RetinaJError(
            f"{path} has {image.sizes['c']} channels; TFRecord holds images of one or three. Choose some of them in ImageJ "
            "(Image > Color > Split Channels, then Merge Channels, as RGB)."
        )
    pixels = _as_png_holds(path, image)
    import imagecodecs

    return bytes(imagecodecs.png_encode(pixels))


def _as_png_holds(path: Path, image: xr.DataArray) -> NDArray[Any]:
    """The pixels [y, x] or [y, x, 3], as uint8 if they have 8 bits, else uint16, no value changed."""
    pixels = np.ascontiguousarray(image.transpose("y", "x", ...).to_numpy())
    if pixels.dtype == np.uint8:
        return pixels
    with np.errstate(invalid="ignore"):  # what does not fit is seen by comparing
        deep = pixels.astype(np.uint16)
    if not np.array_equal(deep, pixels):
        raise RetinaJError(
            f"{path} has {pixels.dtype} values that PNG images do not hold (it has {pixels.min():g} to {pixels.max():g}; "
            "expected whole numbers from 0 to 65,535). Convert it in ImageJ: Image > Type > 16-bit, or 8-bit."
        )
    return deep


class FileNames:
    """Gives each embedded image a file name of its own that is safe on every system, whatever the record calls it.

    >>> names = FileNames()
    >>> names.safe("C:\\\\data\\\\cell.jpg", "jpeg"), names.safe("../cell.JPG", "png"), names.safe("", "png")
    ('cell.jpg', 'cell-2.png', 'image.png')
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}  # of each stem taken, the last number that went to its namesakes

    def safe(self, wanted: str, kind: str) -> str:
        """A file name with the right suffix; no two have the same stem, because annotations may be named after it.

        Args:
            wanted: the name or path in the record, perhaps empty.
            kind: "png" or "jpeg".
        """
        # Composed, because macOS takes é as one character and as two for the same name.
        name = unicodedata.normalize("NFC", re.split(r"[/\\]", wanted)[-1])
        name = _UNSAFE.sub("_", name).strip(" .")
        stem, dot, suffix = name.rpartition(".")
        suffix = (dot + suffix).lower()
        if not stem or suffix not in (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif"):
            stem, suffix = name, ""
        stem = stem.encode()[:_MAX_STEM].decode(errors="ignore").strip(" .") or "image"
        if _DEVICE.fullmatch(stem):
            stem = f"_{stem}"
        chosen = stem
        while (key := chosen.casefold()) in self._last:
            self._last[stem.casefold()] += 1
            chosen = f"{stem}-{self._last[stem.casefold()]}"
        self._last[key] = 1
        return chosen + (suffix if suffix in _SUFFIXES[kind] else _SUFFIXES[kind][0])


def _kind(start: bytes) -> str | None:
    return next((kind for signature, kind in _SIGNATURES.items() if start.startswith(signature)), None)
