"""Boxes of one annotation: without area, swapped, outside the image, there twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retinaj.annotations import Annotation
from retinaj.boxes import Boxes
from retinaj.checking.findings import Corners, Finding
from retinaj.checking.near_boxes import near_pairs
from retinaj.images import ImageHeader

SAME_OBJECT = 0.8  # IoU from which on two boxes are taken for one object: touching cells of one shape stay below
_SHOWN_MISFITS = 20
_SLACK = 1.0  # pixels beyond the border that are rounding, and not worth a word


@dataclass(frozen=True)
class BoxKinds:
    """Which boxes of an annotation are not what they should be, each as bool [N].

    Attributes:
        swapped: the second corner is left of or above the first.
        empty: without width or height.
        click: of at most 1 x 1 pixel, but not empty.
        outside: with an area, but nothing of it inside the image.
        beyond: reaches over the border by more than rounding; also those outside.
    """

    swapped: NDArray[np.bool_]
    empty: NDArray[np.bool_]
    click: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    beyond: NDArray[np.bool_]

    @classmethod
    def of(cls, boxes: Boxes, header: ImageHeader | None) -> BoxKinds:
        """Without a header nothing counts as outside or beyond."""
        width, height = boxes.width, boxes.height
        swapped = (width < 0) | (height < 0)
        empty = ~swapped & ((width == 0) | (height == 0))
        click = ~swapped & ~empty & (width <= 1) & (height <= 1)
        if header is None:
            never = np.zeros(len(boxes), np.bool_)
            return cls(swapped, empty, click, never, never)
        limit = np.array([header.width, header.height] * 2, np.float32)
        beyond = ((boxes.xyxy < -_SLACK) | (boxes.xyxy > limit + _SLACK)).any(axis=1)
        gone = boxes.clipped(header.width, header.height).area <= 0
        return cls(swapped, empty, click, gone & ~swapped & ~empty & ~click, np.asarray(beyond))

    @property
    def unusable(self) -> NDArray[np.bool_]:
        """What training leaves out."""
        return self.swapped | self.empty | self.click | self.outside


def without_crowds(entry: Annotation) -> Annotation:
    """The annotation with its single objects only."""
    if not any(detail.crowd for detail in entry.details):
        return entry
    return entry.select(np.array([not detail.crowd for detail in entry.details], np.bool_))


def check_boxes(
    entry: Annotation, image: Path, header: ImageHeader | None, same_object: float = SAME_OBJECT
) -> Iterator[Finding]:
    """Everything that can be said about the boxes of an annotation.

    Args:
        entry: as read.
        image: its image.
        header: of the image; None if that cannot be read: then nothing is compared with it.
        same_object: IoU from which on two boxes are taken for one object.
    """
    single = without_crowds(entry)
    if crowds := len(entry.boxes) - len(single.boxes):
        yield Finding("crowd", entry.source, f"has {crowds} crowd regions, which are no single objects", image=image)
    kinds = BoxKinds.of(single.boxes, header)
    if header is not None:
        yield from _check_size(single, image, header, kinds)
        pixels = f"{header.width} x {header.height} pixels"
        misfit = _is_for_another_size(entry, header) and bool(kinds.beyond.any())
        if not misfit:
            yield from _each(single, image, "outside", kinds.outside, "lies outside the image of " + pixels)
            over = kinds.beyond & ~kinds.unusable
            yield from _each(single, image, "over-border", over, f"reaches out of the image of {pixels} and is cut there")
    yield from _each(single, image, "swapped-corners", kinds.swapped, "has swapped corners")
    yield from _each(single, image, "zero-area", kinds.empty, "has no area")
    yield from _each(single, image, "zero-area", kinds.click, "is at most one pixel, as from a click")
    yield from _check_pairs(single, image, ~(kinds.swapped | kinds.empty | kinds.click), same_object)


def corners_of(boxes: Boxes, at: int) -> Corners:
    """One box as plain numbers."""
    x_min, y_min, x_max, y_max = boxes.xyxy[at].tolist()
    return x_min, y_min, x_max, y_max


def describe_box(boxes: Boxes, at: int) -> str:
    """A box's class and corners in brackets, for messages."""
    # Not boxes.names[at], which makes a list of all names each time.
    return f"({class_of(boxes, at)}; {', '.join(f'{value:g}' for value in boxes.xyxy[at])})"


def class_of(boxes: Boxes, at: int) -> str:
    """The name of one box's class."""
    return boxes.class_names[boxes.label[at]]


def _each(entry: Annotation, image: Path, check: str, chosen: NDArray[np.bool_], what: str) -> Iterator[Finding]:
    for at in np.flatnonzero(chosen).tolist():
        message = f"{describe_box(entry.boxes, at)} {what}"
        yield Finding(check, entry.source, message, entry.place(at), image, (corners_of(entry.boxes, at),))


def _is_for_another_size(entry: Annotation, header: ImageHeader) -> bool:
    return entry.size is not None and entry.size != (header.width, header.height)


def _check_size(entry: Annotation, image: Path, header: ImageHeader, kinds: BoxKinds) -> Iterator[Finding]:
    if entry.size is not None and _is_for_another_size(entry, header):
        turned = " (the image carries an EXIF rotation, which annotations must not follow)" if header.turned else ""
        message = (
            f"the annotation is for {entry.size[0]} x {entry.size[1]} pixels, "
            f"the image has {header.width} x {header.height}{turned}"
        )
        if misfits := np.flatnonzero(kinds.beyond).tolist():
            message += f", and {len(misfits)} {'boxes do' if len(misfits) > 1 else 'box does'} not fit"
        boxes = tuple(corners_of(entry.boxes, at) for at in misfits[:_SHOWN_MISFITS])
        yield Finding("other-size" if misfits else "size-differs", entry.source, message, image=image, boxes=boxes)
    if entry.depth is not None and entry.depth != header.channels:
        message = f"the annotation states {_channels(entry.depth)}, the image has {_channels(header.channels)}"
        yield Finding("depth-differs", entry.source, message, image=image)


def _channels(count: int) -> str:
    return f"{count} channel{'s' * (count != 1)}"


def _check_pairs(entry: Annotation, image: Path, usable: NDArray[np.bool_], same_object: float) -> Iterator[Finding]:
    boxes = entry.boxes
    for first, second, overlap in near_pairs(boxes, usable, same_object):
        both = (corners_of(boxes, first), corners_of(boxes, second))
        place = f"{entry.place(first)} and {entry.place(second)}"
        if boxes.label[first] != boxes.label[second]:
            names = f"{class_of(boxes, first)!r} and {class_of(boxes, second)!r}"
            yield Finding("two-classes", entry.source, f"are one box as {names} (IoU {overlap:.2f})", place, image, both)
        elif both[0] == both[1]:
            message = f"{describe_box(boxes, first)} are the same box"
            yield Finding("duplicate-box", entry.source, message, place, image, both)
        else:
            message = f"{describe_box(boxes, first)} nearly coincide (IoU {overlap:.2f})"
            yield Finding("near-duplicate-box", entry.source, message, place, image, both)
