"""Pairs of boxes that nearly coincide, among any number of boxes, in bounded time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from retinaj.boxes import Boxes

# No real image has so many boxes that begin within a quarter of a box's width of each other; a hostile file may.
_MOST_NEIGHBOURS = 2000
_MOST_PAIRS = 10_000


def near_pairs(boxes: Boxes, usable: NDArray[np.bool_], overlap: float) -> Iterator[tuple[int, int, float]]:
    """Pairs of boxes on the same plane whose IoU reaches a limit.

    Args:
        boxes: any number.
        usable: bool [N], the boxes that are looked at; these have an area.
        overlap: the limit, above 0 up to 1.

    Yields:
        (position of the first, of the second, their IoU), the first before the second in the file, in the file's order. A box
        that is there many times is paired with its first occurrence only.

    >>> boxes = Boxes([[0, 0, 10, 10], [50, 0, 60, 10], [0, 0, 10, 9]], [0, 0, 0], ("cell",))
    >>> [(first, second, round(iou, 2)) for first, second, iou in near_pairs(boxes, boxes.area > 0, 0.8)]
    [(0, 2, 0.9)]
    """
    pairs: list[tuple[int, int, float]] = []
    kept: dict[tuple[float, ...], int] = {}
    plane = np.zeros((len(boxes), 3), np.int32) if boxes.plane is None else boxes.plane
    for at in np.flatnonzero(usable).tolist():
        key = (*boxes.xyxy[at].tolist(), *plane[at].tolist(), int(boxes.label[at]))
        if key in kept:
            pairs.append((kept[key], at, 1.0))
        else:
            kept[key] = at
    pairs += _sweep(boxes, plane, np.array(sorted(kept.values()), np.intp), overlap)
    yield from sorted(pairs[:_MOST_PAIRS])


def _sweep(boxes: Boxes, plane: NDArray[np.int32], chosen: NDArray[np.intp], overlap: float) -> list[tuple[int, int, float]]:
    """Boxes in the order of their left sides, each compared with the next ones while these begin near enough."""
    order = chosen[np.argsort(boxes.xyxy[chosen, 0], kind="stable")]
    corners = boxes.xyxy[order].astype(np.float64)
    # Two boxes that share so much begin at most this far apart.
    reach = (corners[:, 2] - corners[:, 0]) * (1 - overlap) / overlap
    area = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    found: list[tuple[int, int, float]] = []
    for step in range(1, min(len(order), _MOST_NEIGHBOURS)):
        one = np.flatnonzero(corners[step:, 0] - corners[:-step, 0] <= reach[:-step])
        if not len(one) or len(found) > _MOST_PAIRS:
            break
        other = one + step
        size = np.minimum(corners[one, 2:], corners[other, 2:]) - np.maximum(corners[one, :2], corners[other, :2])
        shared = np.prod(np.maximum(size, 0), axis=1)
        iou = shared / (area[one] + area[other] - shared)
        near = (iou >= overlap) & (plane[order[one]] == plane[order[other]]).all(axis=1)
        for first, second, value in zip(
            order[one[near]].tolist(), order[other[near]].tolist(), iou[near].tolist(), strict=True
        ):
            found.append((min(first, second), max(first, second), value))
    return found
