"""The losses of a batch: of which anchors, of which image, divided by what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_models import tiny_record

from retinaj.network.anchors import anchor_grid
from retinaj.network.losses import focal_loss, giou_loss
from retinaj.network.retinanet import flatten_levels
from retinaj.network.targets import BACKGROUND
from retinaj.network.untyped import tf
from retinaj.training.replicas import Replicas
from retinaj.training.settings import TrainingSettings
from retinaj.training.step import Losses

RECORD = tiny_record(3, "uint8")
ANCHORS = anchor_grid(RECORD.network.anchors, 64, 64)
PER_CELL, CLASSES = RECORD.network.anchors.per_cell, RECORD.network.num_classes


def losses(**settings: object) -> Losses:
    training = RECORD.training.model_copy(update={"settings": TrainingSettings(**settings)})
    return Losses(RECORD.model_copy(update={"training": training}), Replicas())


def maps(images: int, values: int, seed: int) -> list[Any]:
    random = np.random.default_rng(seed)
    sides = [64 // 2**level for level in RECORD.network.anchors.levels]
    return [tf.Variable(random.normal(0, 0.3, (images, side, side, PER_CELL * values)).astype(np.float32)) for side in sides]


def targets(*objects: dict[int, int]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Of each image {anchor: class}; each target is its anchor, moved by a pixel."""
    label = np.full((len(objects), len(ANCHORS)), BACKGROUND, np.int32)
    boxes = np.zeros((len(objects), len(ANCHORS), 4), np.float32)
    for image, classes in enumerate(objects):
        for anchor, name in classes.items():
            label[image, anchor], boxes[image, anchor] = name, ANCHORS[anchor] + 1
    return label, boxes


@pytest.mark.parametrize("kind", ["focal", "quality"])
def test_each_image_has_its_part_and_both_are_divided_by_the_positive_anchors_of_the_batch(kind: str) -> None:
    outputs = {"class_logits": maps(2, CLASSES, 1), "box_deltas": maps(2, 4, 2)}
    label, boxes = targets({3: 0, 70: 2}, {5: 1})
    class_loss, box_loss = losses(class_loss=kind, class_weight=1.5, box_weight=3)(outputs, ANCHORS, label, boxes)
    deltas = flatten_levels(outputs["box_deltas"], 4).numpy()
    centre, size = (ANCHORS[:, :2] + ANCHORS[:, 2:]) / 2, ANCHORS[:, 2:] - ANCHORS[:, :2]
    expected = [
        sum(float(giou_loss(deltas[image, [at]], centre[[at]], size[[at]], boxes[image, [at]])[0]) for at in anchors)
        for image, anchors in enumerate(((3, 70), (5,)))
    ]
    np.testing.assert_allclose(box_loss, 3 * np.array(expected) / 3, rtol=1e-5)
    if kind == "focal":
        logits = flatten_levels(outputs["class_logits"], CLASSES)
        np.testing.assert_allclose(class_loss, 1.5 * focal_loss(logits, label) / 3, rtol=1e-5)
    moved = losses(class_loss=kind)({**outputs, "class_logits": maps(2, CLASSES, 3)}, ANCHORS, label, boxes)
    assert not np.allclose(moved[0], class_loss)
    np.testing.assert_allclose(moved[1], 2 / 3 * box_loss, rtol=1e-5)


def test_quality_asks_each_object_for_the_iou_of_its_own_box() -> None:
    logits, deltas = maps(1, CLASSES, 1), [tf.zeros_like(each) for each in maps(1, 4, 2)]
    label, boxes = targets({3: 0})
    least = {}
    for shift in (0.0, 1.0):  # an undistorted anchor fits itself, and less well what lies beside it
        boxes[0, 3] = ANCHORS[3] + shift
        side = ANCHORS[3, 2] - ANCHORS[3, 0]
        iou = (side - shift) ** 2 / (2 * side**2 - (side - shift) ** 2)
        found = {}
        for score in (0.3, iou - 0.1, min(iou, 1 - 1e-4)):
            flat = logits[0].numpy().reshape(-1, CLASSES)
            flat[3] = (np.log(score / (1 - score)), -20, -20)
            logits[0].assign(flat.reshape(logits[0].shape))
            class_loss, _ = losses(class_loss="quality")({"class_logits": logits, "box_deltas": deltas}, ANCHORS, label, boxes)
            found[score] = float(class_loss[0])
        least[shift] = min(found, key=lambda score: found[score])
        assert least[shift] == min(iou, 1 - 1e-4)
    assert least[0.0] > least[1.0]


@pytest.mark.parametrize("kind", ["focal", "quality"])
@pytest.mark.parametrize("box_loss", ["giou", "ciou", "smooth_l1"])
def test_images_without_objects_have_a_finite_loss_and_gradient(kind: str, box_loss: str) -> None:
    outputs = {"class_logits": maps(2, CLASSES, 1), "box_deltas": maps(2, 4, 2)}
    label, boxes = targets({}, {})
    with tf.GradientTape() as tape:
        class_loss, found = losses(class_loss=kind, box_loss=box_loss)(outputs, ANCHORS, label, boxes)
        total = tf.reduce_sum(class_loss) + tf.reduce_sum(found)
    assert found.numpy().tolist() == [0, 0]
    assert np.isfinite(class_loss).all()
    gradients = tape.gradient(total, [*outputs["class_logits"], *outputs["box_deltas"]])
    assert all(np.isfinite(tf.convert_to_tensor(gradient)).all() for gradient in gradients)
