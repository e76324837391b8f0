"""The network and its parts: shapes, any size, padding, and what each loss and assignment is worth."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from nms_reference import voted
from numpy.typing import NDArray

from retinaj.boxes import iou_matrix
from retinaj.errors import RetinaJError
from retinaj.network.anchors import anchor_grid, best_anchor_iou, fit_anchors
from retinaj.network.applications import APPLICATIONS, repeatable
from retinaj.network.box_coding import decode_boxes, encode_boxes
from retinaj.network.config import BACKBONES, AnchorConfig, NetworkConfig
from retinaj.network.detection import decode_levels, detections, network_input
from retinaj.network.losses import (
    box_quality,
    ciou_loss,
    focal_loss,
    giou_loss,
    positives,
    quality_focal_loss,
    smooth_l1_loss,
)
from retinaj.network.nms import ROUNDS, BoxPairs, greedy_nms, voted_boxes
from retinaj.network.retinanet import build_network, flatten_levels
from retinaj.network.targets import BACKGROUND, IGNORED, assign_atss, assign_by_iou
from retinaj.network.untyped import keras
from retinaj.training.freezing import freeze
from retinaj.training.image_store import average_down, pad_to_multiple
from retinaj.training.settings import TrainingSettings

ANCHORS = AnchorConfig(min_level=3, max_level=5, base=2.0)


# ResNet101 and 152 are ResNet50 with more of the same blocks: built in the benchmarks, as they take half a minute.
BUILT = [name for name in BACKBONES if name not in ("resnet101", "resnet152")]


@pytest.mark.parametrize(
    ("backbone", "channels", "changes"),
    [
        *((name, at % 4 + 1, {}) for at, name in enumerate(BUILT)),
        ("light", 1, {"norm": "batch", "separable": True}),
        ("light", 1, {"shared_tower": True}),
    ],
)
def test_network_has_an_output_for_every_anchor(backbone: str, channels: int, changes: dict[str, object]) -> None:
    config = NetworkConfig(
        backbone=backbone, channels=channels, num_classes=2, pyramid_width=16, fill=(0.0,) * channels, **changes
    )
    network = build_network(config)
    outputs = network(tf.zeros([1, 64, 96, channels]))
    anchors = anchor_grid(config.anchors, 64, 96)
    assert flatten_levels(outputs["class_logits"], 2).shape == (1, len(anchors), 2)
    assert flatten_levels(outputs["box_deltas"], 4).shape == (1, len(anchors), 4)
    scores = tf.sigmoid(flatten_levels(outputs["class_logits"], 2))
    assert float(tf.reduce_mean(scores)) == pytest.approx(config.prior, rel=0.5)  # the class head starts at the prior


@pytest.mark.parametrize("levels", [(2, 4), (3, 5), (3, 7)])
def test_pyramid_levels_are_an_option(levels: tuple[int, int]) -> None:
    config = NetworkConfig(num_classes=1, anchors=AnchorConfig(min_level=levels[0], max_level=levels[1]), pyramid_width=16)
    side = 128
    outputs = build_network(config)(tf.zeros([1, side, side, 3]))
    assert [feature.shape[1] for feature in outputs["class_logits"]] == [
        side // 2**level for level in range(levels[0], levels[1] + 1)
    ]


def test_all_taps_are_where_their_strides_say() -> None:
    """Of the networks that are not built above, too."""
    for name in ("resnet101", "resnet152"):
        blocks = {"resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}[name]  # He et al. 2016, table 1
        expected = tuple(f"conv{stage}_block{count}_out" for stage, count in enumerate(blocks, 2))
        assert APPLICATIONS[name].taps == expected


def test_layers_that_a_run_could_not_repeat_are_replaced_by_the_same_thing() -> None:
    application = keras.applications.ConvNeXtTiny(
        include_top=False, weights=None, input_shape=(64, 64, 3), include_preprocessing=False
    )
    for variable in application.weights:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape, scale=0.05))
    replaced = repeatable(application)
    assert not [layer for layer in replaced.layers if type(layer).__module__.startswith("keras.src.applications")]
    image = np.random.default_rng(1).normal(size=(1, 64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(replaced(image), application(image), atol=1e-4)


def test_light_has_no_imagenet_weights() -> None:
    with pytest.raises(RetinaJError, match="light has no ImageNet weights"):
        build_network(NetworkConfig(num_classes=1), imagenet_weights=True)


def test_freezing_touches_only_the_backbones_batch_norm() -> None:
    network = build_network(NetworkConfig(backbone="mobilenet_v1", num_classes=1, pyramid_width=16))
    before = len(network.trainable_variables)
    freeze(network, TrainingSettings(backbone="mobilenet_v1", freeze_batch_norm=True))
    frozen = [v.path for v in network.variables if v.path not in {t.path for t in network.trainable_variables}]
    assert before - len(network.trainable_variables) == 27 * 2  # gamma and beta of MobileNet's 27 BatchNorms
    assert all("head" not in path for path in frozen)


@pytest.mark.parametrize("size", [(64, 64), (65, 64), (97, 130), (1, 1), (31, 200)])
@pytest.mark.parametrize("downsampling", [1, 2, 4])
def test_graph_pads_and_averages_as_training_does(size: tuple[int, int], downsampling: int) -> None:
    config = NetworkConfig(num_classes=1, downsampling=downsampling, fill=(0.5, -1.0, 2.0))
    image = np.random.default_rng(0).normal(size=(*size, 3)).astype(np.float32)
    multiple = config.stride // downsampling
    expected = pad_to_multiple(average_down(image, config), multiple, np.asarray(config.fill, np.float32))
    np.testing.assert_allclose(network_input(tf.constant(image[None]), config)[0], expected, atol=1e-6)


def detect_once(config: NetworkConfig, image: NDArray[np.float32], overlap: float = 0.5) -> NDArray[np.float32]:
    keras.utils.set_random_seed(3)
    return np.asarray(detections(build_network(config), config, tf.constant(image), tf.constant(overlap)))


def test_detections_of_any_size_lie_inside_the_image_best_first() -> None:
    config = NetworkConfig(num_classes=2, prior=0.3, pyramid_width=16, downsampling=2)
    rows = detect_once(config, np.random.default_rng(1).normal(size=(2, 77, 101, 3)).astype(np.float32))
    assert rows.shape == (2, config.max_detections, 6)
    found = rows[rows[..., 4] > 0]
    assert len(found) > 10
    assert (found[:, :2] >= 0).all()
    assert (found[:, 2] <= 101).all()
    assert (found[:, 3] <= 77).all()
    assert set(found[:, 5]) <= {1.0, 2.0}
    assert (np.diff(rows[..., 4], axis=1) <= 0).all()
    assert (rows[rows[..., 4] == 0] == 0).all()


def test_image_smaller_than_the_candidates_still_detects() -> None:
    config = NetworkConfig(num_classes=1, prior=0.3, pyramid_width=16)
    rows = detect_once(config, np.zeros((1, 8, 8, 3), np.float32))
    assert rows.shape == (1, config.max_detections, 6)


def test_functional_model_of_stock_layers_equals_the_eager_graph_after_reloading(tmp_path) -> None:
    config = NetworkConfig(num_classes=2, prior=0.3, pyramid_width=16)
    keras.utils.set_random_seed(3)
    network = build_network(config)
    symbol = keras.Input((None, None, 3), name="image")
    keras.Model(symbol, detections(network, config, symbol, 0.5)).save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    image = np.random.default_rng(1).normal(size=(1, 77, 101, 3)).astype(np.float32)
    np.testing.assert_allclose(reloaded(image), detections(network, config, image, 0.5), atol=1e-4)


# --- anchors ---


def test_decoding_zero_gives_the_anchor_grid() -> None:
    config = NetworkConfig(num_classes=1, anchors=ANCHORS)
    maps = [tf.zeros([1, 64 // 2**level, 96 // 2**level, ANCHORS.per_cell * 4]) for level in ANCHORS.levels]
    np.testing.assert_allclose(decode_levels(maps, config)[0], anchor_grid(ANCHORS, 64, 96), atol=1e-4)


def test_best_anchor_equals_brute_force() -> None:
    random = np.random.default_rng(0)
    low = random.uniform(64, 128, (50, 2))
    boxes = np.concatenate([low, low + random.uniform(4, 80, (50, 2))], axis=1).astype(np.float32)
    expected = iou_matrix(boxes, anchor_grid(ANCHORS, 256, 256)).max(axis=1)
    np.testing.assert_allclose(best_anchor_iou(ANCHORS, boxes), expected, atol=1e-3)


def test_anchors_are_fitted_to_small_objects() -> None:
    random = np.random.default_rng(0)
    low = random.uniform(0, 200, (200, 2))
    boxes = np.concatenate([low, low + random.uniform(7, 14, (200, 1))], axis=1).astype(np.float32)
    fit = fit_anchors(boxes, np.zeros(200, np.int32))
    assert fit.downsampling == 1
    assert fit.config.min_level == 2  # P3's smallest anchor is too large
    assert fit.coverage > 0.95


def test_class_coverage_tells_which_class_is_left_out() -> None:
    boxes = np.array([[0, 0, 40, 40]] * 9 + [[0, 0, 300, 3]], np.float32)
    fit = fit_anchors(boxes, np.array([0] * 9 + [1], np.int32))
    assert fit.class_coverage[1] == 0
    assert fit.class_coverage[0] == 1
    assert fit.coverage == pytest.approx(0.9)


# --- targets ---


@pytest.mark.parametrize("assign", [assign_atss, assign_by_iou])
def test_every_box_finds_an_anchor_and_anchors_carry_their_box(assign) -> None:
    boxes = np.array([[10, 10, 30, 34], [40, 8, 44, 12], [50, 50, 110, 100], [0, 0, 3, 60]], np.float32)
    label = np.array([0, 1, 2, 1], np.int32)
    targets = assign(ANCHORS, 128, 128, boxes, label)
    positive = targets.label >= 0
    assert {tuple(box) for box in targets.boxes[positive]} == {tuple(box) for box in boxes}
    for box, name in zip(boxes, label, strict=True):
        assert set(targets.label[positive & (targets.boxes == box).all(axis=1)]) == {name}
    assert not targets.boxes[~positive].any()


@pytest.mark.parametrize("assign", [assign_atss, assign_by_iou])
def test_no_box_means_all_background(assign) -> None:
    targets = assign(ANCHORS, 64, 64, np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
    assert (targets.label == BACKGROUND).all()


def test_iou_assignment_ignores_the_doubtful() -> None:
    box = np.array([[32, 32, 56, 56]], np.float32)
    targets = assign_by_iou(ANCHORS, 128, 128, box, np.zeros(1, np.int32))
    iou = iou_matrix(anchor_grid(ANCHORS, 128, 128), box)[:, 0]
    assert (targets.label[iou >= 0.5] == 0).all()
    assert (targets.label[(iou >= 0.4) & (iou < 0.5)] == IGNORED).all()
    assert (targets.label[iou < 0.4] == BACKGROUND).all()


# --- losses ---


def test_focal_loss_is_equation_5() -> None:
    logits = np.array([[[2.0, -1.0], [0.5, 0.0], [3.0, 3.0]]], np.float32)
    label = np.array([[0, BACKGROUND, IGNORED]], np.int32)
    probability = 1 / (1 + np.exp(-logits))
    expected = 0.0
    for anchor, target in ((0, (1, 0)), (1, (0, 0))):
        for name in range(2):
            p = probability[0, anchor, name]
            expected += -0.25 * (1 - p) ** 2 * np.log(p) if target[name] else -0.75 * p**2 * np.log(1 - p)
    assert float(focal_loss(tf.constant(logits), tf.constant(label))[0]) == pytest.approx(expected, rel=1e-5)


def test_quality_focal_loss_is_equation_3_and_least_where_the_score_is_the_iou() -> None:
    logits = np.array([[[2.0, -1.0], [0.5, 0.0], [3.0, 3.0]]], np.float32)
    label, quality = np.array([[0, BACKGROUND, IGNORED]], np.int32), np.array([[0.6, 0, 0]], np.float32)
    score = 1 / (1 + np.exp(-logits))
    asked = {(0, 0): 0.6, (0, 1): 0.0, (1, 0): 0.0, (1, 1): 0.0}
    expected = sum(
        abs(y - score[0][at]) ** 2 * -((1 - y) * np.log(1 - score[0][at]) + y * np.log(score[0][at])) for at, y in asked.items()
    )
    assert float(quality_focal_loss(tf.constant(logits), label, quality)[0]) == pytest.approx(expected, rel=1e-5)
    one = np.array([[1]], np.int32) - 1
    losses = [
        float(quality_focal_loss(np.array([[[np.log(p / (1 - p))]]], np.float32), one, np.array([[0.6]], np.float32))[0])
        for p in (0.3, 0.5, 0.6, 0.7, 0.9)
    ]
    assert losses[2] == pytest.approx(0, abs=1e-6)
    assert min(losses) == losses[2]
    doubled = quality_focal_loss(logits, label, quality, weights=np.array([2, 1], np.float32))
    assert float(doubled[0]) > expected


def test_quality_is_the_iou_of_the_decoded_box_without_gradient() -> None:
    anchors = np.array([[0, 0, 2, 2], [0, 0, 2, 2]], np.float32)
    centre, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    deltas = tf.Variable(tf.zeros([2, 4]))
    with tf.GradientTape() as tape:
        quality = box_quality(deltas, centre, size, np.array([[1, 0, 3, 2], [0, 0, 2, 2]], np.float32))
    np.testing.assert_allclose(quality, [1 / 3, 1], atol=1e-6)
    assert tape.gradient(quality, deltas) is None


def test_coding_is_invertible() -> None:
    anchors = anchor_grid(ANCHORS, 64, 64)
    centre, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    boxes = anchors + np.random.default_rng(0).uniform(-2, 2, anchors.shape).astype(np.float32)
    np.testing.assert_allclose(decode_boxes(centre, size, encode_boxes(centre, size, boxes)), boxes, atol=1e-3)


@pytest.mark.parametrize("loss", [giou_loss, ciou_loss, smooth_l1_loss])
def test_box_loss_is_zero_when_right_and_grows_when_wrong(loss) -> None:
    anchors = np.array([[0, 0, 16, 16], [16, 0, 32, 16]], np.float32)
    centre, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    target = np.array([[1, 2, 14, 15], [16, 0, 30, 17]], np.float32)
    right = encode_boxes(centre, size, tf.constant(target))
    np.testing.assert_allclose(loss(right, centre, size, target), [0, 0], atol=1e-5)
    moved = [loss(right + tf.constant([shift, 0.0, 0.0, 0.0]), centre, size, target) for shift in (0.1, 0.5, 1.0)]
    assert (moved[0] > 0).numpy().all()
    assert (moved[0] < moved[1]).numpy().all()
    assert (moved[1] < moved[2]).numpy().all()


def test_giou_of_a_worked_example() -> None:
    anchors = np.array([[0, 0, 2, 2]], np.float32)  # predicted as it is; truth is shifted by one: IoU 2/6, hull 6
    centre, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    loss = giou_loss(tf.zeros([1, 4]), centre, size, np.array([[1, 0, 3, 2]], np.float32))
    assert float(loss[0]) == pytest.approx(1 - 1 / 3, abs=1e-5)


def test_positives_are_anchors_with_an_object() -> None:
    label = np.array([[BACKGROUND, 0, IGNORED], [2, BACKGROUND, 0]], np.int32)
    assert positives(label).numpy().tolist() == [[0, 1], [1, 0], [1, 2]]


# --- NMS ---


def reference_nms(boxes: NDArray[np.float32], labels: NDArray[np.int32], overlap: float) -> list[int]:
    """Greedy NMS as everyone writes it."""
    kept: list[int] = []
    for index in range(len(boxes)):
        rivals = [k for k in kept if labels[k] == labels[index]]
        if not rivals or iou_matrix(boxes[rivals], boxes[index : index + 1]).max() <= overlap:
            kept.append(index)
    return kept


@pytest.mark.parametrize("overlap", [0.2, 0.5, 0.8])
def test_nms_equals_greedy_nms(overlap: float) -> None:
    random = np.random.default_rng(7)
    low = random.uniform(0, 60, (300, 2))
    boxes = np.concatenate([low, low + random.uniform(10, 30, (300, 2))], axis=1).astype(np.float32)
    labels = random.integers(0, 3, 300).astype(np.int32)
    keep = np.asarray(greedy_nms(BoxPairs.of(tf.constant(boxes[None]), tf.constant(labels[None])), tf.constant(overlap)))[0]
    assert np.flatnonzero(keep).tolist() == reference_nms(boxes, labels, overlap)


def test_nms_is_exact_along_chains_as_deep_as_promised() -> None:
    depth = ROUNDS
    left = np.arange(depth) * 3.0  # each overlaps only its neighbours above .5: every other one stays
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1).astype(np.float32)
    labels = np.zeros(depth, np.int32)
    keep = np.asarray(greedy_nms(BoxPairs.of(tf.constant(boxes[None]), tf.constant(labels[None])), 0.5))[0]
    assert np.flatnonzero(keep).tolist() == reference_nms(boxes, labels, 0.5) == list(range(0, depth, 2))


def test_boxes_move_to_the_mean_of_those_that_vote() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 2, 10, 12], [0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
    scores, labels = np.array([0.9, 0.6, 0.3, 0.8, 0.5], np.float32), np.array([0, 0, 0, 1, 0], np.int32)
    pairs = BoxPairs.of(tf.constant(boxes[None]), tf.constant(labels[None]))
    moved = np.asarray(voted_boxes(tf.constant(boxes[None]), tf.constant(scores[None]), pairs, 0.7))[0]
    votes = 0.81, 0.36 * 90 / 110  # itself and the second; the third overlaps by 2/3 only, the fourth is of another class
    np.testing.assert_allclose(moved[0], [votes[1] / sum(votes), 0, 10 + votes[1] / sum(votes), 10], atol=1e-5)
    np.testing.assert_allclose(moved[2:], boxes[2:], atol=1e-5)


def test_voting_equals_voting_one_by_one_and_leaves_boxes_without_area_or_score() -> None:
    random = np.random.default_rng(3)
    low = random.uniform(0, 40, (200, 2))
    boxes = np.concatenate([low, low + random.uniform(10, 30, (200, 2))], axis=1).astype(np.float32)
    scores, labels = random.uniform(0.02, 1, 200).astype(np.float32), random.integers(0, 2, 200).astype(np.int32)
    boxes[7, 2], boxes[9], scores[9] = boxes[7, 0], 0, 0
    pairs = BoxPairs.of(tf.constant(boxes[None]), tf.constant(labels[None]))
    moved = np.asarray(voted_boxes(tf.constant(boxes[None]), tf.constant(scores[None]), pairs, 0.6))[0]
    np.testing.assert_allclose(moved, voted(boxes, scores, labels, 0.6), atol=1e-4)
    np.testing.assert_allclose(moved[[7, 9]], boxes[[7, 9]], atol=1e-5)
    assert np.abs(moved - boxes).max() > 1
