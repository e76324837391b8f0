"""Which annotation belongs to which image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retinaj.annotations import Annotation
from retinaj.checking.findings import Finding
from retinaj.errors import RetinaJError
from retinaj.images.files import ImageFiles


@dataclass(frozen=True)
class Pairs:
    """Annotations and their images.

    Attributes:
        annotations: of each image that has one, in their order.
        missing: the annotations whose image is not in the folder.
        findings: what kept annotations from being paired: errors.
    """

    annotations: dict[Path, Annotation]
    missing: list[Annotation]
    findings: list[Finding]


def pair(annotations: Sequence[Annotation], files: ImageFiles) -> Pairs:
    """Find the image of each annotation."""
    paired: dict[Path, Annotation] = {}
    missing: list[Annotation] = []
    findings: list[Finding] = []
    for entry in annotations:
        try:
            path = files.find(entry.image_name, entry.stem, entry.source)
        except RetinaJError as error:
            findings.append(Finding("ambiguous-image", entry.source, without_path(error, entry.source)))
            continue
        if path is None:
            missing.append(entry)
        elif path in paired:
            both = f"is annotated twice, in {paired[path].source.name} and in {entry.source.name}; keep one of them"
            findings.append(Finding("annotated-twice", path, both, image=path))
        else:
            paired[path] = entry
    return Pairs(paired, missing, findings)


def check_missing(pairs: Pairs, folder: Path) -> list[Finding]:
    """Annotations whose image is not in the folder of images."""
    return [
        Finding("missing-image", entry.source, f"its image {entry.image_name or entry.source.stem!r} is not in {folder}")
        for entry in pairs.missing
    ]


def check_unannotated(pairs: Pairs, files: ImageFiles) -> list[Finding]:
    """Images that no annotation means."""
    return [
        Finding("missing-annotation", path, "has no annotation", image=path)
        for path in files.paths
        if path not in pairs.annotations
    ]


def check_empty(pairs: Pairs) -> list[Finding]:
    """Annotations without any object."""
    return [
        Finding("no-objects", entry.source, "has no objects", image=path)
        for path, entry in pairs.annotations.items()
        if not len(entry.boxes) and not entry.faults
    ]


def without_path(error: Exception, path: Path) -> str:
    """An error about a file without the file's name, which the finding has already.

    >>> [without_path(RetinaJError(text), Path("a.xml")) for text in ("a.xml: is broken.", "a.xml is broken.")]
    ['is broken', 'is broken']
    """
    return str(error).removeprefix(str(path)).lstrip(": ").removesuffix(".")
