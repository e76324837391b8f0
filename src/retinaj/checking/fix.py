"""Corrected copies of annotations: what can be put right without asking, each change written down."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from retinaj.annotations import Annotation, AnnotationFormat, format_named, losses, write_annotations
from retinaj.boxes import Boxes
from retinaj.checking.boxes import BoxKinds, describe_box
from retinaj.checking.classes import count_classes, one_spelling
from retinaj.checking.findings import Finding, Grade
from retinaj.checking.near_boxes import near_pairs
from retinaj.checking.run import CheckResult, Source
from retinaj.errors import RetinaJError
from retinaj.files import atomic_folder, require_absent
from retinaj.images import ImageHeader

CHANGES_JSON, CHANGES_TEXT = "changes.json", "changes.txt"
# Annotation tools put a box that is duplicated by a key this far beside the first (labelImg: 2 pixels).
_COPY_SHIFT = 2.0
# If more boxes than this have swapped corners, it is not a slip but another meaning of the numbers.
_FEW_SWAPPED = 0.1


@dataclass(frozen=True)
class Change:
    """One correction.

    Attributes:
        check: which of CHECKS it answers.
        file: the annotation.
        place: where in it.
        what: what was done.
    """

    check: str
    file: Path
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.file.name}: {self.place} {self.what}" if self.place else f"{self.file.name} {self.what}"


@dataclass(frozen=True)
class Fixed:
    """What a corrected copy has, and has not.

    Attributes:
        changes: all corrections, in the order of the files.
        left: errors and warnings that only a person can put right.
        losses: what the copy leaves out because RetinaJ does not write it, a sentence each.
    """

    changes: tuple[Change, ...]
    left: tuple[Finding, ...]
    losses: tuple[str, ...]


def write_fixed(result: CheckResult, folder: Path) -> Fixed:
    """Write corrected copies of the annotations that need it, with a list of the changes.

    The copies are in the format of the originals, but for label images and masks, which cannot be written from boxes without
    changing them: these become COCO, or on stacks a table (CSV).

    Corners that are swapped are put in order, boxes that reach over the border are cut there, boxes without an area and second
    copies of a box are removed, classes that differ only in spelling get the name that is used most, and sizes and channels
    those of the image. Everything else stays as it is.

    Args:
        result: of `check_dataset`.
        folder: to make; it has a copy of each annotation file or folder with a change under its own name, changes.json and
            changes.txt. With nothing to change, nothing is written.

    Raises:
        RetinaJError: if the folder exists, nothing could be read, or two annotations have the same name.
    """
    sources = [(source, source.format) for source in result.sources if source.format is not None and source.annotations]
    if not sources:
        raise RetinaJError("There is no annotation that could be read, so there is nothing to fix.")
    names = Counter(source.path.resolve().name for source, _ in sources)
    if twice := next((name for name, count in names.items() if count > 1), None):
        raise RetinaJError(
            f"Two of the annotations are called {twice}, and cannot both be written to {folder}; fix them apart."
        )
    everything = [entry for source, _ in sources for entry in source.annotations]
    spelling = one_spelling(count_classes(everything))
    swapped = sum(int(BoxKinds.of(entry.boxes, None).swapped.sum()) for entry in everything)
    few_swapped = swapped <= max(1, _FEW_SWAPPED * sum(len(entry.boxes) for entry in everything))
    changes: list[Change] = []
    lost: list[str] = []
    require_absent(folder)
    corrected: list[tuple[Source, AnnotationFormat, list[Annotation]]] = []
    for source, chosen in sources:
        before = len(changes)
        fixed = [_fix(entry, image, result, spelling, few_swapped, changes) for entry, image in _with_images(source)]
        if len(changes) > before:
            corrected.append((source, chosen, fixed))
        elif len(sources) > 1:
            lost.append(f"{source.path} needs no change and is not in the copy.")
    left = _left(result, changes)
    if not changes:
        return Fixed((), tuple(left), ())
    with atomic_folder(folder) as temporary:
        for source, chosen, fixed in corrected:
            name = source.path.resolve().name
            if chosen.as_pixels:
                original, (chosen, fixed) = chosen, _exact(fixed)
                name += chosen.suffix
                lost.append(
                    f"{source.path} is corrected as {chosen.title}, {name}: {original.title} would turn its boxes into "
                    "rectangles of pixels."
                )
            if chosen.needs_size:
                lost += [f"{each.source.name} is not in the copy: it states no size." for each in fixed if each.size is None]
                fixed = [each for each in fixed if each.size is not None]
            write_annotations(temporary / name, fixed, chosen, images=_images(result, chosen))
            lost += [line for line in [losses(fixed, chosen)] if line]
        (temporary / CHANGES_JSON).write_text(_as_json(result, changes, left), encoding="utf-8", newline="\n")
        (temporary / CHANGES_TEXT).write_text(_as_text(changes, left, lost), encoding="utf-8", newline="\n")
    return Fixed(tuple(changes), tuple(left), tuple(lost))


def _exact(entries: Sequence[Annotation]) -> tuple[AnnotationFormat, list[Annotation]]:
    """A format with one file for all images that holds these boxes exactly, and the annotations as it names them."""
    planes = any(entry.boxes.plane is not None for entry in entries)
    named = [replace(entry, image_name=entry.image_name or entry.stem or "", stem=None) for entry in entries]
    return format_named("csv" if planes else "coco"), named


def _with_images(source: Source) -> list[tuple[Annotation, Path | None]]:
    image_of = {id(entry): image for image, entry in source.pairs.annotations.items()}
    return [(entry, image_of.get(id(entry))) for entry in source.annotations]


def _images(result: CheckResult, chosen: AnnotationFormat) -> Path | None:
    """The folder of images, for formats that count in shares of them."""
    return result.images if chosen.needs_size else None


def _fix(
    entry: Annotation,
    image: Path | None,
    result: CheckResult,
    spelling: Mapping[str, str],
    few_swapped: bool,
    changes: list[Change],
) -> Annotation:
    header = None if image is None else result.headers.get(image)
    if image is not None and entry.stem is not None:
        entry = replace(entry, image_name=image.name)  # a file per image is named after it
    entry = _spell(entry, spelling, changes)
    entry = _fit_to_image(entry, header, changes)
    if few_swapped:
        entry = _order_corners(entry, header, changes)
    return _remove(_cut(entry, header, changes), result.same_object, changes)


def _spell(entry: Annotation, spelling: Mapping[str, str], changes: list[Change]) -> Annotation:
    names = entry.boxes.names
    if not any(name in spelling for name in names):
        return entry
    for at, name in enumerate(names):
        if name in spelling:
            changes.append(
                Change("class-spelling", entry.source, entry.place(at), f"is called {spelling[name]!r} instead of {name!r}")
            )
    class_names = tuple(dict.fromkeys(spelling.get(name, name) for name in entry.boxes.class_names))
    label = np.array([class_names.index(spelling.get(name, name)) for name in names], np.int32)
    return replace(entry, boxes=replace(entry.boxes, label=label, class_names=class_names))


def _fit_to_image(entry: Annotation, header: ImageHeader | None, changes: list[Change]) -> Annotation:
    """The image's size, if the boxes fit into it, and its number of channels."""
    if header is None:
        return entry
    size = (header.width, header.height)
    entry = replace(entry, size=entry.size or size)
    if entry.size not in (None, size) and not BoxKinds.of(entry.boxes, header).beyond.any():
        what = f"states {size[0]} x {size[1]} pixels, as the image has, instead of {entry.size[0]} x {entry.size[1]}"
        changes.append(Change("size-differs", entry.source, "", what))
        entry = replace(entry, size=size)
    if entry.depth is not None and entry.depth != header.channels:
        what = f"states the number of channels that the image has, {header.channels}, instead of {entry.depth}"
        changes.append(Change("depth-differs", entry.source, "", what))
        entry = replace(entry, depth=header.channels)
    return entry


