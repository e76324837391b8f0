"""The losses of the two heads: of classes, summed over the anchors of each image; of boxes, of each box that an anchor has."""

from __future__ import annotations

import math
from typing import Any

from retinaj.network.box_coding import decode_boxes, encode_boxes
from retinaj.network.targets import BACKGROUND, IGNORED
from retinaj.network.untyped import ops, tf

# The standard deviations by which box targets are usually divided (Girshick 2015, "Fast R-CNN"), and where smooth L1
# turns from square to linear.
_DELTA_DEVIATION = (0.1, 0.1, 0.2, 0.2)
_SMOOTH_L1_BETA = 1 / 9
_TINY = 1e-6


def positives(label: Any) -> Any:
    """Where `label` [batch, A] has an object: int64 [P, 2], (image, anchor) of each positive anchor."""
    return tf.where(ops.greater(label, BACKGROUND))


def focal_loss(
    logits: Any, label: Any, *, alpha: float = 0.25, gamma: float = 2.0, smoothing: float = 0.0, weights: Any = None
) -> Any:
    """Sigmoid focal loss (Lin et al. 2017, equation 5), summed over the anchors of each image.

    Args:
        logits: float32 [batch, A, classes].
        label: int32 [batch, A]: class, BACKGROUND or IGNORED.
        alpha: weight of the object's class; background has 1 - alpha.
        gamma: how strongly well-scored anchors are held back; 0 is cross-entropy.
        smoothing: an object's class is asked for a score of 1 - smoothing; background still for 0.
        weights: float32 [classes], how much objects of each class count; None counts all alike.

    Returns:
        float32 [batch]. Ignored anchors give none.
    """
    target = ops.one_hot(label, logits.shape[-1], dtype="float32")  # BACKGROUND and IGNORED give zeros
    probability = ops.sigmoid(logits)
    cross_entropy = ops.softplus(logits) - target * (1 - smoothing) * logits
    wrong = ops.absolute(target * (1 - smoothing) - probability) if smoothing else target + (1 - 2 * target) * probability
    object_weight = target * alpha if weights is None else target * alpha * weights
    weight = object_weight + (1 - target) * (1 - alpha)
    counted = ops.cast(ops.not_equal(label, IGNORED), "float32")[..., None]
    return ops.sum(weight * wrong**gamma * cross_entropy * counted, axis=(1, 2))


def quality_focal_loss(logits: Any, label: Any, quality: Any, *, gamma: float = 2.0, weights: Any = None) -> Any:
    """Focal loss that asks objects for the IoU of their box, not 1 (Li et al. 2020, "Generalized Focal Loss", equation 3).

    The score then tells how well the box fits too, so that NMS keeps the best of several boxes of an object.

    Args:
        logits: float32 [batch, A, classes].
        label: int32 [batch, A]: class, BACKGROUND or IGNORED.
        quality: float32 [batch, A], what an object's class is asked for: `box_quality`.
        gamma: how strongly what is already scored right is held back; beta in the paper.
        weights: float32 [classes], how much objects of each class count; None counts all alike.

    Returns:
        float32 [batch]. Ignored anchors give none.
    """
    one_hot = ops.one_hot(label, logits.shape[-1], dtype="float32")
    target = one_hot * quality[..., None]
    cross_entropy = ops.softplus(logits) - target * logits
    wrong = ops.absolute(target - ops.sigmoid(logits))
    weight = 1.0 if weights is None else 1 - one_hot + one_hot * weights
    counted = ops.cast(ops.not_equal(label, IGNORED), "float32")[..., None]
    return ops.sum(weight * wrong**gamma * cross_entropy * counted, axis=(1, 2))


def box_quality(deltas: Any, centre: Any, size: Any, boxes: Any) -> Any:
    """IoU of each decoded box with its target, without gradient: float32 [P].

    Args as `smooth_l1_loss`.
    """
    iou, _ = _iou(decode_boxes(centre, size, deltas), boxes)
    return ops.stop_gradient(iou)


def smooth_l1_loss(deltas: Any, centre: Any, size: Any, boxes: Any) -> Any:
    """Smooth L1 on encoded boxes (Girshick 2015, equation 3).

    Args:
        deltas: float32 [P, 4], what the box head says at P positive anchors.
        centre: float32 [P, 2] of these anchors.
        size: float32 [P, 2] of these anchors.
        boxes: float32 [P, 4], their targets, xyxy.

    Returns:
        float32 [P].
    """
    error = ops.absolute((deltas - encode_boxes(centre, size, boxes)) / ops.convert_to_tensor(_DELTA_DEVIATION))
    beta = _SMOOTH_L1_BETA
    return ops.sum(ops.where(error < beta, 0.5 * error**2 / beta, error - 0.5 * beta), axis=-1)


def giou_loss(deltas: Any, centre: Any, size: Any, boxes: Any) -> Any:
    """1 - generalised IoU of the decoded boxes (Rezatofighi et al. 2019, algorithm 1).

    Args and returns as `smooth_l1_loss`.
    """
    predicted = decode_boxes(centre, size, deltas)
    iou, union = _iou(predicted, boxes)
    hull = _area(ops.minimum(predicted[..., :2], boxes[..., :2]), ops.maximum(predicted[..., 2:], boxes[..., 2:]))
    return 1 - iou + (hull - union) / ops.maximum(hull, _TINY)


def ciou_loss(deltas: Any, centre: Any, size: Any, boxes: Any) -> Any:
    """1 - complete IoU of the decoded boxes (Zheng et al. 2020, "Distance-IoU Loss", equations 8 to 11).

    Args and returns as `smooth_l1_loss`.
    """
    predicted = decode_boxes(centre, size, deltas)
    iou, _ = _iou(predicted, boxes)
    hull = ops.maximum(predicted[..., 2:], boxes[..., 2:]) - ops.minimum(predicted[..., :2], boxes[..., :2])
    between = (predicted[..., :2] + predicted[..., 2:] - boxes[..., :2] - boxes[..., 2:]) / 2
    distance = ops.sum(between**2, axis=-1) / ops.maximum(ops.sum(hull**2, axis=-1), _TINY)
    aspect = (4 / math.pi**2) * (_angle(boxes) - _angle(predicted)) ** 2
    # The paper's trade-off has no gradient: it only decides how much the aspect ratio counts.
    trade_off = ops.stop_gradient(aspect / ops.maximum(1 - iou + aspect, _TINY))
    return 1 - iou + distance + trade_off * aspect


def _iou(one: Any, other: Any) -> tuple[Any, Any]:
    """(IoU, area of the union) of boxes [..., 4], pair by pair."""
    overlap = _area(ops.maximum(one[..., :2], other[..., :2]), ops.minimum(one[..., 2:], other[..., 2:]))
    union = _area(one[..., :2], one[..., 2:]) + _area(other[..., :2], other[..., 2:]) - overlap
    return overlap / ops.maximum(union, _TINY), union


def _angle(boxes: Any) -> Any:
    side = boxes[..., 2:] - boxes[..., :2]
    return ops.arctan(side[..., 0] / ops.maximum(side[..., 1], _TINY))


def _area(low: Any, high: Any) -> Any:
    side = ops.maximum(high - low, 0.0)
    return side[..., 0] * side[..., 1]
