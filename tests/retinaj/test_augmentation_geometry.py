"""Flips and quarter turns are exact; boxes of turned round objects are tight."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retinaj.augmentation.geometry import Placement, flip, move_boxes, quarter_turns, resample

SIDES = st.integers(1, 24)


@st.composite
def numbered_boxes(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes with whole corners, each painted into a channel of its own, and the boxes."""
    width, height = draw(SIDES), draw(SIDES)
    boxes: list[tuple[int, int, int, int]] = []
    for _ in range(draw(st.integers(0, 4))):
        left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        boxes.append((left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))))
    image = np.zeros((height, width, len(boxes)), np.float32)
    for at, (left, top, right, bottom) in enumerate(boxes):
        image[top:bottom, left:right, at] = 1
    return image, np.array(boxes, np.float32).reshape(-1, 4)


def painted(image: NDArray[np.float32]) -> list[list[int]]:
    """The box round what is bright, in each channel."""
    found: list[list[int]] = []
    for channel in range(image.shape[2]):
        rows, columns = np.nonzero(image[..., channel])
        found.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return found


@settings(max_examples=150, deadline=None)
@given(numbered_boxes(), st.booleans(), st.booleans(), st.integers(0, 3))
def test_flips_and_quarter_turns_are_exact(
    drawn: tuple[NDArray[np.float32], NDArray[np.float32]], horizontally: bool, vertically: bool, turns: int
) -> None:
    image, boxes = drawn
    moved, followed = quarter_turns(*flip(image, boxes, horizontally=horizontally, vertically=vertically), turns)
    assert followed.tolist() == painted(moved)
    assert moved.sum() == image.sum()
    # and back: the same bits
    back, returned = flip(*quarter_turns(moved, followed, -turns % 4), horizontally=horizontally, vertically=vertically)
    assert (back == image).all()
    assert (returned == boxes).all()


def ellipse(height: int, width: int, centre: tuple[float, float], half: tuple[float, float]) -> NDArray[np.float32]:
    """A bright ellipse along the axes with a soft edge one pixel wide; [height, width, 1]."""
    y, x = np.mgrid[:height, :width] + 0.5
    distance = np.hypot((x - centre[0]) / half[0], (y - centre[1]) / half[1])
    return np.clip((1 - distance) * min(half) + 0.5, 0, 1).astype(np.float32)[..., None]


@settings(max_examples=120, deadline=None)
@given(
    st.floats(6, 25), st.floats(6, 25), st.floats(50, 78), st.floats(50, 78), st.floats(-180, 180),
    st.floats(0.6, 1.7), st.floats(0.6, 1.7), st.floats(-10, 10),
)  # fmt: skip
def test_boxes_are_tight_round_turned_discs_and_ellipses(
    a: float, b: float, x: float, y: float, angle: float, factor_x: float, factor_y: float, shift: float
) -> None:
    """Turned, stretched and shrunk in one resampling: the box is within a pixel of what is bright."""
    side, factor = 200, np.array([factor_x, factor_y])
    placement = Placement(np.array([64.0, 64.0]) - side / factor / 2 + shift, factor, side, side, angle)
    window = resample(ellipse(128, 128, (x, y), (a, b)), placement, np.zeros(1, np.float32))
    [box] = move_boxes(np.array([[x - a, y - b, x + a, y + b]], np.float32), placement)
    [edges] = painted(window > 0.5)
    assert np.abs(box - edges).max() <= 1


@settings(max_examples=30, deadline=None)
@given(numbered_boxes(), st.sampled_from([90.0, 180.0, -90.0]))
def test_free_rotation_by_right_angles_is_the_quarter_turn(
    drawn: tuple[NDArray[np.float32], NDArray[np.float32]], angle: float
) -> None:
    image, boxes = drawn
    side = max(image.shape[:2])
    square = np.zeros((side, side, image.shape[2]), np.float32)
    square[: image.shape[0], : image.shape[1]] = image
    placement = Placement(np.zeros(2), np.ones(2), side, side, angle)
    expected, expected_boxes = quarter_turns(square, boxes, round(angle / 90) % 4)
    np.testing.assert_allclose(resample(square, placement, np.zeros(image.shape[2], np.float32)), expected, atol=1e-4)
    np.testing.assert_allclose(move_boxes(boxes, placement), expected_boxes, atol=1e-4)


def test_what_lies_outside_a_turned_image_is_filled() -> None:
    window = resample(
        np.ones((40, 40, 2), np.float32),
        Placement(np.array([-10.0, -10.0]), np.ones(2), 60, 60, 45),
        np.array([5, -5], np.float32),
    )
    assert window[0, 0].tolist() == [5, -5]
    assert window[30, 30].tolist() == [1, 1]
    far = resample(np.ones((4, 4, 1), np.float32), Placement(np.array([900.0, 0.0]), np.ones(2), 8, 8, 20), np.array([3.0]))
    assert (far == 3).all()


def test_shrinking_while_turning_averages() -> None:
    """A fine chessboard becomes grey instead of a pattern of its own."""
    board = np.indices((120, 120)).sum(axis=0)[..., None] % 2
    placement = Placement(np.zeros(2), np.full(2, 0.25), 30, 30, 10)
    window = resample(board.astype(np.float32), placement, np.full(1, 0.5, np.float32))
    assert np.abs(window[8:22, 8:22] - 0.5).max() < 0.02
