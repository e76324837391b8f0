"""Which images show what a data set is like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinaj.dataset import Sample
from retinaj.describing.survey import Survey


@dataclass(frozen=True)
class Example:
    """An image to show.

    Attributes:
        title: why it was chosen.
        sample: the image.
    """

    title: str
    sample: Sample


def choose_examples(survey: Survey) -> list[Example]:
    """Up to six images that stand for something, each once, with all that it stands for; very large ones are passed over.

    In this order: a typical number of objects, the most objects, the most objects of the rarest class, the smallest and the
    largest objects, the strongest overlap.
    """
    objects, samples = survey.objects, survey.dataset.samples
    readable = np.array(survey.readable, np.bool_)
    count = objects.per_image(len(samples))
    side = np.sqrt(objects.width * objects.height)
    middle = float(np.median(count[count > 0]))
    rarest = survey.description.classes[-1]
    label = survey.dataset.class_names.index(rarest.name)
    smallest = np.full(len(samples), np.inf)
    np.minimum.at(smallest, objects.image, side)
    largest = np.zeros(len(samples))
    np.maximum.at(largest, objects.image, side)
    overlap = np.zeros(len(samples))
    np.maximum.at(overlap, objects.image, np.nan_to_num(objects.neighbour))

    rare = objects.per_image(len(samples), label)
    several = len(survey.description.classes) > 1
    # (what to have most of, whether any image has it, what to say)
    wishes: list[tuple[NDArray[np.floating], bool, Callable[[int], str]]] = [
        (-np.abs(count - middle), True, lambda at: f"Typical: {count[at]} objects"),
        (count.astype(np.float64), True, lambda at: f"Most objects: {count[at]}"),
        (rare.astype(np.float64), several, lambda at: f"Most of the rarest class, {rarest.name}: {rare[at]}"),
        (-smallest, True, lambda at: f"Smallest object: about {smallest[at]:.0f} pixels"),
        (largest, True, lambda at: f"Largest object: about {largest[at]:.0f} pixels"),
        (overlap, bool(overlap.any()), lambda at: f"Strongest overlap of two objects: IoU {overlap[at]:.2f}"),
    ]
    reasons: dict[int, list[str]] = {}
    usable = readable & (count > 0)
    for wanted, exists, title in wishes:
        if exists and usable.any():
            at = int(np.argmax(np.where(usable, wanted, -np.inf)))
            reasons.setdefault(at, []).append(title(at))
    return [Example(" · ".join(titles), samples[at]) for at, titles in reasons.items()]
