"""Boxes relative to anchors, as the box head predicts them (Girshick et al. 2014, "Rich feature hierarchies", appendix C)."""

from __future__ import annotations

import math
from typing import Any

from retinaj.network.untyped import ops

# exp of a wild prediction must stay finite; 62.5 times the anchor is already larger than any anchor is matched to.
_MAX_LOG_SIZE = math.log(1000 / 16)


def decode_boxes(centre: Any, size: Any, deltas: Any) -> Any:
    """Boxes from predictions.

    Args:
        centre: [..., 2] (x, y) of the anchors.
        size: [..., 2] (width, height) of the anchors.
        deltas: [..., 4]: shift of the centre in units of the anchor's size, logarithm of the size relative to it.

    Returns:
        [..., 4] xyxy in the unit of `centre`.
    """
    shift, log_size = ops.split(deltas, 2, axis=-1)
    box_centre = centre + shift * size
    half = ops.exp(ops.minimum(log_size, _MAX_LOG_SIZE)) * size * 0.5
    return ops.concatenate([box_centre - half, box_centre + half], axis=-1)


def encode_boxes(centre: Any, size: Any, boxes: Any) -> Any:
    """The predictions that would decode to `boxes`: the inverse of `decode_boxes`, same shapes."""
    low, high = ops.split(boxes, 2, axis=-1)
    box_size = ops.maximum(high - low, 1e-3)
    return ops.concatenate([((low + high) * 0.5 - centre) / size, ops.log(box_size / size)], axis=-1)
