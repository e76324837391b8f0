"""The detector: which images fit a model, and what becomes of those that do not."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from retinaj.errors import RetinaJError
from retinaj.normalization import FixedScale, PercentileScale
from retinaj.prediction.detector import Detector


class Fixed:
    """A runtime that always finds one box, of class "b", that reaches over the image's border."""

    def __init__(self) -> None:
        self.seen: list[NDArray[np.float32]] = []

    def __call__(self, batch: NDArray[np.float32], overlap: float) -> NDArray[np.float32]:
        self.seen.append(batch)
        return np.array([[[-3, 2, 9, 40, 0.5, 2], [0, 0, 0, 0, 0, 0]]], np.float32)


def detector(channels: int = 1, normalization: FixedScale | PercentileScale | None = None) -> tuple[Detector, Fixed]:
    runtime = Fixed()
    made = Detector("m", ("a", "b"), channels, normalization or FixedScale(), runtime, 0.02, 0.5, 2)
    return made, runtime


def image(*shape: int, dims: str, dtype: str = "uint8", value: int = 7) -> xr.DataArray:
    return xr.DataArray(np.full(shape, value, dtype), dims=list(dims))


def test_boxes_are_clipped_named_and_without_padding_rows() -> None:
    found = detector()[0].detect(image(20, 30, dims="yx"))
    assert found.xyxy.tolist() == [[0, 2, 9, 20]]
    assert found.names == ["b"]
    assert found.plane is None


def test_every_plane_is_searched_and_named() -> None:
    done: list[tuple[int, int]] = []
    found = detector()[0].detect(image(2, 3, 20, 30, dims="tzyx"), progress=lambda *at: done.append(at))
    assert found.plane is not None
    assert found.plane.tolist() == [[t, 0, z] for t in range(2) for z in range(3)]
    assert done == [(count, 6) for count in range(1, 7)]


@pytest.mark.parametrize(("have", "want"), [(1, 3), (3, 1), (3, 3), (1, 1)])
def test_grey_and_rgb_convert_where_nothing_is_lost(have: int, want: int) -> None:
    made, runtime = detector(want)
    made.detect(image(have, 8, 8, dims="cyx") if have > 1 else image(8, 8, dims="yx"))
    assert runtime.seen[0].shape == (1, 8, 8, want)


def test_colour_for_a_grey_model_is_refused() -> None:
    colour = image(3, 8, 8, dims="cyx")
    colour[0] = 9
    with pytest.raises(RetinaJError, match="3 channels, but the model was trained on images with 1"):
        detector(1)[0].detect(colour)


def test_sixteen_bit_image_for_a_model_of_eight_bit_is_refused() -> None:
    with pytest.raises(RetinaJError, match=r"uint16 with values from 3000 to 3000.*8-bit"):
        detector()[0].detect(image(8, 8, dims="yx", dtype="uint16", value=3000))
    detector()[0].detect(image(8, 8, dims="yx", dtype="uint16", value=255))
    detector(normalization=PercentileScale())[0].detect(image(8, 8, dims="yx", dtype="uint16", value=3000))


@pytest.mark.parametrize("option", ["threshold", "overlap"])
@pytest.mark.parametrize("value", [0.0, -1.0, 1.5, float("nan")])
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(RetinaJError, match=f"{option} is {value}"):
        detector()[0].detect(image(8, 8, dims="yx"), **{option: value})


def test_empty_image_is_refused() -> None:
    with pytest.raises(RetinaJError, match="no pixels"):
        detector()[0].detect(image(0, 8, dims="yx"))
