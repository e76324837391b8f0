"""Which planes and channels of a stack a model sees, and which boxes lie on them."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import xarray as xr
from pydantic import ValidationError

from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.images.channels import choose_channels, parse_channels
from retinaj.images.plane_choice import PlaneChoice

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 60000, (2, 5, 3, 6, 8)).astype(np.uint16)  # t, z, c, y, x
SIZES = {"t": 2, "c": 3, "z": 5, "y": 6, "x": 8}


def boxes(*planes: tuple[int, int, int], labels: tuple[int, ...] = ()) -> Boxes:
    """One box for each plane (t, c, z), 1 pixel further right each."""
    xyxy = [[at, 0, at + 3, 4] for at in range(len(planes))]
    return Boxes(xyxy, labels or [0] * len(planes), ("cell", "debris"), plane=np.array(planes).reshape(-1, 3))


@pytest.fixture
def stack(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, imagej=True, metadata={"axes": "TZCYX", "Labels": ["DAPI", "GFP", "RFP"] * 10})
    return path


@pytest.mark.parametrize(
    ("z", "planes"),
    [("each", [(t, z) for t in range(2) for z in range(5)]), ("mid", [(0, 2), (1, 2)]), ("max", [(0, None), (1, None)])],
)
def test_planes_and_their_pixels(stack, z, planes):
    choice = PlaneChoice(z=z)
    assert choice.planes(SIZES) == planes
    for t, at in planes:
        expected = PIXELS[t].max(axis=0) if at is None else PIXELS[t, at]
        found = choice.read(stack, (t, at))
        assert found.dims == ("c", "y", "x")
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("channels", "places"), [((3, 1), [0, 2]), (("RFP", "dapi"), [2, 0]), ((2,), [1]), (("GFP",), [1])])
def test_channels_by_number_in_order_and_by_name_as_named(stack, channels, places):
    found = PlaneChoice(channels=channels, z="mid").read(stack, (1, 2))
    assert found.attrs["channel_names"] == tuple(("DAPI", "GFP", "RFP")[at] for at in places)
    expected = PIXELS[1, 2, places] if len(places) > 1 else PIXELS[1, 2, places[0]]
    np.testing.assert_array_equal(found, expected)


def test_a_wrong_channel_names_those_that_there_are(stack):
    for channel in (4, "Cy5"):
        with pytest.raises(RetinaJError, match=r"a\.tif has no channel .*: it has 3, named 'DAPI', 'GFP', 'RFP'\. "):
            PlaneChoice(channels=(channel,)).read(stack, (0, 0))


def test_numbers_that_are_names_and_colours():
    lasers = xr.DataArray(np.zeros((2, 4, 4)), dims=("c", "y", "x"), attrs={"channel_names": ("405", "488"), "rgb": False})
    assert choose_channels(lasers, (488,)).attrs["channel_names"] == ("488",)
    rgb = xr.DataArray(np.zeros((3, 4, 4)), dims=("c", "y", "x"), attrs={"rgb": True})
    assert choose_channels(rgb, (1, 2, 3)).attrs["rgb"]
    assert not choose_channels(rgb, (1, 2)).attrs["rgb"]
    grey = xr.DataArray(np.zeros((4, 4)), dims=("y", "x"))
    assert choose_channels(grey, (1,)).dims == ("y", "x")
    with pytest.raises(RetinaJError, match="The image has no channel 2: it has 1, without names"):
        choose_channels(grey, (2,))


def test_a_stack_needs_a_plane(stack):
    with pytest.raises(RetinaJError, match=r"a\.tif is a stack \(t = 2, z = 5\)"):
        PlaneChoice().read(stack)


def test_each_plane_gets_its_boxes_and_the_others_are_left_out():
    parts, notes = PlaneChoice().divide(boxes((0, 0, 1), (1, 2, 4), (0, 0, 1)), SIZES, "a.tif")
    assert [(plane, len(found)) for plane, found in parts] == [((0, 1), 2), ((1, 4), 1)]
    assert all(found.plane is None for _, found in parts)
    assert parts[1][1].xyxy.tolist() == [[1, 0, 4, 4]]
    assert notes == ["a.tif: 8 of its 10 planes have no boxes and are left out"]


def test_mid_takes_the_boxes_of_the_middle_slice_and_max_those_of_all():
    found = boxes((0, 0, 2), (0, 0, 4), (1, 0, 2))
    parts, notes = PlaneChoice(z="mid").divide(found, SIZES, "a.tif")
    assert [(plane, len(part)) for plane, part in parts] == [((0, 2), 1), ((1, 2), 1)]
    assert notes == ["a.tif: 1 boxes do not lie on the middle slice and are dropped; use --z each or --z max"]
    parts, _ = PlaneChoice(z="max").divide(found, SIZES, "a.tif")
    assert [(plane, len(part)) for plane, part in parts] == [((0, None), 2), ((1, None), 1)]


def test_an_object_on_several_slices_is_doubtful_in_a_projection():
    same = Boxes(
        [[0, 0, 9, 9], [0, 0, 9, 9], [0, 0, 9, 9]], [0, 0, 1], ("cell", "debris"), plane=[[0, 0, 0], [0, 0, 1], [0, 0, 1]]
    )
    _, notes = PlaneChoice(z="max").divide(same, SIZES | {"t": 1}, "a.tif")
    assert len(notes) == 1
    assert notes[0].startswith("a.tif: 1 boxes overlap one of the same class on another slice")


@pytest.mark.parametrize(("axis", "expected"), [("t", [(1, 0), (3, 0)]), ("z", [(0, 1), (0, 3)])])
def test_imagej_counts_the_planes_of_a_plain_stack_as_slices(axis, expected):
    parts, _ = PlaneChoice().divide(boxes((0, 0, 1), (0, 0, 3)), {axis: 5, "y": 6, "x": 8}, "a.tif")
    assert [plane for plane, _ in parts] == expected


def test_boxes_beyond_the_stack_are_noted():
    parts, notes = PlaneChoice().divide(boxes((0, 0, 1), (0, 0, 7)), {"z": 5, "y": 6, "x": 8}, "a.tif")
    assert [plane for plane, _ in parts] == [(0, 1)]
    assert "a.tif: 1 boxes lie on planes that the image (z = 5) lacks; dropped" in notes


def test_boxes_without_planes_fit_one_plane_only():
    placeless = Boxes([[0, 0, 3, 3]], [0], ("cell",))
    depth = {"z": 5, "y": 6, "x": 8}
    assert PlaneChoice(z="max").divide(placeless, depth, "a")[0][0][0] == (0, None)
    assert PlaneChoice(z="mid").divide(placeless, depth, "a")[0][0][0] == (0, 2)
    with pytest.raises(RetinaJError, match=r"a\.tif: the image is a stack \(z = 5\).*its 1 boxes lie\. .*use --z max"):
        PlaneChoice().divide(placeless, depth, "a.tif")
    with pytest.raises(RetinaJError, match=r"a stack \(t = 2, z = 5\).* lie\. Annotate with ImageJ ROIs"):
        PlaneChoice(z="max").divide(placeless, SIZES, "a.tif")


def test_a_single_plane_takes_all_boxes_and_an_empty_stack_all_planes():
    parts, notes = PlaneChoice().divide(boxes((0, 0, 4), (3, 0, 0)), {"c": 3, "y": 6, "x": 8}, "a.tif")
    assert [(plane, len(found)) for plane, found in parts] == [(None, 2)]
    assert notes == []
    parts, _ = PlaneChoice().divide(Boxes.empty(["cell"]), SIZES, "a.tif")
    assert len(parts) == 10


@pytest.mark.parametrize(
    "wrong", [{"channels": (0,)}, {"channels": ("",)}, {"channels": (1, 1)}, {"z": "min"}, {"series": 0}, {"t": 1}]
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValidationError):
        PlaneChoice(**wrong)


def test_a_choice_survives_json():
    choice = PlaneChoice(axes="tyx", series=2, channels=("DAPI", 2), z="max")
    assert PlaneChoice.model_validate_json(choice.model_dump_json()) == choice


def test_channels_of_a_command_line():
    assert parse_channels("DAPI,2") == ("DAPI", 2)
    with pytest.raises(RetinaJError, match="--channels is '1,,2'"):
        parse_channels("1,,2")
