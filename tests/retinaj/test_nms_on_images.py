"""The NMS of the graph against greedy NMS in NumPy: on every real image, and beyond the depth to which it is exact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from retinaj.boxes import iou_matrix
from retinaj.errors import RetinaJError
from retinaj.images import find_images, read_image
from retinaj.network.config import NetworkConfig
from retinaj.network.detection import decode_levels, network_input, select_detections
from retinaj.network.nms import ROUNDS, greedy_nms
from retinaj.network.retinanet import build_network, flatten_levels
from retinaj.network.untyped import keras
from retinaj.normalization import PercentileScale

# Random weights score boxes all over the image, close to each other: harder for NMS than what a trained model leaves.
CONFIG = NetworkConfig(
    num_classes=2, channels=1, fill=(0.0,), prior=0.3, pyramid_width=16, downsampling=4, max_candidates=400, score_floor=0.05
)
OVERLAP = 0.5


def greedy(boxes: NDArray[np.float32], labels: NDArray[np.int64], overlap: float) -> NDArray[np.bool_]:
    """Which boxes, best first, are kept by greedy NMS, as everyone writes it."""
    rivals = (iou_matrix(boxes, boxes) > overlap) & (labels[:, None] == labels)
    kept = np.zeros(len(boxes), bool)
    for index in range(len(boxes)):
        kept[index] = not (rivals[index] & kept).any()
    return kept


def expected_rows(outputs: dict[str, list[tf.Tensor]]) -> NDArray[np.float32]:
    """What `select_detections` shall give, [K, 6], for one image."""
    boxes = np.asarray(decode_levels(outputs["box_deltas"], CONFIG))[0] * CONFIG.downsampling
    scores = np.asarray(tf.sigmoid(flatten_levels(outputs["class_logits"], CONFIG.num_classes)))[0].ravel()
    best = np.argsort(-scores, kind="stable")[: CONFIG.max_candidates]
    boxes, labels, scores = boxes[best // CONFIG.num_classes], best % CONFIG.num_classes, scores[best]
    kept = np.flatnonzero(greedy(boxes, labels, OVERLAP) & (scores >= CONFIG.score_floor))[: CONFIG.max_detections]
    rows = np.zeros((CONFIG.max_detections, 6), np.float32)
    rows[: len(kept)] = np.column_stack([boxes[kept], scores[kept], labels[kept] + 1])
    return rows


def grey_planes(folder: Path) -> Iterator[tuple[Path, NDArray[np.float32]]]:
    """One normalised plane [y, x, 1] of every image; masks are annotations."""
    places = [place for place in [folder, *folder.rglob("*/")] if place.name != "masks"]
    for path in sorted({image for place in places for image in find_images(place)}):
        try:
            image = read_image(path)
        except RetinaJError:  # a file that RetinaJ does not read is for the tests of reading
            continue
        plane = image.isel({axis: 0 for axis in image.dims if axis not in ("y", "x")}).to_numpy()[..., None]
        yield path, PercentileScale()(plane)


def test_nms_equals_greedy_nms_on_every_real_image(shared_data: Path) -> None:
    keras.utils.set_random_seed(5)
    network = build_network(CONFIG)

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 1], tf.float32)])
    def run(image):
        outputs = network(network_input(image, CONFIG))
        return outputs, select_detections(outputs, CONFIG, OVERLAP)

    images = found = 0
    for path, plane in grey_planes(shared_data):
        outputs, rows = run(plane[None])
        np.testing.assert_allclose(rows[0], expected_rows(outputs), atol=1e-3, err_msg=str(path))
        found += int((np.asarray(rows)[0, :, 4] > 0).sum())
        images += 1
    assert images > 300
    assert found > 20 * images


def test_below_its_depth_nms_keeps_every_box_of_a_chain() -> None:
    """What `greedy_nms` says of chains deeper than ROUNDS: exact to that depth; below it, all kept, as ROUNDS is even."""
    depth = ROUNDS + 20
    left = np.arange(depth) * 3.0
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1).astype(np.float32)
    labels = np.zeros(depth, np.int64)
    keep = np.asarray(greedy_nms(tf.constant(boxes[None]), tf.constant(labels[None]), OVERLAP))[0] > 0
    reference = greedy(boxes, labels, OVERLAP)
    np.testing.assert_array_equal(keep[: ROUNDS + 1], reference[: ROUNDS + 1])
    assert keep[ROUNDS:].all()
    assert not (reference & ~keep).any()  # no object is lost, some are found twice
