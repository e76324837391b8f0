"""What to know about a data set before training on it, for someone who knows cells better than networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retinaj.counting import counted
from retinaj.describing.objects import MERGED_IOU
from retinaj.percents import percent

if TYPE_CHECKING:
    from retinaj.describing.brightness import Brightness
    from retinaj.describing.description import AnchorsDescription, ChannelBrightness, ClassDescription, ImageSize
    from retinaj.describing.objects import Objects

_FEW_OBJECTS, _FEW_IMAGES = 50, 20
_UNBALANCED = 10  # times as many objects of one class as of another
_COVERED = 0.95  # as training warns
_USUAL = 0.5
_MOST_NAMED = 5  # classes
# `choose_downsampling` keeps nine tenths of a class above this on the shorter side.
_SMALL_SIDE = 12
_SMALL = 0.05
_MERGED = 0.01
_ELONGATED = 2.0
_MANY_IN_AN_IMAGE = 300
_BRIGHTNESS_RATIO = 5.0
_SIZE_RATIO = 3.0
_SATURATED = 0.05


def class_hints(
    classes: Sequence[ClassDescription],
    objects: Objects,
    labels: Sequence[int],
    covered: Sequence[bool],
    anchors: AnchorsDescription,
) -> list[str]:
    """Sentences about classes: few, unbalanced, small, not covered by anchors, merged.

    Args:
        classes: those with objects, most objects first.
        objects: all of them.
        labels: the label of each class.
        covered: of each object, whether an anchor of the fitted ones meets it.
        anchors: the fitted ones.
    """
    hints = _few(classes)
    if len(classes) > 1 and classes[0].objects >= _UNBALANCED * classes[-1].objects:
        most, fewest = classes[0], classes[-1]
        hints.append(
            f"{most.name} are {percent(most.share)} of all objects, {fewest.name} only {percent(fewest.share)}. Look at the "
            f"figures of {fewest.name} by themselves after training, not only at the mean; `retinaj split` gives each part its "
            "share of them."
        )
    of_class = {each.name: objects.label == label for each, label in zip(classes, labels, strict=True)}
    shorter = np.minimum(objects.width, objects.height) < _SMALL_SIDE
    hints += _small([(each.name, float(shorter[of_class[each.name]].mean())) for each in classes])
    missed = ~np.asarray(covered, np.bool_)
    for each in sorted(classes, key=lambda each: each.covered)[:_MOST_NAMED]:
        if each.covered < _COVERED:
            hints.append(_uncovered(each, objects, of_class[each.name] & missed, anchors))
    for each in sorted(classes, key=lambda each: -each.merged)[:_MOST_NAMED]:
        if each.merged >= _MERGED:
            hints.append(
                f"{each.name}: {percent(each.merged)} of the boxes overlap another one of their class by more than half (IoU > "
                f"{MERGED_IOU:g}). Of two such detections one is dropped. `retinaj check` shows whether they are one object "
                "annotated twice; if not, use a higher --overlap in `retinaj evaluate` and `retinaj predict`."
            )
    return hints + _usual(classes)


def image_hints(
    images: int,
    empty: int,
    per_image: Sequence[int],
    sizes: Sequence[ImageSize],
    measured: Sequence[Brightness],
    channels: Sequence[ChannelBrightness],
    sides: Sequence[float],
) -> list[str]:
    """Sentences about images: few, empty, crowded, mixed, unevenly bright, saturated, of different magnification.

    Args:
        images: how many there are.
        empty: how many have no objects.
        per_image: objects of each image.
        sizes: of the images.
        measured: pixel values of those that were read.
        channels: the same of each channel.
        sides: for each image with objects, the median of its boxes' sides (roots of their areas).
    """
    hints: list[str] = []
    if images < _FEW_IMAGES:
        few = (
            "Training needs two at least, one of them for validation"
            if images == 1
            else "A model can learn from them, but its figures will depend on which of them are kept for validation"
        )
        are = "is" if images == 1 else "are"
        hints.append(f"There {are} only {counted(images, 'image')}. {few}; annotate more, from different samples and days.")
    if empty:
        hints.append(
            f"{empty} of the {images} images ({percent(empty / images)}) have no objects. They teach what is not an object; "
            "make sure that they are really empty and not just unfinished."
        )
    most = max(per_image)
    if most > _MANY_IN_AN_IMAGE:
        hints.append(
            f"The fullest image has {most:,} objects. Training and prediction allow for that by themselves, but other software "
            "may stop at 100 or 300 detections in an image."
        )
    types = sorted({each.pixel_type for each in sizes})
    if len(types) > 1:
        hints.append(
            f"The images have different pixel types ({', '.join(types)}), so that each is scaled between its own darkest and "
            "brightest values. Save them all in one type if they come from one microscope."
        )
    hints += _uneven(measured, types)
    for channel in channels:
        if channel.saturated >= _SATURATED and channel.median < channel.largest:
            hints.append(
                f"In {channel.name}, {percent(channel.saturated)} of the pixels have the highest value that there is: they are "
                "overexposed, and what differed there is lost. A shorter exposure helps, if this is not an empty background."
            )
    if len(sides) >= 10:
        low, high = np.percentile(sides, [10, 90])
        if high / low >= _SIZE_RATIO:
            hints.append(
                f"Objects differ in size between images: in a tenth of the images the typical box has a side of at most "
                f"{low:.0f} pixels, in a tenth at least {high:.0f}. If that is magnification and not biology, scale the images "
                "to one pixel size first: a model learns faster then."
            )
    return hints


def _few(classes: Sequence[ClassDescription]) -> list[str]:
    few = [
        f"{each.name} ({each.objects} in {counted(each.images, 'image')})" for each in classes if each.objects < _FEW_OBJECTS
    ]
    if not few:
        return []
    more = f" and {counted(len(few) - _MOST_NAMED, 'other class')}" if len(few) > _MOST_NAMED else ""
    return [
        f"There are few objects of {', '.join(few[:_MOST_NAMED])}{more}. Annotate more of them, at least {_FEW_OBJECTS} for a "
        "first model, or leave the class out."
    ]


def _small(shares: Sequence[tuple[str, float]]) -> list[str]:
    """Where many boxes are too small to be drawn exactly, worst first."""
    small = sorted(((name, share) for name, share in shares if share >= _SMALL), key=lambda pair: -pair[1])
    if not small:
        return []
    named = ", ".join(f"{percent(share)} of {name}" for name, share in small[:_MOST_NAMED])
    more = f" and some of {counted(len(small) - _MOST_NAMED, 'other class')}" if len(small) > _MOST_NAMED else ""
    return [
        f"Boxes smaller than {_SMALL_SIDE} pixels on their shorter side: {named}{more}. So small objects are found less "
        "surely, and one pixel more or less decides whether a box counts as right; a higher magnification helps."
    ]


def _usual(classes: Sequence[ClassDescription]) -> list[str]:
    """Where anchors of one's own choice would do harm."""
    missed = [each for each in classes if each.covered_by_usual < _USUAL and each.covered >= _COVERED][:_MOST_NAMED]
    if not missed:
        return []
    usual = ", ".join(f"{percent(each.covered_by_usual)} of {each.name}" for each in missed)
    fitted = ", ".join(percent(each.covered) for each in missed)
    return [
        f"The usual anchors of a RetinaNet would meet only {usual}; those that `retinaj train` chooses for these images meet "
        f"{fitted}. Leave --levels and --downsampling to it."
    ]


