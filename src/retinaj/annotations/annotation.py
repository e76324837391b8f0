"""What every annotation format is read into."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retinaj.boxes import Boxes
from retinaj.colours import RGB
from retinaj.errors import RetinaJError

MAX_NAME_LENGTH = 1000

# Also halves of surrogate pairs, which UTF-8 cannot hold.
_CONTROL_CHARACTER = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class ObjectDetails:
    """What a format says about one object beside its class, box, score and plane.

    Attributes:
        difficult: hard to recognise, so that missing it is no error (VOC, TFRecord).
        truncated: part of it lies outside the image (VOC, KITTI, TFRecord).
        occluded: part of it is hidden behind another (VOC, KITTI).
        crowd: a region of many objects rather than one (COCO's iscrowd, TFRecord's is_crowd).
        name: its own name, beside the class's (an ImageJ ROI's).
        group: number of the group that it belongs to (ImageJ's ROI groups), or None.
        colour: (red, green, blue), or None.
        properties: further keys and values, as ImageJ's ROI properties.
    """

    difficult: bool = False
    truncated: bool = False
    occluded: bool = False
    crowd: bool = False
    name: str = ""
    group: int | None = None
    colour: RGB | None = None
    properties: Mapping[str, str] = field(default_factory=dict[str, str])


NO_DETAILS = ObjectDetails()


@dataclass(frozen=True)
class Annotation:
    """The boxes that one file gives for one image, as written there: not yet compared with the image.

    Attributes:
        source: the annotation file.
        image_name: the image's file name as the annotation has it, perhaps with folders; "" if it has none.
        boxes: all its boxes that are numbers, also those without area, with swapped corners or outside the image.
        size: (width, height) of the image in pixels as the annotation has it, or None.
        notes: what the reader left out or doubts, one sentence each.
        stem: where one file annotates one image, the stem that the image's file should have; None where one file
            annotates many images and names them.
        depth: the image's number of channels as the annotation has it, or None.
        details: one per box, or empty if the file says no more about any of them.
        places: where each box stands in the file ("object 3", "line 7"), or empty for "box 1" and so on.
        faults: the objects that could not be read, one sentence each that begins with the place. Training refuses them,
            `retinaj check` lists them.
        encoded: gives the content of the image's file, where the annotation carries it (TFRecord).
        more_sources: the other files that annotate the same image (label images in a folder for each class).
    """

    source: Path
    image_name: str
    boxes: Boxes
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    stem: str | None = None
    depth: int | None = None
    details: tuple[ObjectDetails, ...] = ()
    places: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    encoded: Callable[[], bytes] | None = None
    more_sources: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        for what, values in (("details", self.details), ("places", self.places)):
            if values and len(values) != len(self.boxes):
                raise RetinaJError(f"{self.source}: {len(self.boxes)} boxes came with {len(values)} {what}.")

    def place(self, at: int) -> str:
        """Where box `at` stands in the file, for messages."""
        return self.places[at] if self.places else f"box {at + 1}"

    def detail(self, at: int) -> ObjectDetails:
        """What is said about box `at` beside its box and class."""
        return self.details[at] if self.details else NO_DETAILS

    def select(self, index: NDArray[np.bool_] | Sequence[int]) -> Annotation:
        """The same annotation with the boxes at a boolean mask [N] or at integer positions only."""
        index = np.asarray(index)
        at = np.flatnonzero(index) if index.dtype == np.bool_ else index.astype(np.intp)
        return replace(
            self,
            boxes=self.boxes.select(at),
            details=tuple(self.details[i] for i in at) if self.details else (),
            places=tuple(self.places[i] for i in at) if self.places else (),
        )


def require_sound(annotation: Annotation) -> Annotation:
    """The annotation itself, if all its objects could be read.

    Raises:
        RetinaJError: with the first of its faults, and how many there are.
    """
    if not annotation.faults:
        return annotation
    more = len(annotation.faults) - 1
    others = f" ({more} more like this in the file; `retinaj check` lists them.)" if more else ""
    raise RetinaJError(f"{annotation.source}: {annotation.faults[0]}{others}")


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
