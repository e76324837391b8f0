"""What every annotation format is read into."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError

MAX_NAME_LENGTH = 1000

# Also halves of surrogate pairs, which UTF-8 cannot hold.
_CONTROL_CHARACTER = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Annotation:
    """The boxes that one file gives for one image, as written there: not yet compared with the image.

    Attributes:
        source: the annotation file.
        image_name: the image's file name as the annotation has it, perhaps with folders; "" if it has none.
        boxes: all its boxes, also those without area or outside the image.
        size: (width, height) of the image in pixels as the annotation has it, or None.
        notes: what the reader left out or doubts, one sentence each.
    """

    source: Path
    image_name: str
    boxes: Boxes
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


def clean_name(name: str, where: str) -> str:
    """The name of a class as tables, pictures and files can hold it: line breaks, tabs and repeated spaces become one space.

    Args:
        name: as the annotation has it; perhaps empty.
        where: the file and the place in it, for the error.

    Raises:
        RetinaJError: if it has other control characters, or more than MAX_NAME_LENGTH characters.

    >>> clean_name(" red\\ncell ", "a.xml")
    'red cell'
    """
    if len(name) > MAX_NAME_LENGTH:
        raise RetinaJError(
            f"{where}: the name {name[:40]!r}... has {len(name):,} characters; RetinaJ reads up to {MAX_NAME_LENGTH:,}. "
            "Shorten it."
        )
    name = " ".join(name.split())
    if found := _CONTROL_CHARACTER.search(name):
        raise RetinaJError(f"{where}: the name {name[:40]!r} contains the control character {found.group()!r}; remove it.")
    return name


def relabel(boxes: Boxes, class_names: Sequence[str], where: str) -> Boxes:
    """The same boxes with labels into other class names.

    Args:
        boxes: of classes that are all among `class_names`, as far as they have boxes.
        class_names: the new order.
        where: what the boxes come from, for the error.

    Raises:
        RetinaJError: if a box has a class that is not among them.

    >>> relabel(Boxes([[0, 0, 1, 1]], [0], ("cell",)), ["debris", "cell"], "a.xml").label.tolist()
    [1]
    """
    index = {name: label for label, name in enumerate(class_names)}
    unknown = sorted(set(boxes.names) - set(index))
    if unknown:
        raise RetinaJError(
            f"{where} has objects of the class {unknown[0]!r}, which is none of {list(class_names)}. "
            "Correct the annotation, or train a model on data that has this class."
        )
    label = np.array([index.get(name, -1) for name in boxes.class_names], np.int32)
    return replace(boxes, label=label[boxes.label], class_names=tuple(class_names))
