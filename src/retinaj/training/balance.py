"""Rare classes and hard images: how much a class counts, and how often an image is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from retinaj.dataset import Sample

_MOST = 4.0  # a class of three objects must not outweigh all others, nor an image be seen every minute


def class_weights(counts: Mapping[str, int]) -> NDArray[np.float32]:
    """Weights of the classes in the class loss: one over the square root of their share of the boxes.

    They are scaled so that the mean over all boxes is 1: the loss as a whole keeps its size. None is more than four times
    another.

    Args:
        counts: training boxes of each class, in the order of the labels.

    Returns:
        float32 [classes].

    >>> class_weights({"RBC": 900, "WBC": 100}).round(2).tolist()
    [0.83, 2.5]
    """
    number = np.maximum(np.array(list(counts.values()), np.float64), 1)
    weight = 1 / np.sqrt(number)
    weight = np.minimum(weight, _MOST * weight.min())
    return (weight * number.sum() / (weight * number).sum()).astype(np.float32)


def repeat_factors(samples: Sequence[Sample], classes: int) -> NDArray[np.float64]:
    """How often each image is to be seen, so that images with rare classes come more often.

    As Gupta, Dollar & Girshick 2019, "LVIS", section 4: a class found on a share f of the images has the factor
    max(1, sqrt(t / f)), an image the largest factor of its classes. Here t is the median share of all classes, so that
    something is evened out in data sets of any size.

    Returns:
        float64 [images], from 1 to 4.
    """
    present = np.zeros((len(samples), classes), np.bool_)
    for row, sample in zip(present, samples, strict=True):
        row[sample.boxes.label] = True
    share = present.mean(axis=0)
    median = np.median(share[share > 0]) if present.any() else 1.0
    factor = np.clip(np.sqrt(median / np.maximum(share, 1e-9)), 1, _MOST)
    return np.where(present, factor, 1.0).max(axis=1)


def hard_image_factors(loss: NDArray[np.float32], strength: float) -> NDArray[np.float64]:
    """How often each image is to be seen, so that images with a high loss come more often.

    Args:
        loss: float32 [images], the running mean of each image's loss; NaN for one not seen yet.
        strength: 0 leaves all alike, 1 sees an image in proportion to its loss.

    Returns:
        float64 [images]: (loss / mean loss) ** strength, from a quarter to 4; 1 for one not seen yet.

    >>> hard_image_factors(np.array([1, 3, np.nan], np.float32), 1).tolist()
    [0.5, 1.5, 1.0]
    """
    seen = np.isfinite(loss)
    if not seen.any():
        return np.ones(len(loss))
    mean = max(float(loss[seen].mean()), 1e-9)
    factor = np.clip(np.maximum(loss / mean, 1e-9) ** strength, 1 / _MOST, _MOST)
    return np.where(seen, factor, 1.0)


def weighted_order(factors: NDArray[np.float64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Indices of images in random order, each as often as its factor says, up to one time.

    Args:
        factors: [images], above 0; relative.
        count: how many.
        random: the only source of randomness.
    """
    expected = factors / factors.sum() * count
    # Systematic sampling: one random shift, then a comb of even steps. Every image comes floor or ceil of its due times.
    teeth = np.searchsorted(np.cumsum(expected), np.arange(count) + random.random(), side="right")
    return random.permutation(np.minimum(teeth, len(factors) - 1)).astype(np.int64)
