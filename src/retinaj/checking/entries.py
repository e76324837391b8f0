"""Reading annotations whatever some of them are like, and checking each by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from retinaj.annotations import Annotation, AnnotationFormat, Reading, find_format, format_named
from retinaj.checking.boxes import SAME_OBJECT, check_boxes
from retinaj.checking.findings import Finding
from retinaj.checking.pairing import without_path
from retinaj.errors import RetinaJError
from retinaj.images import ImageHeader

# A fault begins with its place: "object 3: <xmin> is missing", "line 7 has 3 numbers".
_PLACE = re.compile(r"(\w+ \d+):? (.+)", re.DOTALL)


def check_entries(
    pairs: Mapping[Path, Annotation], headers: Mapping[Path, ImageHeader], same_object: float = SAME_OBJECT
) -> Iterator[Finding]:
    """What can be said about each annotation by itself: objects that cannot be read, doubts of the reader, boxes."""
    for image, entry in pairs.items():
        for fault in entry.faults:
            begin = _PLACE.match(fault)
            place, message = begin.groups() if begin else ("", fault)
            yield Finding("unreadable-object", entry.source, message.removesuffix("."), place, image)
        for note in entry.notes:
            yield Finding("doubtful", entry.source, note, image=image)
        yield from check_boxes(entry, image, headers.get(image), same_object)


def read_source(path: Path, reading: Reading) -> tuple[AnnotationFormat, list[Annotation], list[Finding]]:
    """All annotations of a file or folder that can be read, and a finding for each file that cannot.

    Raises:
        RetinaJError: if it does not exist, is of no known format, or is broken and all there is.
    """
    findings: list[Finding] = []

    def broken(file: Path, error: RetinaJError) -> None:
        findings.append(Finding("unreadable-annotation", file, without_path(error, file)))

    chosen = find_format(path) if reading.format is None else format_named(reading.format)
    return chosen, chosen.read(path, replace(reading, broken=broken)), findings
