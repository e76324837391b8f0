"""What is known about an annotated data set: stored as JSON, shown as tables and figures."""

from __future__ import annotations

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=_STRICT)
class Spread:
    """How some values are distributed.

    Attributes:
        smallest: of all.
        low: 5 % of the values are below.
        median: half of the values are below.
        high: 5 % of the values are above.
        largest: of all.
    """

    smallest: float
    low: float
    median: float
    high: float
    largest: float


@dataclass(frozen=True, config=_STRICT)
class ClassDescription:
    """The objects of one class, or of all.

    Attributes:
        name: the class, or "all".
        objects: how many there are, at least one.
        share: of all objects, 0..1.
        images: how many images have one.
        per_image: objects in an image, over the images that have any of this class (for "all": over all images).
        width: of the boxes, in pixels.
        height: of the boxes, in pixels.
        aspect: width / height.
        covered: share of the boxes that an anchor of those `retinaj train` would choose meets at IoU >= .5; such boxes can be
            learned well.
        covered_by_usual: the same for the usual anchors of a RetinaNet.
        touching: share of the boxes that overlap another one, of whatever class (IoU > 0).
        merged: share of the boxes that overlap another one of their class at IoU > .5, where a detector keeps one of
            two.
    """

    name: str
    objects: int
    share: float
    images: int
    per_image: Spread
    width: Spread
    height: Spread
    aspect: Spread
    covered: float
    covered_by_usual: float
    touching: float
    merged: float


@dataclass(frozen=True, config=_STRICT)
class AnchorsDescription:
    """The anchors that `retinaj train` would choose if it trained on all these images.

    Attributes:
        min_level: the finest level of the feature pyramid.
        max_level: the coarsest.
        base: side of an anchor in strides of its level.
        per_cell: anchors in each cell.
        downsampling: factor by which images are averaged down.
        smallest: side of the smallest anchor (the root of its area), in pixels of the image.
        largest: of the largest.
    """

    min_level: int
    max_level: int
    base: float
    per_cell: int
    downsampling: int
    smallest: float
    largest: float


@dataclass(frozen=True, config=_STRICT)
class ImageSize:
    """How many images have one size and pixel type.

    Attributes:
        width: in pixels.
        height: in pixels.
        channels: as stored; 1 for grey.
        pixel_type: as NumPy names it, such as "uint16".
        images: how many.
    """

    width: int
    height: int
    channels: int
    pixel_type: str
    images: int


@dataclass(frozen=True, config=_STRICT)
class ChannelBrightness:
    """The values of one channel over all measured images.

    Attributes:
        name: "grey", "red", "green", "blue", or "channel 1" and so on.
        smallest: value in any image.
        low: median, over the images, of the value that 1 % of an image's pixels are below.
        median: median of the images' medians.
        high: median, over the images, of the value that 1 % of an image's pixels are above.
        largest: value in any image.
        saturated: share of the pixels at the highest value of their whole-number type; 0 for fractions.
    """

    name: str
    smallest: float
    low: float
    median: float
    high: float
    largest: float
    saturated: float


@dataclass(frozen=True, config=_STRICT)
class Description:
    """An annotated data set.

    Attributes:
        images: how many are annotated.
        empty_images: how many of them have no objects.
        overall: all objects together.
        classes: each class that has objects, most objects first.
        sizes: of the images, most frequent first.
        brightness: each channel of the measured images.
        measured_images: of how many images the pixels were read: evenly chosen ones of many, without very large ones.
        anchors: that would be chosen.
        hints: what to know before training, in sentences, most important first.
        notes: what reading the annotations left out or corrected.
    """

    images: int
    empty_images: int
    overall: ClassDescription
    classes: tuple[ClassDescription, ...]
    sizes: tuple[ImageSize, ...]
    brightness: tuple[ChannelBrightness, ...]
    measured_images: int
    anchors: AnchorsDescription
    hints: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """As JSON text."""
        return _ADAPTER.dump_json(self, indent=2).decode()


def table_rows(description: Description, most_classes: int) -> list[ClassDescription]:
    """All objects together, then the classes with most objects; a single class by itself, because it is all."""
    classes = list(description.classes[:most_classes])
    return classes if len(description.classes) == 1 else [description.overall, *classes]


_ADAPTER = TypeAdapter(Description)
