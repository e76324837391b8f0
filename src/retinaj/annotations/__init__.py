"""Annotation formats, each read into and written from Boxes, chosen by content or by name."""

from __future__ import annotations

from pathlib import Path

from retinaj.annotations.annotation import Annotation, ObjectDetails, relabel, require_sound
from retinaj.annotations.format import AnnotationFormat, Reading
from retinaj.annotations.registry import FORMATS, find_format, format_named
from retinaj.annotations.writing import losses, write_annotations

__all__ = [
    "FORMATS",
    "Annotation",
    "AnnotationFormat",
    "ObjectDetails",
    "Reading",
    "find_format",
    "format_named",
    "losses",
    "read_annotations",
    "relabel",
    "require_sound",
    "write_annotations",
]


def read_annotations(path: Path, reading: Reading | None = None) -> list[Annotation]:
    """Read all annotations of a data set, whatever their format.

    Args:
        path: a file or folder of one of FORMATS.
        reading: how, where the files leave it open; also names the format if its content does not tell.

    Returns:
        One Annotation per image that is mentioned, in natural order of the file names, or in the order of the one file.
        Objects that could not be read are in `faults`: see `require_sound`.

    Raises:
        RetinaJError: if there is no such file, it is of no known format, or a file is broken as a whole.
    """
    path, reading = Path(path), reading or Reading()
    chosen = find_format(path) if reading.format is None else format_named(reading.format)
    return chosen.read(path, reading)
