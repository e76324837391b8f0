"""Augmentation: the boxes stay on their objects."""

from __future__ import annotations

import numpy as np
import pytest

from retinaj.augmentation import AugmentationConfig, random_window, visible_boxes

STILL = AugmentationConfig(flip=False, rotate=False, scale=1, aspect=0, contrast=0, brightness=0, colour=0, on_object=0)
TURNED = STILL.model_copy(update={"flip": True, "rotate": True})
FULL = AugmentationConfig(contrast=0, brightness=0, colour=0)


def bright_box():
    """A dark image with one bright box."""
    image = np.zeros((128, 128, 1), np.float32)
    image[35:56, 38:66] = 1
    return image, np.array([[38, 35, 66, 56]], np.float32), np.zeros(1, np.int32)


@pytest.mark.parametrize(("config", "tolerance"), [(STILL, 0.0), (TURNED, 0.0), (FULL, 0.75)])
def test_boxes_follow_their_objects(config: AugmentationConfig, tolerance: float) -> None:
    random = np.random.default_rng(5)
    image, boxes, labels = bright_box()
    seen = 0
    for _ in range(60):
        window, found, _ = random_window(
            image, boxes, labels, side=128, fill=np.zeros(1, np.float32), config=config, random=random
        )
        rows, columns = np.nonzero(window[..., 0] > 0.5)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(found - edges).max() <= tolerance
        seen += len(found)
    assert seen == 60


def test_window_larger_than_the_image_is_filled_outside() -> None:
    random = np.random.default_rng(0)
    fill = np.array([7.0, -7.0], np.float32)
    window, boxes, _ = random_window(
        np.zeros((20, 30, 2), np.float32), np.array([[0, 0, 30, 20]], np.float32), np.zeros(1, np.int32),
        side=64, fill=fill, config=STILL, random=random,
    )  # fmt: skip
    assert window.shape == (64, 64, 2)
    assert ((window == fill).all(axis=2) | (window == 0).all(axis=2)).all()
    assert (window == 0).all(axis=2).sum() >= 19 * 29  # a fractional position may cost a row and a column
    assert boxes.shape == (1, 4)


def test_same_seed_same_window_other_seed_other_window() -> None:
    image, boxes, labels = bright_box()

    def draw(seed: int):
        return random_window(
            image, boxes, labels, side=96, fill=np.zeros(1, np.float32), config=AugmentationConfig(),
            random=np.random.default_rng([0, seed]),
        )[0]  # fmt: skip

    assert (draw(1) == draw(1)).all()
    assert not (draw(1) == draw(2)).all()


def test_boxes_mostly_outside_are_dropped_and_the_rest_is_clipped() -> None:
    boxes = np.array([[-8, 0, 2, 10], [-3, 0, 7, 10], [50, 50, 60, 60]], np.float32)
    kept, labels = visible_boxes(boxes, np.array([0, 1, 2], np.int32), 40, 40)
    assert kept.tolist() == [[0, 0, 7, 10]]
    assert labels.tolist() == [1]


def test_no_boxes_at_all() -> None:
    window, boxes, labels = random_window(
        np.zeros((64, 64, 1), np.float32), np.zeros((0, 4), np.float32), np.zeros(0, np.int32),
        side=32, fill=np.zeros(1, np.float32), config=AugmentationConfig(), random=np.random.default_rng(0),
    )  # fmt: skip
    assert window.shape == (32, 32, 1)
    assert boxes.shape == (0, 4)
    assert labels.shape == (0,)
