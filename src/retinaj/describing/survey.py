"""Describing a data set: everything is measured once, here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.dataset import Dataset
from retinaj.describing.brightness import Brightness, image_sizes, measure_brightness, summarise_brightness
from retinaj.describing.description import AnchorsDescription, ClassDescription, Description, Spread
from retinaj.describing.hints import class_hints, image_hints
from retinaj.describing.objects import MERGED_IOU, Objects, gather_objects
from retinaj.network.anchors import (
    COVERED_IOU,
    AnchorFit,
    anchor_sizes,
    best_anchor_iou,
    fit_anchors,
    measure_anchors,
)
from retinaj.network.config import AnchorConfig

# Lin et al. 2017, "Focal Loss for Dense Object Detection": sides of 4 strides, three scales, three aspect ratios, P3 to P7.
USUAL_ANCHORS = AnchorConfig(min_level=3, max_level=7, base=4.0, aspect_ratios=(0.5, 1.0, 2.0))


@dataclass(frozen=True)
class Survey:
    """What was measured, for figures and examples.

    Attributes:
        dataset: what was described.
        description: the summary.
        objects: each of them.
        brightness: of each measured image.
        readable: of each sample, whether it is small enough to be read for its looks.
    """

    dataset: Dataset
    description: Description
    objects: Objects
    brightness: tuple[Brightness, ...]
    readable: tuple[bool, ...]


def survey_dataset(dataset: Dataset, progress: Callable[[int, int], None] | None = None) -> Survey:
    """Measure and describe a data set.

    Images are read one after the other, at most 500 of them and none of more than half a gigabyte; of the others only the
    headers are.

    Args:
        dataset: with one object at least, as `load_dataset` gives it.
        progress: called with (images read, images to read).

    Raises:
        RetinaJError: if an image is damaged or cannot be read any more.
    """
    samples = dataset.samples
    objects = gather_objects(dataset)
    fit = fit_anchors(objects.xyxy, objects.label)
    usual = measure_anchors(USUAL_ANCHORS, fit.downsampling, objects.xyxy, objects.label)
    sizes, readable = image_sizes(samples)
    brightness = measure_brightness([sample for sample, small in zip(samples, readable, strict=True) if small], progress)
    counts = np.bincount(objects.label, minlength=len(dataset.class_names))
    labels = [int(label) for label in np.argsort(-counts, kind="stable") if counts[label]]
    per_image = objects.per_image(len(samples))
    overall = _describe_class("all", objects, np.ones(len(objects.label), np.bool_), per_image, fit.coverage, usual.coverage)
    classes = [
        _describe_class(
            dataset.class_names[label],
            objects,
            objects.label == label,
            _present(objects.per_image(len(samples), label)),
            fit.class_coverage[label],
            usual.class_coverage[label],
        )
        for label in labels
    ]
    anchors = _describe_anchors(fit)
    covered = best_anchor_iou(fit.config, objects.xyxy / np.float32(fit.downsampling)) >= COVERED_IOU
    channels = summarise_brightness(brightness)
    empty = int((per_image == 0).sum())
    hints = class_hints(classes, objects, labels, covered.tolist(), anchors)
    hints += image_hints(
        len(samples), empty, per_image.tolist(), sizes, brightness, channels, _typical_sides(objects, len(samples))
    )
    description = Description(
        images=len(samples),
        empty_images=empty,
        overall=overall,
        classes=tuple(classes),
        sizes=tuple(sizes),
        brightness=tuple(channels),
        measured_images=len(brightness),
        anchors=anchors,
        hints=tuple(hints),
        notes=dataset.notes,
    )
    return Survey(dataset, description, objects, tuple(brightness), tuple(readable))


def _describe_class(
    name: str, objects: Objects, own: NDArray[np.bool_], per_image: NDArray[np.int64], covered: float, usual: float
) -> ClassDescription:
    width, height = objects.width[own], objects.height[own]
    compared = own & ~np.isnan(objects.neighbour)
    return ClassDescription(
        name=name,
        objects=int(own.sum()),
        share=round(float(own.mean()), 6),
        images=len(np.unique(objects.image[own])),
        per_image=spread(per_image),
        width=spread(width),
        height=spread(height),
        aspect=spread(width / height),
        covered=round(covered, 6),
        covered_by_usual=round(usual, 6),
        touching=_share(objects.neighbour[compared] > 0),
        merged=_share(objects.rival[compared] > MERGED_IOU),
    )


def spread(values: NDArray[Any]) -> Spread:
    """Of one value at least.

    >>> spread(np.arange(101)).low, spread(np.arange(101)).median
    (5.0, 50.0)
    """
    ends = np.percentile(values.astype(np.float64), [0, 5, 50, 95, 100])
    return Spread(*(round(float(value), 4) for value in ends))


def _share(mask: NDArray[np.bool_]) -> float:
    return round(float(mask.mean()), 6) if len(mask) else 0.0


def _present(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return counts[counts > 0]


def _describe_anchors(fit: AnchorFit) -> AnchorsDescription:
    config = fit.config
    sides = [np.sqrt(anchor_sizes(config, level).prod(axis=1)) * fit.downsampling for level in config.levels]
    return AnchorsDescription(
        min_level=config.min_level,
        max_level=config.max_level,
        base=config.base,
        per_cell=config.per_cell,
        downsampling=fit.downsampling,
        smallest=round(float(sides[0].min()), 2),
        largest=round(float(sides[-1].max()), 2),
    )


def _typical_sides(objects: Objects, images: int) -> list[float]:
    """The median side of the boxes of each image that has some."""
    side = np.sqrt(objects.width * objects.height)
    ends = np.searchsorted(objects.image, np.arange(images + 1))
    return [float(np.median(side[a:b])) for a, b in pairwise(ends) if b > a]
