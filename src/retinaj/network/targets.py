"""Which anchors should find which ground-truth box: target assignment, in numpy, so that tf.data does it beside training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinaj.boxes import iou_matrix
from retinaj.network.anchors import anchor_grid, anchor_sizes, grid_shape
from retinaj.network.config import AnchorConfig

BACKGROUND = -1
IGNORED = -2


@dataclass(frozen=True)
class Targets:
    """What the heads should say about one image.

    Attributes:
        label: int32 [A], the class of each anchor, BACKGROUND, or IGNORED (no loss).
        boxes: float32 [A, 4], the ground-truth box of each positive anchor, xyxy in downsampled pixels; elsewhere zeros.
    """

    label: NDArray[np.int32]
    boxes: NDArray[np.float32]


def assign_atss(config: AnchorConfig, height: int, width: int, xyxy: NDArray[np.float32], label: NDArray[np.int32]) -> Targets:
    """Adaptive Training Sample Selection (Zhang et al. 2020, "Bridging the Gap", algorithm 1).

    Each box takes as candidates the anchors of the 3 x 3 cells round its centre on every level; positive are those whose
    IoU is at least the candidates' mean plus standard deviation and whose centre lies inside the box. A box without any
    takes its best candidate, so that no object goes unlearned; an anchor wanted by two boxes goes to the better fit.

    Args:
        config: the anchors.
        height: of the image, in downsampled pixels.
        width: of the image, in downsampled pixels.
        xyxy: float32 [N, 4] ground truth in downsampled pixels.
        label: int32 [N].

    Returns:
        Targets in the order of `anchor_grid(config, height, width)`.
    """
    count = sum(grid_shape(height, level) * grid_shape(width, level) for level in config.levels) * config.per_cell
    targets = Targets(np.full(count, BACKGROUND, np.int32), np.zeros((count, 4), np.float32))
    if not len(xyxy):
        return targets
    index, iou, inside = _neighbours(config, height, width, xyxy)
    exists = index >= 0
    number = np.maximum(exists.sum(axis=1, keepdims=True), 1)
    mean = (iou * exists).sum(axis=1, keepdims=True) / number
    deviation = np.sqrt((((iou - mean) ** 2) * exists).sum(axis=1, keepdims=True) / number)
    positive = exists & inside & (iou >= mean + deviation)
    forgotten = ~positive.any(axis=1)
    positive[forgotten, np.where(exists, iou, -1)[forgotten].argmax(axis=1)] = True

    box, candidate = np.nonzero(positive & exists)
    worst_first = np.argsort(iou[box, candidate], kind="stable")  # the last assignment to an anchor wins
    box, anchor = box[worst_first], index[box, candidate][worst_first]
    targets.label[anchor] = label[box]
    targets.boxes[anchor] = xyxy[box]
    return targets


def _neighbours(
    config: AnchorConfig, height: int, width: int, xyxy: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
    """Each box's candidates: index into the anchor grid (-1 outside it), IoU, centre inside the box; each [N, M]."""
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    area = (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1)[:, None]
    indices: list[NDArray[np.int64]] = []
    ious: list[NDArray[np.float32]] = []
    insides: list[NDArray[np.bool_]] = []
    first = 0
    step = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(1, 9, 2)
    for level in config.levels:
        rows, columns = grid_shape(height, level), grid_shape(width, level)
        cell = np.floor(centre / 2**level).astype(np.int64)[:, None, :] + step
        exists = ((cell >= 0) & (cell < (columns, rows))).all(axis=2)
        position = (cell + 0.5) * 2**level
        inside = ((position > xyxy[:, None, :2]) & (position < xyxy[:, None, 2:])).all(axis=2)
        cell_index = cell[..., 1] * columns + cell[..., 0]
        for number, size in enumerate(anchor_sizes(config, level)):
            low = np.maximum(position - size / 2, xyxy[:, None, :2])
            high = np.minimum(position + size / 2, xyxy[:, None, 2:])
            overlap = np.maximum(high - low, 0).prod(axis=2)
            indices.append(np.where(exists, first + cell_index * config.per_cell + number, -1))
            ious.append((overlap / (area + size.prod() - overlap)).astype(np.float32))
            insides.append(inside)
        first += rows * columns * config.per_cell
    return np.concatenate(indices, axis=1), np.concatenate(ious, axis=1), np.concatenate(insides, axis=1)


def assign_by_iou(
    config: AnchorConfig,
    height: int,
    width: int,
    xyxy: NDArray[np.float32],
    label: NDArray[np.int32],
    *,
    positive: float = 0.5,
    negative: float = 0.4,
) -> Targets:
    """The rule of the RetinaNet paper (Lin et al. 2017, section 4): by the best IoU of each anchor.

    An anchor is positive for its best box at IoU >= `positive`, background below `negative`, and ignored between. Each box
    also takes its best anchor, whatever the IoU.

    Args and returns as `assign_atss`.
    """
    anchors = anchor_grid(config, height, width)
    targets = Targets(np.full(len(anchors), BACKGROUND, np.int32), np.zeros((len(anchors), 4), np.float32))
    if not len(xyxy):
        return targets
    iou = iou_matrix(anchors, xyxy)
    best_box = iou.argmax(axis=1)
    best_iou = iou[np.arange(len(anchors)), best_box]
    targets.label[best_iou >= negative] = IGNORED
    best_box[iou.argmax(axis=0)] = np.arange(len(xyxy))
    chosen = best_iou >= positive
    chosen[iou.argmax(axis=0)] = True
    targets.label[chosen] = label[best_box[chosen]]
    targets.boxes[chosen] = xyxy[best_box[chosen]]
    return targets
