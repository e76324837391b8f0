"""Training windows: the boxes stay on their objects, whatever varies and however strongly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strengths import SWITCHES, strongest

from retinaj.augmentation import AugmentationConfig, random_window, visible_boxes
from retinaj.augmentation.view import Picture

STILL = AugmentationConfig.off()
TURNED = STILL.model_copy(update={"flip": True, "quarter_turns": True})
FULL = AugmentationConfig(contrast=0, brightness=0, colour=0)
NAMES = tuple(AugmentationConfig.model_fields)


def bright_box() -> Picture:
    """A dark image with one bright box."""
    image = np.zeros((128, 128, 1), np.float32)
    image[35:56, 38:66] = 1
    return image, np.array([[38, 35, 66, 56]], np.float32), np.zeros(1, np.int32)


def noise(height: int, width: int, channels: int, boxes: int, seed: int = 0) -> Picture:
    """An image of noise with boxes anywhere in it."""
    random = np.random.default_rng(seed)
    image = random.normal(size=(height, width, channels)).astype(np.float32)
    corner = random.uniform(0, 1, (boxes, 2)) * [width, height]
    xyxy = np.concatenate([corner, np.minimum(corner + random.uniform(1, 40, (boxes, 2)), [width, height])], axis=1)
    return image, xyxy.astype(np.float32), random.integers(0, 3, boxes).astype(np.int32)


def draw(picture: Picture, config: AugmentationConfig, *seed: int, side: int = 128) -> Picture:
    """One window; a mosaic takes the same image four times."""
    fill = np.zeros(picture[0].shape[2], np.float32)
    random = np.random.default_rng(seed)
    return random_window(*picture, side=side, fill=fill, config=config, random=random, others=lambda random: picture)


def bright_edges(window: NDArray[np.float32], threshold: float) -> list[int]:
    rows, columns = np.nonzero(window[..., 0] > threshold)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize(("config", "tolerance"), [(STILL, 0.0), (TURNED, 0.0), (FULL, 0.75)])
def test_boxes_follow_their_objects(config: AugmentationConfig, tolerance: float) -> None:
    seen = 0
    for seed in range(60):
        window, found, _ = draw(bright_box(), config, seed)
        assert np.abs(found - bright_edges(window, 0.5)).max() <= tolerance
        seen += len(found)
    assert seen == 60


def test_window_larger_than_the_image_is_filled_outside() -> None:
    fill = np.array([7.0, -7.0], np.float32)
    window, boxes, _ = random_window(
        np.zeros((20, 30, 2), np.float32), np.array([[0, 0, 30, 20]], np.float32), np.zeros(1, np.int32),
        side=64, fill=fill, config=STILL, random=np.random.default_rng(0),
    )  # fmt: skip
    assert window.shape == (64, 64, 2)
    assert ((window == fill).all(axis=2) | (window == 0).all(axis=2)).all()
    assert (window == 0).all(axis=2).sum() >= 19 * 29  # a fractional position may cost a row and a column
    assert boxes.shape == (1, 4)


@pytest.mark.parametrize("config", [AugmentationConfig(), strongest()])
def test_same_seed_same_window_other_seed_other_window(config: AugmentationConfig) -> None:
    first, again, other = (draw(bright_box(), config, seed, side=96)[0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert not (first == other).all()


def test_boxes_mostly_outside_are_dropped_and_the_rest_is_clipped() -> None:
    boxes = np.array([[-8, 0, 2, 10], [-3, 0, 7, 10], [50, 50, 60, 60]], np.float32)
    kept, labels = visible_boxes(boxes, np.array([0, 1, 2], np.int32), 40, 40)
    assert kept.tolist() == [[0, 0, 7, 10]]
    assert labels.tolist() == [1]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 150), st.integers(1, 150), st.integers(1, 5), st.integers(0, 8), st.sampled_from([32, 64]),
    st.integers(0, 2**20), st.booleans(),
)  # fmt: skip
def test_everything_at_its_strongest_gives_sound_windows(
    height: int, width: int, channels: int, boxes: int, side: int, seed: int, mosaic: bool
) -> None:
    """Of images of one pixel, smaller than the window, of one to five channels, without a box."""
    config = strongest().model_copy(update={"mosaic": float(mosaic)})
    window, xyxy, label = draw(noise(height, width, channels, boxes, seed), config, seed, side=side)
    assert window.shape == (side, side, channels)
    assert window.dtype == np.float32
    assert np.isfinite(window).all()
    assert (xyxy.dtype, xyxy.shape[1:], label.dtype) == (np.float32, (4,), np.int32)
    assert len(xyxy) == len(label)
    assert xyxy.min(initial=0) >= 0
    assert xyxy.max(initial=0) <= side
    assert (xyxy[:, 2:] > xyxy[:, :2]).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SWITCHES])
def test_each_strength_changes_windows_and_0_does_not(name: str) -> None:
    picture = noise(160, 170, 3, 12)
    config = STILL.model_copy(update={name: getattr(strongest(), name)})
    seeds = range(6)
    assert any((draw(picture, config, seed)[0] != draw(picture, STILL, seed)[0]).any() for seed in seeds)
    assert config != STILL


def test_a_default_window_draws_what_it_always_drew() -> None:
    """New kinds of change are off, and take nothing from the random numbers: a run of an earlier version resumes the same."""
    config, channels = AugmentationConfig(), 3
    random, replayed = np.random.default_rng(3), np.random.default_rng(3)
    random_window(*noise(160, 170, channels, 12), side=64, fill=np.zeros(channels, np.float32), config=config, random=random)
    replayed.uniform(size=2)  # scale and aspect
    replayed.uniform(size=2)  # a place anywhere,
    replayed.random(2), replayed.uniform(size=2)  # or round an object
    replayed.uniform(), replayed.uniform(size=channels)  # contrast, of all and of each channel
    replayed.uniform(), replayed.uniform(size=channels)  # brightness
    replayed.random(2), replayed.integers(4)  # flips and quarter turns
    assert random.random() == replayed.random()


def test_gamma_keeps_darkest_and_brightest_and_the_order_between() -> None:
    picture = noise(64, 64, 2, 0)
    before, after = (draw(picture, STILL.model_copy(update={"gamma": strength}), 4, side=64)[0] for strength in (0.0, 1.0))
    order = np.argsort(before.ravel())
    assert (np.diff(after.ravel()[order]) >= -1e-6).all()
    assert [after.min(), after.max()] == pytest.approx([before.min(), before.max()], abs=1e-5)
    assert np.abs(after - before).max() > 0.05


def test_blur_keeps_the_mean_and_noise_is_as_strong_as_it_says() -> None:
    flat = np.zeros((64, 64, 1), np.float32), np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    deviations = [draw(flat, STILL.model_copy(update={"noise": 0.5}), seed, side=64)[0].std() for seed in range(20)]
    assert max(deviations) <= 0.52
    assert max(deviations) > 0.3
    window, _, _ = draw(bright_box(), STILL.model_copy(update={"blur": 2.0}), 1)
    assert window.mean() == pytest.approx(bright_box()[0].mean(), rel=0.01)
    assert ((window > 0.01) & (window < 0.99)).any()


def test_one_channel_is_blanked_but_never_the_only_one() -> None:
    config = STILL.model_copy(update={"channel_drop": 1.0})
    blank = [(draw(noise(64, 64, 3, 0), config, seed, side=64)[0] == 0).all(axis=(0, 1)) for seed in range(12)]
    assert [mask.sum() for mask in blank] == [1] * 12
    assert np.any(blank, axis=0).all()  # each of them at some time
    assert (draw(bright_box(), config, 0)[0] > 0).any()


def test_windows_that_keep_objects_whole_cut_fewer() -> None:
    picture = noise(300, 300, 1, 14, seed=2)
    areas = {float(area) for area in (picture[1][:, 2:] - picture[1][:, :2]).prod(axis=1).round(2)}

    def cut(share: float) -> int:
        found = [draw(picture, STILL.model_copy(update={"keep_whole": share}), seed, side=96)[1] for seed in range(40)]
        sizes = np.concatenate([(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in found])
        return sum(min(abs(float(size) - area) for area in areas) > 0.05 for size in sizes)

    assert cut(1.0) < cut(0.0) / 2


def test_translation_reaches_over_every_border_and_without_it_none_is_crossed() -> None:
    bright = np.ones((100, 100, 1), np.float32), np.zeros((0, 4), np.float32), np.zeros(0, np.int32)

    def outside(strength: float) -> NDArray[np.intp]:
        """The widest margin outside the image at the left, right, top and bottom, in pixels of a window of 64."""
        config = STILL.model_copy(update={"translate": strength})
        margins: list[list[int]] = []
        for seed in range(40):
            left, top, right, bottom = bright_edges(draw(bright, config, seed, side=64)[0], 0.5)
            margins.append([left, 64 - right, top, 64 - bottom])
        return np.max(margins, axis=0)

    assert outside(0.0).tolist() == [0, 0, 0, 0]
    assert (outside(0.25) > 6).all()
    assert (outside(0.25) <= 16).all()


def test_a_mosaic_has_four_images_with_their_boxes() -> None:
    """Each image has a value of its own and a box all over it, so that the window says where each box must be."""
    side, values = 64, (1.0, 2.0, 3.0, 4.0)
    pictures = [
        (np.full((60, 60, 1), value, np.float32), np.array([[0, 0, 60, 60]], np.float32), np.array([at], np.int32))
        for at, value in enumerate(values)
    ]
    corners: set[int] = set()
    seen = 0
    for seed in range(30):
        others = iter(pictures[1:])
        window, boxes, labels = random_window(
            *pictures[0], side=side, fill=np.zeros(1, np.float32), config=STILL.model_copy(update={"mosaic": 1.0}),
            random=np.random.default_rng(seed), others=lambda random, others=others: next(others),
        )  # fmt: skip
        at_corners = window[[0, 0, -1, -1], [0, -1, 0, -1], 0].tolist()
        assert set(at_corners) == set(np.unique(window)) == set(values)
        corners.add(at_corners.index(1.0))
        for box, name in zip(boxes, labels.tolist(), strict=True):
            rows, columns = np.nonzero(window[..., 0] == values[name])
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            seen += 1
    assert corners == {0, 1, 2, 3}
    assert seen > 10


def test_objects_of_a_mosaic_are_where_their_boxes_say() -> None:
    """Bright boxes on dark, four times: every pixel that is bright lies in a box, and every box is bright."""
    config = TURNED.model_copy(update={"mosaic": 1.0, "on_object": 1.0})
    found = 0
    for seed in range(30):
        window, boxes, _ = draw(bright_box(), config, seed)
        for x_min, y_min, x_max, y_max in boxes.round().astype(int):
            # Boxes of different quarters may touch: inside each it must be bright, but for its fractional border.
            assert (window[y_min + 1 : y_max - 1, x_min + 1 : x_max - 1] > 0.5).all()
        found += len(boxes)
    assert found > 60


def test_a_mosaic_without_other_images_is_refused() -> None:
    picture = bright_box()
    with pytest.raises(ValueError, match="others"):
        random_window(
            *picture, side=64, fill=np.zeros(1, np.float32), config=AugmentationConfig(mosaic=0.5),
            random=np.random.default_rng(0),
        )  # fmt: skip


def test_no_boxes_at_all() -> None:
    empty = np.zeros((64, 64, 1), np.float32), np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    for config in (AugmentationConfig(), strongest()):
        window, boxes, labels = draw(empty, config, 0, side=32)
        assert window.shape == (32, 32, 1)
        assert boxes.shape == (0, 4)
        assert labels.shape == (0,)
