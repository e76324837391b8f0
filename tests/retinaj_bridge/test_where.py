"""Which part of an image "RetinaJ Detect..." searches: slices, frames, projections, selections, tiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from fake_detector import BrightPatches, fake_detector, patches
from written_images import write_image

from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.prediction.detector import Detector
from retinaj_bridge import MacroOutcome

Classes = Callable[[str], Any]
RunMacro = Callable[..., MacroOutcome]
Serve = Callable[[Callable[[Path], Detector]], None]

STACK = np.stack([patches(seed) for seed in range(12)])


def expected_on(pixels: np.ndarray[Any, Any]) -> Boxes:
    return fake_detector(1).detect(xr.DataArray(pixels, dims=("y", "x")), threshold=0.55, overlap=0.45)


def entries(imagej: Classes) -> list[tuple[tuple[int, int, int], list[float]]]:
    """((C, Z, T), box) of each entry; (position, 0, 0) on plain stacks."""
    found: list[tuple[tuple[int, int, int], list[float]]] = []
    for roi in imagej("ij.plugin.frame.RoiManager").getInstance().getRoisAsArray():
        b = roi.getFloatBounds()
        place = (roi.getCPosition(), roi.getZPosition(), roi.getTPosition())
        plain = (int(roi.getPosition()), 0, 0)
        found.append(
            (tuple(map(int, place)) if bool(roi.hasHyperStackPosition()) else plain, [b.x, b.y, b.x + b.width, b.y + b.height])
        )
    return found


@pytest.mark.parametrize(
    ("axes", "more", "planes"),
    [
        # planes: (index into STACK, place)
        ("ZYX", "slices=current", [(2, (3, 0, 0))]),
        ("ZYX", "slices=2-4", [(1, (2, 0, 0)), (2, (3, 0, 0)), (3, (4, 0, 0))]),
        ("TYX", "slices=4", [(3, (4, 0, 0))]),
        ("TYX", "frames=4", [(3, (4, 0, 0))]),
        ("TYX", "frames=current", [(2, (3, 0, 0))]),
        ("TZYX", "slices=2", [(1, (0, 2, 1)), (5, (0, 2, 2)), (9, (0, 2, 3))]),
        ("TZYX", "slices=current", [(2, (0, 3, 1))]),
        ("TZYX", "slices=current frames=all", [(2, (0, 3, 1)), (6, (0, 3, 2)), (10, (0, 3, 3))]),
        ("TZYX", "slices=1-2 frames=3", [(8, (0, 1, 3)), (9, (0, 2, 3))]),
    ],
)
def test_slices_and_frames(
    run_macro: RunMacro,
    imagej: Classes,
    models: Path,
    tmp_path: Path,
    axes: str,
    more: str,
    planes: list[tuple[int, tuple[int, int, int]]],
) -> None:
    pixels = STACK.reshape(3, 4, 60, 80) if axes == "TZYX" else STACK
    path = write_image(tmp_path / "a.tif", pixels, axes)
    line = f'run("RetinaJ Detect...", "model=[{models}/grey model] threshold=0.55 overlap=0.45 {more}");'
    run_macro(f'open("{path}"); setSlice(3); {line}')
    wanted = [(place, box.tolist()) for at, place in planes for box in expected_on(STACK[at]).xyxy]
    assert len(wanted) >= 4
    assert entries(imagej) == wanted


@pytest.mark.parametrize(
    ("axes", "more", "groups"),
    [
        ("ZYX", "", [(range(12), (0, 0, 0))]),
        ("ZYX", "slices=3-5", [(range(2, 5), (0, 0, 0))]),
        ("TZYX", "slices=2-3", [(range(1, 3), (0, 0, 1)), (range(5, 7), (0, 0, 2)), (range(9, 11), (0, 0, 3))]),
        ("TZYX", "frames=2", [(range(4, 8), (0, 0, 2))]),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_maximum_projections(
    run_macro: RunMacro,
    imagej: Classes,
    models: Path,
    tmp_path: Path,
    axes: str,
    more: str,
    groups: list[tuple[range, tuple[int, int, int]]],
    dtype: type[np.generic],
) -> None:
    pixels = (STACK.reshape(3, 4, 60, 80) if axes == "TZYX" else STACK).astype(dtype)
    path = write_image(tmp_path / "a.tif", pixels, axes)
    line = f'run("RetinaJ Detect...", "model=[{models}/grey model] threshold=0.55 overlap=0.45 projection=max {more}");'
    run_macro(f'open("{path}"); setSlice(3); {line}')
    wanted = [(place, box.tolist()) for which, place in groups for box in expected_on(STACK[list(which)].max(axis=0)).xyxy]
    assert entries(imagej) == wanted
    table = imagej("ij.measure.ResultsTable").getResultsTable()
    assert {int(table.getValue("slice", at)) for at in range(len(wanted))} == {0}


def test_projection_of_signed_values(run_macro: RunMacro, imagej: Classes, models: Path) -> None:
    """ImageJ stores them shifted, and they are searched as they are meant."""
    code = (
        'newImage("a", "16-bit black", 60, 40, 2); run("Set...", "value=32778 stack"); setColor(32768 + 220); setSlice(2);'
        'fillRect(5, 6, 7, 8); setSlice(1); setColor(32768 + 240); fillRect(30, 20, 9, 9); run("Select None");'
    )
    run_macro(code)
    image = imagej("ij.WindowManager").getCurrentImage()
    image.getCalibration().setSigned16BitCalibration()
    run_macro(f'run("RetinaJ Detect...", "model=[{models}/grey model] threshold=0.55 projection=max");')
    assert [box for _, box in entries(imagej)] == [[29.75, 19.75, 39.25, 29.25], [4.75, 5.75, 12.25, 14.25]]


def test_projection_of_colours(run_macro: RunMacro, imagej: Classes, models: Path) -> None:
    """Each colour by itself: red and blue of the first slice and green of the second make white."""
    code = (
        'newImage("b", "RGB black", 60, 40, 2); setColor(220, 10, 220); fillRect(5, 6, 7, 8); setSlice(2);'
        "setColor(10, 220, 10); fillRect(5, 6, 7, 8);"
    )
    run_macro(code + f'run("RetinaJ Detect...", "model=[{models}/rgb model] threshold=0.55 projection=max");')
    assert [box for _, box in entries(imagej)] == [[4.75, 5.75, 12.25, 14.25]]


@pytest.mark.parametrize(
    ("code", "more", "reason"),
    [
        ('open("{image}");', "slices=9", "slices is 9, but the image a.tif has 4"),
        ('open("{image}");', "frames=2-4", "frames is 2-4, but the image a.tif has 3"),
        ('newImage("b", "8-bit", 9, 9, 1);', "projection=max", "the image b has no slices to project"),
        ('newImage("b", "8-bit", 9, 9, 1);', "region=selection", "There is no selection on the image b; draw one"),
        ('newImage("b", "8-bit", 9, 9, 1); makeLine(1,1,5,5);', "region=selection", "The selection on the image b has no area"),
        ('newImage("b", "8-bit", 9, 9, 1); makePoint(1,1);', "region=selection", "The selection on the image b has no area"),
        (
            'newImage("b", "8-bit", 9, 9, 1); makeRectangle(20,20,5,5);',
            "region=selection",
            "There is no selection|has no area on it",
        ),
    ],
)
def test_parts_that_are_not_there(
    run_macro: RunMacro, imagej: Classes, models: Path, tmp_path: Path, code: str, more: str, reason: str
) -> None:
    path = write_image(tmp_path / "a.tif", STACK.reshape(3, 4, 60, 80), "TZYX")
    with pytest.raises(RetinaJError, match=reason):
        run_macro(code.replace("{image}", str(path)) + f'run("RetinaJ Detect...", "model=[{models}/grey model] {more}");')
    assert entries(imagej) == []


def test_a_rectangle_is_searched_alone(run_macro: RunMacro, imagej: Classes, models: Path, tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", STACK[0])
    line = f'run("RetinaJ Detect...", "model=[{models}/grey model] threshold=0.55 overlap=0.45 region=selection");'
    run_macro(f'open("{path}"); makeRectangle(20, 10, 45, 48); {line}')
    wanted = expected_on(STACK[0][10:58, 20:65]).xyxy + np.array([20, 10, 20, 10])
    assert 1 <= len(wanted) < len(expected_on(STACK[0]))
    np.testing.assert_array_equal([box for _, box in entries(imagej)], wanted)


def test_boxes_with_the_centre_outside_of_an_oval_are_dropped(
    run_macro: RunMacro, imagej: Classes, models: Path, tmp_path: Path
) -> None:
    image = np.full((60, 80), 30, np.uint8)
    image[0:6, 0:6] = 240  # in the corner of the oval's bounds
    image[28:34, 38:44] = 250
    path = write_image(tmp_path / "a.tif", image)
    line = f'run("RetinaJ Detect...", "model=[{models}/grey model] threshold=0.55 region=selection");'
    run_macro(f'open("{path}"); makeOval(0, 0, 80, 60); {line} if (selectionType() != 1) exit("the selection is gone");')
    assert [box for _, box in entries(imagej)] == [[37.75, 27.75, 44.25, 34.25]]


@pytest.mark.parametrize(("tiles", "several"), [("auto", False), ("none", False), ("1400", True)])
def test_tiles(
    run_macro: RunMacro, imagej: Classes, models: Path, tmp_path: Path, serve: Serve, tiles: str, several: bool
) -> None:
    runtime = BrightPatches()
    serve(lambda path: fake_detector(1, runtime))
    image = np.full((80, 2600), 30, np.uint8)
    image[20:26, 20:28] = 240
    image[40:46, 2320:2328] = 250
    path = write_image(tmp_path / "a.tif", image)
    run_macro(f'open("{path}"); run("RetinaJ Detect...", "model=[{models}/grey model] threshold=0.55 tiles={tiles}");')
    boxes = sorted(box for _, box in entries(imagej))
    np.testing.assert_allclose(boxes, [[19.75, 19.75, 28.25, 26.25], [2319.75, 39.75, 2328.25, 46.25]])
    assert (len(runtime.calls) > 1) == several


def test_tiles_that_are_too_small(run_macro: RunMacro, imagej: Classes, models: Path) -> None:
    line = f'run("RetinaJ Detect...", "model=[{models}/grey model] tiles=64");'
    with pytest.raises(RetinaJError, match="tiles is 64, too little for this model"):
        run_macro(f'newImage("wide", "8-bit black", 2600, 80, 1); {line}')
    assert entries(imagej) == []
