"""Non-maximum suppression as matrix arithmetic, so that it exports to every format."""

from __future__ import annotations

from typing import Any

from retinaj.network.untyped import ops

# Greedy NMS is exact for chains of boxes, each overlapping the next, up to this many boxes deep.
ROUNDS = 24


def greedy_nms(boxes: Any, labels: Any, overlap: Any) -> Any:
    """Which boxes greedy per-class NMS keeps.

    A box is dropped if a kept box of its class, ranked before it, overlaps it by more than `overlap`. Greedy NMS is the one
    fixed point of that rule; starting from "all kept", each round settles one more link of every chain of overlapping
    boxes. Chains deeper than `ROUNDS` are settled from their best box down to that depth; below it, the boxes of a chain are
    all kept, because `ROUNDS` is even: an object there may be found twice, but none is lost.

    Args:
        boxes: [batch, N, 4] xyxy, best first.
        labels: [batch, N].
        overlap: IoU, a float or a scalar tensor.

    Returns:
        float32 [batch, N], 1 for kept and 0 for dropped.
    """
    # Coordinate by coordinate: broadcasting [N, 1] against [1, N] is fast everywhere, [N, 1, 4] against [1, N, 4] is not.
    x_min, y_min, x_max, y_max = (boxes[:, :, side] for side in range(4))
    width = _overlap(x_min, x_max)
    height = _overlap(y_min, y_max)
    intersection = width * height
    area = (x_max - x_min) * (y_max - y_min)
    # Not a sum of the two areas: Keras 3.15 on TensorFlow takes [1, N, 1] + [1, 1, N] for a bias and adds it along one axis.
    union = area[:, :, None] - (intersection - area[:, None, :])
    rank = ops.cumsum(ops.ones_like(area), axis=1)
    drops = (
        ops.cast(ops.greater(intersection, overlap * union), "float32")
        * ops.cast(ops.equal(labels[:, :, None], labels[:, None, :]), "float32")  # == of symbolic tensors is identity
        * ops.cast(ops.less(rank[:, :, None], rank[:, None, :]), "float32")
    )
    keep = ops.ones_like(area)[:, None, :]
    for _ in range(ROUNDS):
        keep = ops.cast(ops.matmul(keep, drops) < 0.5, "float32")
    return keep[:, 0, :]


def _overlap(low: Any, high: Any) -> Any:
    """How far each two of the intervals low..high [batch, N] overlap: [batch, N, N], 0 for apart."""
    shared = ops.minimum(high[:, :, None], high[:, None, :]) - ops.maximum(low[:, :, None], low[:, None, :])
    return ops.maximum(shared, 0.0)
