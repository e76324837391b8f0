"""KITTI: one text file per image, one object a line of 15 words, or 16 with a score.

    type truncated occluded alpha left top right bottom height width length x y z rotation [score]

Left, top, right and bottom are in pixels from 0; what stands behind them is the object's place in space and is not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from retinaj.annotations.annotation import NO_DETAILS, Annotation, ObjectDetails, clean_name
from retinaj.annotations.collecting import ObjectCollector, number, share
from retinaj.annotations.files import new_file
from retinaj.annotations.format import AnnotationFormat, Reading
from retinaj.annotations.text_files import is_number, label_files, numbered_lines, sample_lines
from retinaj.errors import RetinaJError

# The class that KITTI gives to regions whose objects nobody marked.
DONT_CARE = "DontCare"

_CORNERS = ("left", "top", "right", "bottom")
_NO_PLACE_IN_SPACE = "-1 -1 -1 -1000 -1000 -1000 -10"


def read(path: Path) -> Annotation:
    """Read one KITTI file.

    Args:
        path: a text file.

    Returns:
        The boxes in pixels, half open, with scores if all objects have one; class names sorted. Regions of the class
        "DontCare" are flagged as crowds. Lines that cannot be read are in `faults`.

    Raises:
        RetinaJError: if the file is missing, too large, not text, or nearly nothing in it can be read.
    """
    path = Path(path)
    objects = ObjectCollector(path)
    in_space = 0
    for place, words in numbered_lines(path, "KITTI labels (.txt)"):
        try:
            in_space += _add(objects, place, words)
        except RetinaJError as error:
            objects.fault(str(error))
    if in_space:
        objects.notes.append("the sizes and positions in space that KITTI holds are not read, only the boxes")
    return objects.annotation("", stem=path.stem)


def _add(objects: ObjectCollector, place: str, words: list[str]) -> bool:
    """Read one line; returns whether it has a place in space."""
    if len(words) not in (15, 16):
        raise RetinaJError(f"{place} has {len(words)} words; expected 15, or 16 with a score.")
    name = clean_name(words[0], place)
    truncated, occluded = (number(words[at], f"{place}: {what}") for at, what in ((1, "truncated"), (2, "occluded")))
    corners = [number(word, f"{place}: {what}") for word, what in zip(words[4:8], _CORNERS, strict=True)]
    details = NO_DETAILS
    # -1 is unknown
    if truncated > 0 or occluded > 0 or name == DONT_CARE:
        details = ObjectDetails(truncated=truncated > 0, occluded=occluded > 0, crowd=name == DONT_CARE)
    score = share(words[15], f"{place}: the score") if len(words) == 16 else None
    objects.add(place, name, corners, score=score, details=details)
    return any(is_number(word) and float(word) > 0 for word in words[8:11])


def _recognises(path: Path) -> bool:
    return any(_is_kitti(line.split()) for line in sample_lines(path))


def _is_kitti(words: list[str]) -> bool:
    if len(words) not in (15, 16) or not all(is_number(word) for word in words[1:]):
        return False
    # A YOLO polygon of 7 points has as many words; all of them are numbers, and shares.
    return not is_number(words[0]) or any(abs(float(word)) > 2 for word in words[1:])


def _read_all(path: Path, reading: Reading) -> list[Annotation]:
    return [read(file) for file in label_files(path)]


def _write_all(target: Path, annotations: Iterable[Annotation], class_names: Sequence[str], images: Path | None) -> None:
    words = _class_words(class_names)
    target.mkdir(exist_ok=True)
    for annotation in annotations:
        file = new_file(target, annotation, ".txt")
        with file.open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(_lines(annotation, words))


def _lines(annotation: Annotation, words: Sequence[str]) -> Iterable[str]:
    boxes = annotation.boxes
    for at, (corners, label) in enumerate(zip(boxes.xyxy.astype(np.float64).tolist(), boxes.label.tolist(), strict=True)):
        detail = annotation.detail(at)
        flags = f"{float(detail.truncated):.2f} {int(detail.occluded)}"
        score = "" if boxes.score is None else f" {boxes.score[at]:.9g}"
        box = " ".join(f"{value:.9g}" for value in corners)
        yield f"{words[label]} {flags} -10 {box} {_NO_PLACE_IN_SPACE}{score}\n"


def _class_words(class_names: Sequence[str]) -> list[str]:
    """The names without blanks, which end a word in KITTI.

    Raises:
        RetinaJError: if two classes would get one name.
    """
    words: dict[str, str] = {}
    for name in class_names:
        word = "_".join(name.split()) or "_"
        if word in words:
            raise RetinaJError(
                f"The classes {words[word]!r} and {name!r} would both be {word!r} in KITTI, whose names have no blanks; "
                "rename one."
            )
        words[word] = name
    return list(words)


FORMAT = AnnotationFormat(
    name="kitti",
    title="KITTI (one .txt per image)",
    layout="folder",
    suffix=".txt",
    holds=frozenset({"score", "fraction", "empty", "truncated", "occluded"}),
    limits=frozenset({"blank"}),
    recognises=_recognises,
    read=_read_all,
    write=_write_all,
)
