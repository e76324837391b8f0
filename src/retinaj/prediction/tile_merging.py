"""The boxes of all tiles as those of one image: each object once, from the tile that sees it whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retinaj.boxes import Boxes, iou_matrix
from retinaj.prediction.tile_grid import Grid, Tile

# Comparing so many boxes with all of another tile at once takes little memory.
_ROWS = 256


def merge_tiles(grid: Grid, found: Sequence[Boxes], overlap: float) -> Boxes:
    """One set of boxes for an image.

    A box that a tile's border cuts is left to the tile that holds it whole. Then comes class-wise non-maximum suppression over
    boxes of different tiles, the best first; within a tile it was done before. Where no tile holds an object whole, because it
    is larger than the tiles overlap, each shows a part of it; parts that agree in what both of their tiles see are joined.

    Args:
        grid: the tiles.
        found: the boxes of each tile, with scores, in pixels of the image.
        overlap: IoU above which the lower-scored of two boxes of a class is dropped.

    Returns:
        The boxes that are left, highest score first.
    """
    whole = [grid.holds(tile, boxes.xyxy) for tile, boxes in zip(grid.tiles, found, strict=True)]
    kept = [_without_cut(grid, at, boxes, whole[at]) for at, boxes in enumerate(found)]
    parts = [boxes.select(keep) for boxes, keep in zip(found, kept, strict=True)]
    whole = [each[keep] for each, keep in zip(whole, kept, strict=True)]
    merged, is_whole = Boxes.concatenate(parts), np.concatenate(whole)
    pairs = _same_objects(grid, parts, whole, overlap)
    of_parts = (~is_whole[pairs]).all(axis=1)
    score = np.zeros(len(merged), np.float32) if merged.score is None else merged.score
    # What is seen whole says more than a part, however sure the part is.
    keep = _suppress(np.lexsort((-score, ~is_whole)), pairs[~of_parts])
    joins = pairs[of_parts]
    return _join(merged, keep, joins[keep[joins].all(axis=1)]).by_score()


def _without_cut(grid: Grid, at: int, boxes: Boxes, whole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool [N], false for boxes of tile `at` that it cuts and another tile holds whole."""
    keep = whole.copy()
    cut = np.flatnonzero(~whole)
    if len(cut):
        tile = grid.tiles[at]
        others = [grid.holds(other, boxes.xyxy[cut]) for other in grid.tiles if other != tile and tile.shared(other)]
        keep[cut] = ~np.any(others, axis=0) if others else True
    return keep


def _same_objects(grid: Grid, parts: Sequence[Boxes], whole: Sequence[NDArray[np.bool_]], overlap: float) -> NDArray[np.int64]:
    """int64 [P, 2]: pairs of boxes of one class and different tiles that mean the same object, numbered over all tiles."""
    first = np.cumsum([0, *(len(boxes) for boxes in parts)])
    pairs: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
    for a, b, shared in _neighbours(grid):
        near_a, near_b = (np.flatnonzero(_touches(shared, parts[at].xyxy)) for at in (a, b))
        for start in range(0, len(near_a) if len(near_b) else 0, _ROWS):
            rows = near_a[start : start + _ROWS]
            one, other = parts[a].xyxy[rows], parts[b].xyxy[near_b]
            same = iou_matrix(one, other) > overlap
            in_part = ~whole[a][rows, None] | ~whole[b][near_b]
            if in_part.any():
                same |= in_part & (iou_matrix(_within(shared, one), _within(shared, other)) > overlap)
            same &= parts[a].label[rows, None] == parts[b].label[near_b]
            row, column = np.nonzero(same)
            pairs.append(np.stack([rows[row] + first[a], near_b[column] + first[b]], axis=1))
    return np.concatenate(pairs)


def _neighbours(grid: Grid) -> Iterator[tuple[int, int, Tile]]:
    """Each two tiles that overlap, by their numbers, and what they share."""
    for b, tile in enumerate(grid.tiles):
        for a in range(b):
            shared = tile.shared(grid.tiles[a])
            if shared:
                yield a, b, shared


def _touches(tile: Tile, xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.all((xyxy[:, :2] < [tile.right, tile.bottom]) & (xyxy[:, 2:] > [tile.left, tile.top]), axis=1)


def _within(tile: Tile, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(xyxy, np.array([tile.left, tile.top] * 2, np.float32), np.array([tile.right, tile.bottom] * 2, np.float32))


def _suppress(order: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool [N], which boxes stay if each that stays drops those after it that mean the same object.

    Args:
        order: [N], the boxes from the first to the last.
        pairs: [P, 2] of boxes that mean the same object.
    """
    keep, rank = np.ones(len(order), np.bool_), np.argsort(order)
    better = np.where(rank[pairs[:, 0]] < rank[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    worse = pairs.sum(axis=1) - better
    for at in np.argsort(rank[better], kind="stable"):
        if keep[better[at]]:
            keep[worse[at]] = False
    return keep


def _join(boxes: Boxes, keep: NDArray[np.bool_], pairs: NDArray[np.int64]) -> Boxes:
    """Of the boxes that are kept, those that are paired, also through others, as one: it covers them, with their best score."""
    group = np.arange(len(boxes))
    while len(pairs):  # each round passes the smallest number on to neighbours
        before = group.copy()
        for side in (0, 1):
            np.minimum.at(group, pairs[:, side], before[pairs[:, 1 - side]])
        if (group == before).all():
            break
    xyxy, score = boxes.xyxy.copy(), None if boxes.score is None else boxes.score.copy()
    for side, widen in enumerate((np.minimum, np.minimum, np.maximum, np.maximum)):
        widen.at(xyxy[:, side], group, boxes.xyxy[:, side])
    if score is not None and boxes.score is not None:
        np.maximum.at(score, group, boxes.score)
    return replace(boxes, xyxy=xyxy, score=score).select(keep & (group == np.arange(len(boxes))))