def _order_corners(entry: Annotation, header: ImageHeader | None, changes: list[Change]) -> Annotation:
    swapped = BoxKinds.of(entry.boxes, header).swapped
    if not swapped.any():
        return entry
    pairs = entry.boxes.xyxy.reshape(-1, 2, 2)
    ordered = np.hstack([pairs.min(axis=1), pairs.max(axis=1)])
    kinds = BoxKinds.of(replace(entry.boxes, xyxy=ordered), header)
    chosen = swapped & ~(kinds.beyond | kinds.unusable)
    for at in np.flatnonzero(chosen).tolist():
        what = f"{describe_box(entry.boxes, at)} has its corners in order"
        changes.append(Change("swapped-corners", entry.source, entry.place(at), what))
    return replace(entry, boxes=replace(entry.boxes, xyxy=np.where(chosen[:, None], ordered, entry.boxes.xyxy)))


def _cut(entry: Annotation, header: ImageHeader | None, changes: list[Change]) -> Annotation:
    """Boxes that reach over the border end there, unless the annotation is for an image of another size."""
    if header is None or (entry.size is not None and entry.size != (header.width, header.height)):
        return entry
    kinds = BoxKinds.of(entry.boxes, header)
    chosen = kinds.beyond & ~kinds.unusable
    for at in np.flatnonzero(chosen).tolist():
        what = f"{describe_box(entry.boxes, at)} is cut at the border of the image"
        changes.append(Change("over-border", entry.source, entry.place(at), what))
    clipped = entry.boxes.clipped(header.width, header.height).xyxy
    return replace(entry, boxes=replace(entry.boxes, xyxy=np.where(chosen[:, None], clipped, entry.boxes.xyxy)))


