"""The parts of training that options choose: optimisers, schedules, balance, freezing, budget."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinaj.boxes import Boxes
from retinaj.dataset import Sample
from retinaj.network.box_coding import encode_boxes
from retinaj.network.config import AnchorConfig, NetworkConfig
from retinaj.network.losses import ciou_loss, focal_loss, giou_loss
from retinaj.network.retinanet import build_network
from retinaj.network.untyped import keras, tf
from retinaj.training.balance import class_weights, hard_image_factors, repeat_factors, weighted_order
from retinaj.training.budget import FEWEST_EPOCHS, MOST_EPOCHS, Pace
from retinaj.training.freezing import backbone_layers, freeze
from retinaj.training.schedule import learning_rate, plateau_factor
from retinaj.training.settings import TrainingSettings
from retinaj.training.updates import Updates


def sample(name: str, labels: list[int], tmp_path) -> Sample:
    boxes = Boxes([[0, 0, 9, 9]] * len(labels), labels, ("often", "rare"))
    return Sample(name, tmp_path / name, boxes)


# --- optimisers


def one_weight(value: float = 1.0):
    kernel = keras.Variable(np.full((2, 2), value, np.float32), name="kernel")
    bias = keras.Variable(np.full(2, value, np.float32), name="bias")

    return SimpleNamespace(trainable_variables=[kernel, bias]), kernel, bias


def changed(updates: Updates, *gradients, step: int = 0) -> None:
    updates.take(list(gradients), updates.completes(step))


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_each_optimizer_goes_downhill_and_decays_kernels_only(name):
    settings = TrainingSettings(optimizer=name, learning_rate=0.1, weight_decay=0.5)
    network, kernel, bias = one_weight()
    updates = Updates(settings, network)
    changed(updates, tf.zeros((2, 2)), tf.zeros(2))
    assert float(bias.numpy()[0]) == 1
    assert (float(kernel.numpy()[0, 0]) < 1) == (name != "adam")
    before = bias.numpy().copy()
    changed(updates, tf.ones((2, 2)), tf.ones(2))
    assert (bias.numpy() < before).all()


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_updates_are_those_of_keras(name):
    """Bit for bit, with clipping and weight decay, over a few steps."""
    settings = TrainingSettings(optimizer=name, learning_rate=0.1, weight_decay=0.5, clip_norm=1)
    options = {"weight_decay": 0.5, "global_clipnorm": 1.0}
    theirs = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, **options)
    if name == "adamw":
        theirs = keras.optimizers.AdamW(0.1, **options)
    theirs.exclude_from_weight_decay(var_names=["bias"])
    network, *ours = one_weight()
    reference, *expected = one_weight()
    updates = Updates(settings, network)
    random = np.random.default_rng(0)
    for _ in range(3):
        gradients = [tf.constant(random.normal(size=shape), tf.float32) for shape in ((2, 2), (2,))]
        changed(updates, *gradients)
        theirs.apply(gradients, reference.trainable_variables)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_a_weight_that_the_loss_does_not_depend_on_stays():
    network, kernel, bias = one_weight()
    changed(Updates(TrainingSettings(learning_rate=0.1, weight_decay=0.5), network), None, tf.ones(2))
    assert kernel.numpy().tolist() == [[1, 1], [1, 1]]
    assert (bias.numpy() < 1).all()


def test_accumulated_batches_change_weights_together():
    network, _, bias = one_weight()
    updates = Updates(TrainingSettings(optimizer="sgd", learning_rate=0.1, accumulate=2, weight_decay=0), network)
    for round_of_two in range(2):
        before = bias.numpy().tolist()
        changed(updates, tf.zeros((2, 2)), tf.ones(2), step=2 * round_of_two)
        assert bias.numpy().tolist() == before
        changed(updates, tf.zeros((2, 2)), 3 * tf.ones(2), step=2 * round_of_two + 1)
        if not round_of_two:
            np.testing.assert_allclose(bias.numpy(), 1 - 0.1 * 2 * 1.9, rtol=1e-5)  # their mean, and Nesterov's look ahead
    momentum = 0.9 * 2 + 2
    np.testing.assert_allclose(bias.numpy(), 1 - 0.1 * 2 * 1.9 - 0.1 * (2 + 0.9 * momentum), rtol=1e-5)


def test_gradients_are_clipped_as_one():
    network, kernel, bias = one_weight()
    updates = Updates(TrainingSettings(optimizer="sgd", learning_rate=1, clip_norm=1, weight_decay=0), network)
    changed(updates, 300 * tf.ones((2, 2)), tf.zeros(2))
    assert np.linalg.norm(1 - kernel.numpy()) == pytest.approx(1.9, rel=1e-4)
    assert bias.numpy().tolist() == [1, 1]


# --- schedules


@given(st.sampled_from(["cosine", "constant", "step", "plateau"]), st.integers(1, 3000), st.integers(0, 500))
def test_no_schedule_leaves_its_range_or_rises_after_warm_up(schedule, steps, warmup):
    settings = TrainingSettings(schedule=schedule, warmup_steps=warmup, learning_rate=0.01)
    rates = [learning_rate(settings, step, steps) for step in range(steps)]
    assert all(0 < rate <= 0.01 * (1 + 1e-9) for rate in rates)
    after = rates[min(warmup, steps // 5) :]
    assert all(later <= earlier * (1 + 1e-9) for earlier, later in pairwise(after))


def test_the_plateau_schedule_halves_after_its_patience_only():
    settings = TrainingSettings(schedule="plateau", plateau=3, warmup_steps=0, learning_rate=0.01)
    assert [plateau_factor(settings, 1.0, gone) for gone in (0, 2, 3)] == [1, 1, 0.5]
    assert learning_rate(settings, 50, 100, 0.25) == pytest.approx(0.0025)
    assert plateau_factor(TrainingSettings(), 1.0, 99) == 1


# --- losses


def test_smoothed_labels_ask_for_less_of_objects_and_nothing_of_background():
    label = np.array([[0, -1]], np.int32)
    logit = {p: np.log(p / (1 - p)) for p in (0.9, 0.999)}

    def loss(p: float, smoothing: float) -> float:
        logits = np.array([[[logit[p]], [-6.0]]], np.float32)
        return float(focal_loss(logits, label, smoothing=smoothing)[0])

    assert loss(0.999, 0.0) < loss(0.9, 0.0)
    assert loss(0.999, 0.1) > loss(0.9, 0.1)
    plain, smoothed = (
        focal_loss(np.array([[[-6.0]]], np.float32), np.array([[-1]], np.int32), smoothing=each) for each in (0.0, 0.1)
    )
    assert float(smoothed[0]) == pytest.approx(float(plain[0]), rel=1e-4)


def test_class_weights_count_the_objects_of_their_class():
    logits, label = np.zeros((1, 2, 2), np.float32), np.array([[0, 1]], np.int32)
    plain, weighted = (float(focal_loss(logits, label, weights=each)[0]) for each in (None, np.array([1, 3], np.float32)))
    object_part = 0.25 * 0.25 * np.log(2)
    assert weighted - plain == pytest.approx(2 * object_part, rel=1e-5)


def test_ciou_of_a_worked_example_and_against_giou():
    anchors = np.array([[0, 0, 2, 2]], np.float32)
    centre, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    # shifted by one: IoU 1/3, centres 1 apart, hull's diagonal squared 3*3 + 2*2
    shifted = ciou_loss(tf.zeros([1, 4]), centre, size, np.array([[1, 0, 3, 2]], np.float32))
    assert float(shifted[0]) == pytest.approx(1 - 1 / 3 + 1 / 13, abs=1e-5)
    # twice as wide about the same centre: GIoU sees only the area, CIoU the aspect ratio, too
    wide = np.array([[-1, 0, 3, 2]], np.float32)
    aspect = 4 / np.pi**2 * (np.arctan(2) - np.arctan(1)) ** 2
    expected = 1 - 0.5 + aspect * aspect / (0.5 + aspect)
    assert float(ciou_loss(tf.zeros([1, 4]), centre, size, wide)[0]) == pytest.approx(expected, abs=1e-5)
    assert float(giou_loss(tf.zeros([1, 4]), centre, size, wide)[0]) == pytest.approx(0.5, abs=1e-5)
    right = encode_boxes(centre, size, tf.constant(wide))
    assert float(ciou_loss(right, centre, size, wide)[0]) == pytest.approx(0, abs=1e-4)


# --- balance


def test_class_weights_keep_the_size_of_the_loss():
    counts = {"RBC": 4000, "WBC": 370, "Platelets": 360}
    weights = class_weights(counts)
    assert (weights * list(counts.values())).sum() == pytest.approx(sum(counts.values()), rel=1e-5)
    assert weights[0] < weights[1] < weights[2]
    assert class_weights({"a": 10**6, "b": 1})[1] == pytest.approx(4 * class_weights({"a": 10**6, "b": 1})[0], rel=1e-5)


def test_images_with_rare_classes_come_more_often(tmp_path):
    samples = [sample(str(at), [0] if at else [0, 1], tmp_path) for at in range(10)]
    factors = repeat_factors(samples, 2)
    assert factors[0] == pytest.approx(np.sqrt(0.55 / 0.1))
    assert factors[1:].tolist() == [1] * 9
    order = weighted_order(factors, 1000, np.random.default_rng(0))
    counts = np.bincount(order, minlength=10)
    np.testing.assert_allclose(counts, factors / factors.sum() * 1000, atol=1)
    assert repeat_factors([sample("empty", [], tmp_path)], 2).tolist() == [1]


@given(st.lists(st.floats(0.25, 4), min_size=1, max_size=20), st.integers(1, 100), st.integers(0, 9))
def test_a_weighted_order_gives_each_image_its_due(factors, count, seed):
    order = weighted_order(np.array(factors), count, np.random.default_rng(seed))
    assert len(order) == count
    due = np.array(factors) / sum(factors) * count
    assert (np.abs(np.bincount(order, minlength=len(factors)) - due) <= 1 + 1e-6).all()


def test_hard_images_come_more_often_within_limits():
    loss = np.array([1, 1, 100, np.nan], np.float32)
    assert hard_image_factors(loss, 0).tolist() == [1, 1, 1, 1]
    factors = hard_image_factors(loss, 1)
    assert factors[0] == 0.25
    assert 2.9 < factors[2] <= 4
    assert factors[3] == 1
    assert hard_image_factors(np.full(2, np.nan, np.float32), 1).tolist() == [1, 1]


# --- freezing


@pytest.mark.parametrize("backbone", ["light", "mobilenet_v2"])
def test_frozen_stages_do_not_train_and_the_rest_does(backbone):
    config = NetworkConfig(backbone=backbone, num_classes=1, channels=1, fill=(0.0,), anchors=AnchorConfig(), pyramid_width=16)
    network = build_network(config)
    everything = len(network.trainable_variables)
    stages = {stage for _, stage in backbone_layers(network, backbone)}
    assert stages == {2, 3, 4, 5}
    freeze(network, TrainingSettings(backbone=backbone))
    assert len(network.trainable_variables) == everything
    freeze(network, TrainingSettings(backbone=backbone, freeze="stage3"))
    trained = {stage for layer, stage in backbone_layers(network, backbone) if layer.trainable_variables}
    assert trained == {4, 5}
    freeze(network, TrainingSettings(backbone=backbone, freeze="backbone"))
    assert not [layer for layer, _ in backbone_layers(network, backbone) if layer.trainable_variables]
    assert [variable for variable in network.trainable_variables if "head" in variable.path]


def test_what_is_frozen_follows_from_the_starting_point():
    imagenet = TrainingSettings(backbone="resnet50", imagenet_weights=True)
    assert (imagenet.frozen, imagenet.batch_norm_frozen) == ("stage2", True)
    assert (TrainingSettings().frozen, TrainingSettings().batch_norm_frozen) == ("none", False)
    chosen = TrainingSettings(backbone="resnet50", imagenet_weights=True, freeze="none", freeze_batch_norm=False)
    assert (chosen.frozen, chosen.batch_norm_frozen) == ("none", False)


# --- budget


@given(st.floats(0.001, 100), st.floats(0, 1000), st.floats(0.1, 10_000), st.integers(1, 10_000))
def test_the_epochs_fit_into_the_time(step, validation, minutes, steps):
    pace = Pace(step, validation)
    epochs = pace.epochs_within(minutes, steps)
    assert FEWEST_EPOCHS <= epochs <= MOST_EPOCHS
    if epochs > FEWEST_EPOCHS:
        assert epochs * pace.epoch(steps) <= minutes * 60
