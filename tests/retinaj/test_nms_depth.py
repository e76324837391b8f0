"""The NMS of the graph beyond the depth to which it is exact, against greedy NMS in NumPy."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from nms_reference import greedy

from retinaj.network.nms import ROUNDS, BoxPairs, greedy_nms

OVERLAP = 0.5


def test_below_its_depth_nms_keeps_every_box_of_a_chain() -> None:
    """What `greedy_nms` says of chains deeper than ROUNDS: exact to that depth; below it, all kept, as ROUNDS is even."""
    depth = ROUNDS + 20
    left = np.arange(depth) * 3.0
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1).astype(np.float32)
    labels = np.zeros(depth, np.int64)
    keep = np.asarray(greedy_nms(BoxPairs.of(tf.constant(boxes[None]), tf.constant(labels[None])), OVERLAP))[0] > 0
    reference = greedy(boxes, labels, OVERLAP)
    np.testing.assert_array_equal(keep[: ROUNDS + 1], reference[: ROUNDS + 1])
    assert keep[ROUNDS:].all()
    assert not (reference & ~keep).any()  # no object is lost, some are found twice