def _remove(entry: Annotation, same_object: float, changes: list[Change]) -> Annotation:
    """Without boxes that have no area, and without second copies."""
    boxes = entry.boxes
    kinds = BoxKinds.of(boxes, None)
    gone = kinds.empty | kinds.click
    changes += [
        Change("zero-area", entry.source, entry.place(at), f"{describe_box(boxes, at)} is removed: there is no area in it")
        for at in np.flatnonzero(gone).tolist()
    ]
    single = np.array([not entry.detail(at).crowd for at in range(len(boxes))], np.bool_)
    for first, second, _ in near_pairs(boxes, single & (boxes.area > 0), same_object):
        if gone[first] or gone[second] or not _is_copy(boxes, first, second):
            continue
        gone[second] = True
        same = bool((boxes.xyxy[first] == boxes.xyxy[second]).all())
        why = "the same box as" if same else "a shifted copy of"
        what = f"{describe_box(boxes, second)} is removed: it is {why} {entry.place(first)}"
        changes.append(Change("duplicate-box" if same else "near-duplicate-box", entry.source, entry.place(second), what))
    return entry.select(~gone) if gone.any() else entry


def _is_copy(boxes: Boxes, first: int, second: int) -> bool:
    """Of the same class and exactly the same size, as far apart as tools put copies."""
    shift = boxes.xyxy[second] - boxes.xyxy[first]
    return bool(
        boxes.label[first] == boxes.label[second] and (shift[:2] == shift[2:]).all() and (np.abs(shift) <= _COPY_SHIFT).all()
    )


def _left(result: CheckResult, changes: Sequence[Change]) -> list[Finding]:
    """Errors and warnings that no change answers."""
    done = {(change.check, change.file, change.place) for change in changes}
    places = {(change.check, change.file) for change in changes if change.check == "class-spelling"}

    def answered(finding: Finding) -> bool:
        if (finding.check, finding.file) in places or (finding.check, finding.file, finding.place) in done:
            return True
        *_, second = finding.place.split(" and ")  # of a pair, the second is removed
        return (finding.check, finding.file, second) in done

    return [each for each in result.findings if each.grade is not Grade.NOTE and not answered(each)]


def _as_json(result: CheckResult, changes: Sequence[Change], left: Sequence[Finding]) -> str:
    content = {
        "format": "retinaj-fix",
        "version": 1,
        "retinaj": version("retinaj"),
        "annotations": [str(source.path) for source in result.sources],
        "changes": [{"check": each.check, "file": str(each.file), "place": each.place, "what": each.what} for each in changes],
        "left": [
            {
                "check": each.check,
                "grade": str(each.grade),
                "file": str(each.file),
                "place": each.place,
                "message": each.message,
            }
            for each in left
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _as_text(changes: Sequence[Change], left: Sequence[Finding], notes: Sequence[str]) -> str:
    lines = [f"Changed: {len(changes)}", *(f"  {each}" for each in changes)]
    lines += ["", f"Left as it is, for you to decide: {len(left)}", *(f"  {each.grade}: {each}" for each in left)]
    lines += ["", *notes] if notes else []
    lines += [
        "",
        "The copy has what RetinaJ reads: boxes, classes and flags. Outlines and other details, and objects and files",
        "that could not be read, are only in the originals, which are unchanged.",
        "",
    ]
    return "\n".join(lines)
