"""The losses of the two heads. Both are summed over anchors and divided by the number of positive anchors of the batch."""

from __future__ import annotations

from typing import Any

from retinaj.network.box_coding import decode_boxes, encode_boxes
from retinaj.network.targets import BACKGROUND, IGNORED
from retinaj.network.untyped import ops

# The standard deviations by which box targets are usually divided (Girshick 2015, "Fast R-CNN"), and where smooth L1
# turns from square to linear.
_DELTA_DEVIATION = (0.1, 0.1, 0.2, 0.2)
_SMOOTH_L1_BETA = 1 / 9


def positives(label: Any) -> Any:
    """float32, 1 for anchors that have an object; same shape as `label`."""
    return ops.cast(ops.greater(label, BACKGROUND), "float32")


def focal_loss(logits: Any, label: Any, *, alpha: float = 0.25, gamma: float = 2.0) -> Any:
    """Sigmoid focal loss (Lin et al. 2017, equation 5), summed.

    Args:
        logits: float32 [batch, A, classes].
        label: int32 [batch, A]: class, BACKGROUND or IGNORED.
        alpha: weight of the object's class; background has 1 - alpha.
        gamma: how strongly well-scored anchors are held back; 0 is cross-entropy.

    Returns:
        A scalar. Ignored anchors give none.
    """
    target = ops.one_hot(label, logits.shape[-1], dtype="float32")  # BACKGROUND and IGNORED give zeros
    probability = ops.sigmoid(logits)
    cross_entropy = ops.softplus(logits) - target * logits
    wrong = target * (1 - probability) + (1 - target) * probability
    weight = target * alpha + (1 - target) * (1 - alpha)
    counted = ops.cast(ops.not_equal(label, IGNORED), "float32")[..., None]
    return ops.sum(weight * wrong**gamma * cross_entropy * counted)


def smooth_l1_loss(deltas: Any, centre: Any, size: Any, boxes: Any, positive: Any) -> Any:
    """Smooth L1 on encoded boxes (Girshick 2015, equation 3), summed over positive anchors.

    Args:
        deltas: float32 [batch, A, 4] of the box head.
        centre: float32 [A, 2] of the anchors.
        size: float32 [A, 2] of the anchors.
        boxes: float32 [batch, A, 4] xyxy target of each positive anchor.
        positive: float32 [batch, A], 1 for positive anchors.
    """
    safe = _safe_targets(centre, size, boxes, positive)
    error = ops.absolute((deltas - encode_boxes(centre, size, safe)) / ops.convert_to_tensor(_DELTA_DEVIATION))
    beta = _SMOOTH_L1_BETA
    loss = ops.where(error < beta, 0.5 * error**2 / beta, error - 0.5 * beta)
    return ops.sum(ops.sum(loss, axis=-1) * positive)


def giou_loss(deltas: Any, centre: Any, size: Any, boxes: Any, positive: Any) -> Any:
    """1 - generalised IoU of the decoded boxes (Rezatofighi et al. 2019, algorithm 1), summed over positive anchors.

    Args as `smooth_l1_loss`.
    """
    predicted = decode_boxes(centre, size, deltas)
    target = _safe_targets(centre, size, boxes, positive)
    overlap = _area(ops.maximum(predicted[..., :2], target[..., :2]), ops.minimum(predicted[..., 2:], target[..., 2:]))
    hull = _area(ops.minimum(predicted[..., :2], target[..., :2]), ops.maximum(predicted[..., 2:], target[..., 2:]))
    union = _area(predicted[..., :2], predicted[..., 2:]) + _area(target[..., :2], target[..., 2:]) - overlap
    giou = overlap / ops.maximum(union, 1e-6) - (hull - union) / ops.maximum(hull, 1e-6)
    return ops.sum((1 - giou) * positive)


def _area(low: Any, high: Any) -> Any:
    side = ops.maximum(high - low, 0.0)
    return side[..., 0] * side[..., 1]


def _safe_targets(centre: Any, size: Any, boxes: Any, positive: Any) -> Any:
    """Targets in which anchors without an object stand for themselves: their loss is finite, so its weight of 0 holds."""
    anchors = ops.concatenate([centre - size / 2, centre + size / 2], axis=-1)
    return ops.where(ops.greater(positive, 0.5)[..., None], boxes, anchors)
