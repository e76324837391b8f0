"""Anchors: the boxes that every cell of the feature pyramid starts from, and how they are fitted to a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retinaj.network.config import AnchorConfig

# A ground-truth box can be learned when some anchor meets it at this IoU (Lin et al. 2017, section 4, "Anchors").
COVERED_IOU = 0.5


def anchor_sizes(config: AnchorConfig, level: int) -> NDArray[np.float32]:
    """(width, height) in downsampled pixels of each anchor of a cell of one pyramid level, float32 [per_cell, 2].

    >>> anchor_sizes(AnchorConfig(base=4, scales=(1.0,), aspect_ratios=(0.5, 1.0, 2.0)), 3).round(1).tolist()
    [[45.3, 22.6], [32.0, 32.0], [22.6, 45.3]]
    """
    side = config.base * 2**level
    return np.array(
        [(side * scale / ratio**0.5, side * scale * ratio**0.5) for scale in config.scales for ratio in config.aspect_ratios],
        np.float32,
    )


def grid_shape(size: int, level: int) -> int:
    """How many cells a level has along an image side of `size` downsampled pixels."""
    return -(-size // 2**level)


def anchor_grid(config: AnchorConfig, height: int, width: int) -> NDArray[np.float32]:
    """All anchors of an image of `height` x `width` downsampled pixels.

    Returns:
        float32 [A, 4] xyxy in downsampled pixels, ordered by level (finest first), row, column, anchor of the cell: the
        order in which the network's outputs are flattened.

    >>> anchor_grid(AnchorConfig(min_level=3, max_level=3, base=1, scales=(1.0,)), 8, 16).tolist()
    [[0.0, 0.0, 8.0, 8.0], [8.0, 0.0, 16.0, 8.0]]
    """
    levels: list[NDArray[np.float32]] = []
    for level in config.levels:
        half = anchor_sizes(config, level) / 2
        stride = 2**level
        y, x = np.meshgrid(
            (np.arange(grid_shape(height, level)) + 0.5) * stride,
            (np.arange(grid_shape(width, level)) + 0.5) * stride,
            indexing="ij",
        )
        centre = np.stack([x, y], axis=-1)[:, :, None, :]
        levels.append(np.concatenate([centre - half, centre + half], axis=-1).reshape(-1, 4).astype(np.float32))
    return np.concatenate(levels)


def best_anchor_iou(config: AnchorConfig, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """The highest IoU that any anchor has with each box, on an unbounded grid.

    Args:
        config: the anchors.
        xyxy: float [N, 4] in downsampled pixels.

    Returns:
        float32 [N]. Of the anchors of one size, the one in the cell nearest to the box's centre is the best.
    """
    best = np.zeros(len(xyxy), np.float32)
    centre, size = (xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]
    for level in config.levels:
        stride = 2**level
        offset = np.abs(centre - (np.floor(centre / stride) + 0.5) * stride)
        for anchor in anchor_sizes(config, level):
            overlap = np.clip((size + anchor) / 2 - offset, 0, np.minimum(size, anchor)).prod(axis=1)
            best = np.maximum(best, overlap / (size.prod(axis=1) + anchor.prod() - overlap))
    return best


@dataclass(frozen=True)
class AnchorFit:
    """Anchors chosen for a data set.

    Attributes:
        config: the anchors.
        downsampling: the factor by which images are averaged down for them.
        coverage: share of the boxes that some anchor meets at IoU >= 0.5.
        class_coverage: the same of each class; classes without a box are left out.
    """

    config: AnchorConfig
    downsampling: Literal[1, 2, 4, 8]
    coverage: float
    class_coverage: dict[int, float]


# Cheapest first: more levels and a finer first level both cost time and memory.
_LEVELS = ((3, 5), (3, 6), (3, 7), (2, 4), (2, 5), (2, 6))
_BASES = (2.0, 2.5, 3.0, 4.0)
_ASPECTS = ((1.0,), (0.5, 1.0, 2.0))
_ENOUGH_COVERAGE = 0.97


def choose_downsampling(xyxy: NDArray[np.float32], label: NDArray[np.int32]) -> Literal[1, 2, 4, 8]:
    """The largest factor that keeps small objects visible: in every class, 9 of 10 keep 12 pixels on their shorter side,
    and half of all boxes keep 32.

    >>> boxes = np.array([[0, 0, 100, 110]] * 9 + [[0, 0, 40, 38]], np.float32)
    >>> choose_downsampling(boxes, np.array([0] * 9 + [1], np.int32))
    2
    """
    if not len(xyxy):
        return 1
    shorter = (xyxy[:, 2:] - xyxy[:, :2]).min(axis=1)
    smallest = min(float(np.percentile(shorter[label == name], 10)) for name in np.unique(label))
    allowed = min(smallest / 12, float(np.median(shorter)) / 32)
    return 8 if allowed >= 8 else 4 if allowed >= 4 else 2 if allowed >= 2 else 1


def fit_anchors(
    xyxy: NDArray[np.float32],
    label: NDArray[np.int32],
    *,
    downsampling: Literal[1, 2, 4, 8] | None = None,
    levels: tuple[int, int] | None = None,
) -> AnchorFit:
    """Choose pyramid levels, base size and aspect ratios for the boxes of a training set.

    The cheapest candidate that covers 97 % of the boxes of every class is taken; if none does, the one whose
    worst-covered class is covered best.

    Args:
        xyxy: float32 [N, 4], all training boxes in image pixels.
        label: int32 [N].
        downsampling: keep this factor instead of choosing one.
        levels: keep these (min_level, max_level) instead of choosing them.

    Returns:
        An AnchorFit; for no boxes at all, the defaults with a coverage of 0.
    """
    factor = choose_downsampling(xyxy, label) if downsampling is None else downsampling
    boxes = xyxy / np.float32(factor)
    best: tuple[float, float, AnchorFit] | None = None
    for aspect_ratios in _ASPECTS:
        for low, high in _LEVELS if levels is None else (levels,):
            fits = [
                _measure(
                    AnchorConfig(min_level=low, max_level=high, base=base, aspect_ratios=aspect_ratios),
                    factor,
                    boxes,
                    label,
                )
                for base in _BASES
            ]
            fit = max(fits, key=_worst_class)
            if best is None or _worst_class(fit) > best[:2]:
                best = (*_worst_class(fit), fit)
            if best[0] >= _ENOUGH_COVERAGE:
                return best[2]
    if best is None:
        raise ValueError("no anchor candidates")
    return best[2]


def measure_anchors(
    config: AnchorConfig, downsampling: Literal[1, 2, 4, 8], xyxy: NDArray[np.float32], label: NDArray[np.int32]
) -> AnchorFit:
    """How well given anchors cover the boxes of a training set.

    Args:
        config: the anchors.
        downsampling: factor by which images are averaged down for them.
        xyxy: float32 [N, 4], all training boxes in image pixels.
        label: int32 [N].
    """
    return _measure(config, downsampling, xyxy / np.float32(downsampling), label)


def _worst_class(fit: AnchorFit) -> tuple[float, float]:
    return min(fit.class_coverage.values(), default=0.0), fit.coverage


def _measure(
    config: AnchorConfig, factor: Literal[1, 2, 4, 8], boxes: NDArray[np.float32], label: NDArray[np.int32]
) -> AnchorFit:
    covered = best_anchor_iou(config, boxes) >= COVERED_IOU
    by_class = {int(name): float(covered[label == name].mean()) for name in np.unique(label)}
    return AnchorFit(config, factor, float(covered.mean()) if len(covered) else 0.0, by_class)