def _uncovered(each: ClassDescription, objects: Objects, missed: NDArray[np.bool_], anchors: AnchorsDescription) -> str:
    """Which share no anchor meets, and what these boxes are like."""
    width, height = objects.width[missed], objects.height[missed]
    side = np.sqrt(width * height)
    reasons = [
        (float((side < anchors.smallest).mean()), f"smaller than the smallest anchor ({anchors.smallest:.0f} pixels)"),
        (float((side > anchors.largest).mean()), f"larger than the largest anchor ({anchors.largest:.0f} pixels)"),
        (
            float((np.maximum(width, height) >= _ELONGATED * np.minimum(width, height)).mean()),
            "at least twice as long as wide, or as wide as long",
        ),
    ]
    named = [f"{percent(share)} are {what}" for share, what in reasons if share >= 0.1]
    reason = f" Of these, {'; '.join(named)}." if named else ""
    return (
        f"{each.name}: {percent(1 - each.covered)} of the boxes have no anchor that fits well, which makes them hard to learn."
        f"{reason}"
    )


def _uneven(measured: Sequence[Brightness], types: Sequence[str]) -> list[str]:
    """Whether some images are much brighter than others."""
    if len(measured) < 10:
        return []
    ends = [max(each.high) for each in measured]
    low, high = np.percentile(ends, [10, 90])
    if low <= 0 or high / low < _BRIGHTNESS_RATIO:
        return []
    scaled = (
        "8-bit values go into the network as they are, so both kinds must be in the training images"
        if list(types) == ["uint8"]
        else "each image is scaled between its own darkest and brightest values, which takes most of this away"
    )
    return [
        f"Brightness differs much between images: the brightest pixels (99th percentile) are at {low:.4g} or less in a tenth "
        f"of the images, and at {high:.4g} or more in another. {scaled[0].upper()}{scaled[1:]}."
    ]
