"""Which part of an image a package is tested on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.normalization import FixedScale
from retinaj.prediction.detector import Detector
from retinaj_zoo.cover import displayed, write_cover
from retinaj_zoo.example_image import SEARCH_SECONDS, choose_example

Answer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def spots(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """A box round each bright pixel of [y, x, 1]; the brighter, the higher its score."""
    rows = np.zeros((30, 6), np.float32)
    found = sorted(((-image[y, x, 0], x, y) for y, x in np.argwhere(image[..., 0] > 0.5)))[:30]
    for row, (darkness, x, y) in zip(rows, found, strict=False):
        row[:] = (x - 4, y - 4, x + 5, y + 5, -darkness / 2, 1)
    return rows


def detector(answer: Answer = spots) -> Detector:
    return Detector(
        name="spots",
        class_names=("spot",),
        channels=1,
        normalization=FixedScale(gain=1 / 100, offset=0.0),
        runtime=lambda batch, overlap: np.stack([answer(image) for image in batch]),
        score_floor=0.1,
        overlap=0.5,
        max_detections=30,
    )


def image_with(*places: tuple[int, int, int], size: tuple[int, int] = (100, 120)) -> NDArray[np.uint8]:
    pixels = np.zeros(size, np.uint8)
    for y, x, value in places:
        pixels[y, x] = value
    return pixels


SPREAD = [(20, 20, 100), (30, 60, 120), (50, 90, 140), (70, 30, 160), (80, 80, 180)]


def test_a_small_stable_image_is_taken_whole() -> None:
    pixels = image_with(*SPREAD)
    example = choose_example(xr.DataArray(pixels, dims=("y", "x")), "spots.png", detector())
    np.testing.assert_array_equal(example.pixels[..., 0], pixels)
    assert example.pixels.dtype == np.uint8
    assert len(example.boxes) == 5
    assert example.detections.shape == (1, 30, 6)


def test_the_busiest_plane_of_a_stack_is_taken() -> None:
    stack = np.stack([image_with(SPREAD[0]), image_with(*SPREAD), image_with(*SPREAD[:2])])
    example = choose_example(xr.DataArray(stack, dims=("z", "y", "x")), "stack.tif", detector())
    np.testing.assert_array_equal(example.pixels[..., 0], stack[1])


def test_of_a_large_image_the_window_with_the_most_boxes_is_taken() -> None:
    pixels = image_with(*[(y + 900, x + 1200, value) for y, x, value in SPREAD], (10, 10, 200), size=(1100, 1500))
    example = choose_example(xr.DataArray(pixels, dims=("y", "x")), "large.tif", detector())
    assert max(example.pixels.shape) <= 512
    assert len(example.boxes) == 5


def test_boxes_whose_scores_nearly_tie_are_left_out() -> None:
    """Two spots of equal brightness, far apart: noise decides which is first, so no window may hold both."""
    twins = [(20, 20, 150), (280, 380, 150)]
    others = [(280 - y, 380 - x, value) for y, x, value in ((0, 30, 100), (30, 0, 120), (40, 30, 130), (50, 60, 140))]
    pixels = image_with(*twins, *others, size=(300, 400))
    example = choose_example(xr.DataArray(pixels, dims=("y", "x")), "twins.png", detector())
    assert example.pixels.size < pixels.size
    assert len(example.boxes) == 5
    assert (example.pixels == 150).sum() == 1


def test_an_image_without_a_stable_part_is_refused() -> None:
    random = np.random.default_rng(0)

    def moody(image: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = spots(image)
        rows[:, 0] -= random.uniform(0, 50) * (rows[:, 4] > 0)
        return rows

    with pytest.raises(RetinaJError, match=r"On moody\.png the model gives scores so close"):
        choose_example(xr.DataArray(image_with(*SPREAD), dims=("y", "x")), "moody.png", detector(moody))


@dataclass
class Slow:
    """Answers that noise always changes, each after so many seconds of a clock of its own."""

    seconds: float
    now: float = 0.0
    runs: int = 0

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        self.runs += 1
        self.now += self.seconds
        rows = spots(image)
        rows[:, 0] -= self.runs * (rows[:, 4] > 0)
        return rows

    def clock(self) -> float:
        return self.now


def search_in_vain(image: NDArray[np.uint8], answer: Slow, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[str]]:
    """The error, and what was said before it."""
    monkeypatch.setattr("retinaj_zoo.example_image.time.monotonic", answer.clock)
    dims, lines = ("z", "y", "x")[-image.ndim :], list[str]()
    with pytest.raises(RetinaJError) as caught:
        choose_example(xr.DataArray(image, dims=dims), "slow.png", detector(answer), log=lines.append)
    return str(caught.value), lines


CROWD = [(12 + 60 * row, 12 + 60 * column, 100 + 20 * row + column) for row in range(8) for column in range(8)]


def test_a_slow_model_without_a_stable_part_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Slow(seconds=5)
    error, lines = search_in_vain(image_with(*CROWD, size=(500, 500)), answer, monkeypatch)
    assert SEARCH_SECONDS <= answer.now <= SEARCH_SECONDS + 3 * answer.seconds
    assert lines == ["Looking for the part of slow.png that can be the test of the package, for about 2 min 0 s at most …"]
    # One run finds the boxes of the whole image; of each part, the second differs from the first already.
    assert f"Of its parts that were tried ({(answer.runs - 1) // 2}, in 2 min " in error
    assert "--image" in error
    assert "another model" in error


def test_a_model_that_takes_longer_than_the_search_may_has_one_part_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Slow(seconds=1000)
    error, _ = search_in_vain(image_with(*SPREAD), answer, monkeypatch)
    assert "Of its parts that were tried (1, in 50 min 0 s), none can be" in error
    assert answer.runs == 3


def test_a_fast_model_without_a_stable_part_runs_a_bounded_number_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Slow(seconds=0)
    search_in_vain(image_with(*CROWD, size=(620, 620)), answer, monkeypatch)
    assert 60 < answer.runs <= 1 + 60 * 2


def test_of_a_long_stack_some_planes_are_looked_at() -> None:
    stack = np.zeros((400, 100, 120), np.uint8)
    stack[:] = image_with(*SPREAD[:1])
    stack[399] = image_with(*SPREAD)
    seen: list[NDArray[np.float32]] = []

    def answer(image: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(image)
        return spots(image)

    example = choose_example(xr.DataArray(stack, dims=("z", "y", "x")), "long.tif", detector(answer))
    np.testing.assert_array_equal(example.pixels[..., 0], stack[399])
    assert len(seen) == 16 + 3


@pytest.mark.parametrize(("most", "expected"), [(30, True), (31, False)])
def test_reaching_the_limit_of_a_foreign_detector_is_told_with_what_helps(most: int, expected: bool) -> None:
    lines: list[str] = []
    pixels = image_with(*[(10 + 12 * (at // 6), 10 + 12 * (at % 6), 100 + 3 * at) for at in range(30)])
    model = replace(detector(), max_detections=most)
    choose_example(xr.DataArray(pixels, dims=("y", "x")), "full.png", model, log=lines.append)
    warnings = [line for line in lines if line.startswith("Warning: that is 30 boxes, as many as the model can give")]
    assert bool(warnings) == expected
    assert all("--max-boxes" in line and "max_det" in line and "train" not in line for line in warnings)


def test_an_image_without_detections_is_refused() -> None:
    with pytest.raises(RetinaJError, match=r"finds nothing on black\.png, not even at the threshold 0\.1"):
        choose_example(xr.DataArray(image_with(), dims=("y", "x")), "black.png", detector())


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 1), (np.uint8, 3), (np.uint16, 1), (np.float32, 2), (np.uint16, 5)])
def test_images_of_any_type_are_shown_as_rgb(dtype: type[np.generic], channels: int) -> None:
    pixels = (np.arange(20 * 30 * channels).reshape(20, 30, channels) % 200).astype(dtype)
    shown = displayed(pixels)
    assert shown.shape == (20, 30, 3)
    assert shown.dtype == np.uint8
    assert shown.max() > 150
    if dtype == np.uint8 and channels == 3:
        np.testing.assert_array_equal(shown, pixels)


def test_a_cover_of_noise_stays_below_the_zoos_limit(tmp_path: Path) -> None:
    path = tmp_path / "cover.png"
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3)).astype(np.uint8)
    write_cover(noise, Boxes([[10, 10, 60, 80]], [0], ("a",), [0.9]), path)
    assert path.stat().st_size < 500_000
