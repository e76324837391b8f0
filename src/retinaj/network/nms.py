"""Non-maximum suppression and box voting as matrix arithmetic, so that they export to every format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retinaj.network.untyped import ops

# Greedy NMS is exact for chains of boxes, each overlapping the next, up to this many boxes deep.
ROUNDS = 24
# Beside a score's square, so that a box without area or score, which has no vote, stays where it is.
_NO_VOTE = 1e-9


@dataclass(frozen=True)
class BoxPairs:
    """How each two boxes of an image lie, float32 [batch, N, N] each.

    Attributes:
        intersection: area that both cover.
        union: area that either covers.
        same_class: 1 or 0.
    """

    intersection: Any
    union: Any
    same_class: Any

    @classmethod
    def of(cls, boxes: Any, labels: Any) -> BoxPairs:
        """Of boxes [batch, N, 4] xyxy and labels [batch, N]."""
        # Coordinate by coordinate: broadcasting [N, 1] against [1, N] is fast everywhere, [N, 1, 4] against [1, N, 4] is not.
        x_min, y_min, x_max, y_max = (boxes[:, :, side] for side in range(4))
        intersection = _overlap(x_min, x_max) * _overlap(y_min, y_max)
        area = (x_max - x_min) * (y_max - y_min)
        # Not a sum of the areas: Keras 3.15 on TensorFlow takes [1, N, 1] + [1, 1, N] for a bias and adds it along one axis.
        union = area[:, :, None] - (intersection - area[:, None, :])
        # == of symbolic tensors is identity
        return cls(intersection, union, ops.cast(ops.equal(labels[:, :, None], labels[:, None, :]), "float32"))

    def above(self, overlap: Any) -> Any:
        """1 for two boxes of a class whose IoU is above `overlap`, a float or a scalar tensor; else 0."""
        return ops.cast(ops.greater(self.intersection, overlap * self.union), "float32") * self.same_class


def greedy_nms(pairs: BoxPairs, overlap: Any) -> Any:
    """Which boxes greedy per-class NMS keeps.

    A box is dropped if a kept box of its class, ranked before it, overlaps it by more than `overlap`. Greedy NMS is the one
    fixed point of that rule; starting from "all kept", each round settles one more link of every chain of overlapping
    boxes. Chains deeper than `ROUNDS` are settled from their best box down to that depth; below it, the boxes of a chain are
    all kept, because `ROUNDS` is even: an object there may be found twice, but none is lost.

    Args:
        pairs: of N boxes, best first.
        overlap: IoU, a float or a scalar tensor.

    Returns:
        float32 [batch, N], 1 for kept and 0 for dropped.
    """
    row = ops.ones_like(pairs.union[:, :, 0])
    rank = ops.cumsum(row, axis=1)
    drops = pairs.above(overlap) * ops.cast(ops.less(rank[:, :, None], rank[:, None, :]), "float32")
    keep = row[:, None, :]
    for _ in range(ROUNDS):
        keep = ops.cast(ops.matmul(keep, drops) < 0.5, "float32")
    return keep[:, 0, :]


def voted_boxes(boxes: Any, scores: Any, pairs: BoxPairs, overlap: float) -> Any:
    """Each box moved to the mean of all boxes of its class that overlap it: several guesses are better than the best one.

    Box voting of Gidaris & Komodakis 2015, "Object detection via a multi-region & semantic segmentation-aware CNN model",
    section 5, with the weights score**2 * IoU.

    Args:
        boxes: [batch, N, 4] xyxy.
        scores: [batch, N].
        pairs: of these boxes.
        overlap: IoU above which a box has a vote.

    Returns:
        [batch, N, 4].
    """
    iou = pairs.intersection / ops.maximum(pairs.union, _NO_VOTE)
    votes = iou * pairs.above(overlap) * (scores * scores)[:, None, :]
    return (ops.matmul(votes, boxes) + _NO_VOTE * boxes) / (ops.sum(votes, axis=-1, keepdims=True) + _NO_VOTE)


def _overlap(low: Any, high: Any) -> Any:
    """How far each two of the intervals low..high [batch, N] overlap: [batch, N, N], 0 for apart."""
    shared = ops.minimum(high[:, :, None], high[:, None, :]) - ops.maximum(low[:, :, None], low[:, None, :])
    return ops.maximum(shared, 0.0)
