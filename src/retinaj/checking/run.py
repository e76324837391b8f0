"""One pass over a data set: everything that `retinaj check` looks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retinaj.annotations import Annotation, AnnotationFormat, Reading
from retinaj.checking.boxes import SAME_OBJECT, BoxKinds, without_crowds
from retinaj.checking.classes import check_classes, check_trained
from retinaj.checking.entries import check_entries, read_source
from retinaj.checking.findings import CHECKS, Finding, Grade, in_order
from retinaj.checking.folders import require_images
from retinaj.checking.images import check_links, check_names, check_planes, read_headers
from retinaj.checking.leakage import Comparison, compare_parts
from retinaj.checking.pairing import Pairs, check_empty, check_missing, check_unannotated, pair, without_path
from retinaj.checking.parts import Part, divide
from retinaj.errors import RetinaJError
from retinaj.images import ImageHeader
from retinaj.images.files import ImageFiles
from retinaj.images.plane_choice import AS_STORED, PlaneChoice

# Of one check in one file: a hostile file has a million wrong boxes, and nobody reads more of a real one.
_MOST_IN_A_FILE = 1000


@dataclass(frozen=True)
class Source:
    """One annotation file or folder, read.

    Attributes:
        path: of it.
        format: None if it could not be read at all.
        annotations: all that could be read.
        pairs: them and their images.
    """

    path: Path
    format: AnnotationFormat | None
    annotations: list[Annotation]
    pairs: Pairs


@dataclass(frozen=True)
class CheckResult:
    """What was checked, and what was found.

    Attributes:
        images: folder of the images.
        sources: the annotations.
        parts: how many annotated images each part has.
        boxes: how many boxes there are in all annotations.
        headers: of the images that have one.
        findings: errors first.
        comparison: of the pixels; None if they were not compared.
        same_object: IoU from which on two boxes were taken for one object.
        planes: how the images were read.
    """

    images: Path
    sources: tuple[Source, ...]
    parts: Mapping[str, int]
    boxes: int
    headers: Mapping[Path, ImageHeader]
    findings: tuple[Finding, ...]
    comparison: Comparison | None = None
    same_object: float = SAME_OBJECT
    planes: PlaneChoice = AS_STORED

    def of(self, check: str) -> list[Finding]:
        """The findings of one check."""
        return [each for each in self.findings if each.check == check]

    def counts(self) -> dict[str, int]:
        """How many findings each check has that has any, errors first."""
        found = Counter(each.check for each in self.findings)
        return {check: found[check] for check in CHECKS if found[check]}

    def graded(self) -> dict[Grade, int]:
        """How many findings there are of each grade."""
        found = Counter(each.grade for each in self.findings)
        return {grade: found[grade] for grade in Grade}


def check_dataset(
    images: Path,
    parts: Sequence[Part],
    *,
    reading: Reading | None = None,
    planes: PlaneChoice | None = None,
    same_object: float = SAME_OBJECT,
    compare: bool = True,
    seconds: float = 60,
    progress: Callable[[int, int], None] | None = None,
) -> CheckResult:
    """Check images, annotations and how they are divided.

    A broken file is a finding, and does not keep the rest from being checked.

    Args:
        images: folder of the images.
        parts: as `find_parts` finds them.
        reading: how to read the annotations, where they leave it open; the folder of images is known here.
        planes: how images are read and stacks become planes; default: every plane that has boxes by itself.
        same_object: IoU, above 0 up to 1, from which on two boxes are taken for one object.
        compare: read the pixels too: finds images that cannot be decoded, copies and overlaps.
        seconds: limit of the comparison, see `compare_parts`.
        progress: as for `compare_parts`.

    Raises:
        RetinaJError: if there is no such folder of images or file of annotations or names, the folder has no images, or
            `same_object` is out of range.
    """
    if not 0 < same_object <= 1:
        raise RetinaJError(f"The overlap of boxes is {same_object}; expected an IoU above 0 up to 1.")
    images, planes = Path(images), planes or AS_STORED
    files = ImageFiles(images)
    findings = list(check_links(images))
    reading = replace(reading or Reading(), images=images)
    sources = {path: _read(path, reading, files, findings) for path in dict.fromkeys(part.annotations for part in parts)}
    pairs = {path: source.pairs for path, source in sources.items()}
    if not any(each.annotations for each in pairs.values()):
        require_images(files, list(sources))
    members, divided = divide(parts, pairs, files)
    headers, unreadable = read_headers(files.paths, planes.header)
    outside = {path for each in pairs.values() for path in each.annotations} - set(files.paths)
    more_headers, more_unreadable = read_headers(
        sorted(outside), planes.header
    )  # in folders below, named by one file for many images
    headers |= more_headers
    findings += [*divided, *unreadable, *more_unreadable, *check_names(headers)]
    if any(source.annotations for source in sources.values()):  # else all images, and the reason is known
        findings += _check_unannotated(pairs, files, findings)
    for source in sources.values():
        findings += check_missing(source.pairs, images) + check_empty(source.pairs)
        findings += check_entries(source.pairs.annotations, headers, same_object)
        findings += check_planes(source.pairs.annotations, headers, planes)
    together = {path: entry for each in pairs.values() for path, entry in each.annotations.items()}
    findings += check_classes(together)
    if not any(each.grade is Grade.ERROR for each in findings):
        findings += _check_any(together, headers, files, parts[0])
    training = [part.name for part in parts if part.is_training]
    if training and len(parts) > 1:
        findings += check_trained(members, training[0])
    comparison = None
    if compare:
        known = {each.file for each in findings if each.check == "unreadable-image"}
        chosen = {name: [path for path in each if path in headers] for name, each in members.items()}
        comparison = compare_parts(chosen, planes=planes, seconds=seconds, progress=progress)
        findings += [each for each in comparison.findings if each.file not in known]
    counts = {name: len(each) for name, each in members.items()}
    boxes = sum(len(entry.boxes) for source in sources.values() for entry in source.annotations)
    ordered = tuple(in_order(_limited(findings)))
    return CheckResult(images, tuple(sources.values()), counts, boxes, headers, ordered, comparison, same_object, planes)


def _read(path: Path, reading: Reading, files: ImageFiles, findings: list[Finding]) -> Source:
    if not path.exists():
        raise RetinaJError(f"{path} does not exist; expected a file or folder of annotations.")
    try:
        chosen, annotations, broken = read_source(path, reading)
    except RetinaJError as error:
        check = "no-annotations" if path.is_dir() else "unreadable-annotation"
        findings.append(Finding(check, path, without_path(error, path)))
        return Source(path, None, [], Pairs({}, [], []))
    pairs = pair(annotations, files)
    findings += broken + pairs.findings
    return Source(path, chosen, annotations, pairs)


def _check_any(
    together: Mapping[Path, Annotation], headers: Mapping[Path, ImageHeader], files: ImageFiles, part: Part
) -> Iterator[Finding]:
    """Whether there is an object at all that training could use."""
    if not together:
        message = f"annotates none of the images in {files.folder}"
        yield Finding("nothing-to-learn", part.annotations, message)
    elif all(BoxKinds.of(without_crowds(entry).boxes, headers[path]).unusable.all() for path, entry in together.items()):
        images = "the only image" if len(together) == 1 else f"any of the {len(together):,} images"
        yield Finding("nothing-to-learn", part.annotations, f"has no usable object on {images}")


def _check_unannotated(pairs: Mapping[Path, Pairs], files: ImageFiles, findings: Iterable[Finding]) -> list[Finding]:
    """Images that none of the annotations mean; those whose annotation is broken are known already."""
    together = Pairs({path: entry for each in pairs.values() for path, entry in each.annotations.items()}, [], [])
    broken = {each.file.stem for each in findings if each.check in ("unreadable-annotation", "ambiguous-image")}
    return [each for each in check_unannotated(together, files) if each.file.stem not in broken]


def _limited(findings: Iterable[Finding]) -> Iterator[Finding]:
    """At most so many of one check in one file; the next one says how many more there are."""
    counts = Counter[tuple[str, Path]]()
    first_cut: dict[tuple[str, Path], Finding] = {}
    for each in findings:
        key = (each.check, each.file)
        counts[key] += 1
        if counts[key] <= _MOST_IN_A_FILE:
            yield each
        else:
            first_cut.setdefault(key, each)
    for (check, file), each in first_cut.items():
        more = counts[check, file] - _MOST_IN_A_FILE
        yield Finding(check, file, f"has {more:,} more of this kind, which are not listed", image=each.image)
