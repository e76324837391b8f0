"""The ROIs that ImageJ keeps inside a TIFF: its overlay, or else its selection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile

from retinaj.errors import RetinaJError
from retinaj.files import require_file
from retinaj.images import read_header
from retinaj.quiet import silenced

_TAG = 50839  # IJMetadata


@dataclass(frozen=True)
class StackShape:
    """How ImageJ counts the planes of a stack: channels first, then slices, then frames.

    Attributes:
        channels, slices, frames: how many, 1 where there is no such axis.

    >>> StackShape(channels=2, slices=5, frames=3).plane(12)
    (1, 1, 0)
    """

    channels: int = 1
    slices: int = 1
    frames: int = 1

    def plane(self, number: int) -> tuple[int, int, int]:
        """(t, c, z), 0-based, of the plane with this number, from 1."""
        rest, c = divmod(number - 1, self.channels)
        if self.frames == 1:
            return 0, c, rest
        t, z = divmod(rest, self.slices)
        return t, c, z

    @property
    def is_plain(self) -> bool:
        """Whether ImageJ opens it as a plain stack, whose planes have one number each."""
        return self.channels == 1 and (self.slices == 1 or self.frames == 1)


@dataclass(frozen=True)
class Overlay:
    """What a TIFF has: the bytes of each ROI, the (width, height) of the image in pixels, its planes, and what was left out."""

    rois: list[bytes]
    size: tuple[int, int]
    stack: StackShape
    notes: tuple[str, ...] = ()


def read_overlay(path: Path) -> Overlay:
    """The ROIs inside a TIFF; none if ImageJ put none there.

    Raises:
        RetinaJError: if the file is missing, damaged or of an absurd size.
    """
    require_file(path, "a TIFF file")
    overlay, selection = _roi_bytes(path)
    header = read_header(path)
    notes = ("it has an overlay and also a selection, which is left out",) if overlay and selection else ()
    return Overlay(overlay or selection, (header.width, header.height), stack_shape(path), notes)


def has_overlay(path: Path) -> bool:
    """Whether a file is a TIFF with ROIs in it; never raises."""
    try:
        return any(_roi_bytes(path))
    except (RetinaJError, OSError):
        return False


def stack_shape(path: Path) -> StackShape:
    """The stack that an image file holds, as ImageJ counts it: the colours of RGB are no channels.

    Raises:
        RetinaJError: if its header cannot be read.
    """
    header = read_header(path)
    colours = header.channels == 3 and header.dtype == "uint8"
    return StackShape(1 if colours else header.channels, header.sizes.get("z", 1), header.sizes.get("t", 1))


def _roi_bytes(path: Path) -> tuple[list[bytes], list[bytes]]:
    """The ROIs of the overlay and the selection."""
    try:
        with silenced("tifffile"), tifffile.TiffFile(path) as file:
            tag: Any = file.pages.first.tags.get(_TAG)
            metadata: Any = None if tag is None else tag.value
    except Exception as error:  # a damaged file makes the decoder raise nearly anything
        raise RetinaJError(f"{path} is damaged or no TIFF: {error}.") from error
    if not isinstance(metadata, dict):
        return [], []
    return _list(metadata.get("Overlays")), _list(metadata.get("ROI"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def _list(value: Any) -> list[bytes]:
    values = [] if value is None else value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType]
    return [each for each in values if isinstance(each, bytes)]  # pyright: ignore[reportUnknownVariableType]
