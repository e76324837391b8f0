"""Where "RetinaJ Detect..." puts its boxes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from fake_detector import CLASSES, BrightPatches, fake_detector, patches
from written_images import write_image

from retinaj.annotations.imagej_roi import read_roi_set, roi_names, write_roi_set
from retinaj.boxes import Boxes
from retinaj.colours import class_colour
from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj_bridge import MacroOutcome

Classes = Callable[[str], Any]
RunMacro = Callable[..., MacroOutcome]

STACK = np.stack([patches(seed) for seed in range(6)]).reshape(3, 2, 60, 80)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_image(tmp_path / "an image.tif", patches())


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return write_image(tmp_path / "a stack.tif", STACK, "TZYX")


def found_on(path: Path) -> Boxes:
    return fake_detector(1).detect(read_image(path), threshold=0.55, overlap=0.45)


def line(models: Path, more: str) -> str:
    return f'run("RetinaJ Detect...", "model=[{models}/grey model] threshold=0.55 overlap=0.45 {more}");'


def in_manager(imagej: Classes) -> list[Any]:
    return list(imagej("ij.plugin.frame.RoiManager").getInstance().getRoisAsArray())


def results(imagej: Classes) -> Any:
    return imagej("ij.measure.ResultsTable").getResultsTable()


def current(imagej: Classes) -> Any:
    return imagej("ij.WindowManager").getCurrentImage()


def test_overlay(run_macro: RunMacro, imagej: Classes, models: Path, image: Path) -> None:
    run_macro(
        f'open("{image}"); makeOval(1, 1, 5, 5); Overlay.addSelection; run("Select None");' + line(models, "output=overlay")
    )
    expected = found_on(image)
    rois = list(current(imagej).getOverlay().toArray())
    assert [str(roi.getName()) for roi in rois[1:]] == roi_names(expected)
    assert in_manager(imagej) == []
    assert int(results(imagej).size()) == 0
    run_macro(line(models, "output=overlay replace"))
    assert [str(roi.getName()) for roi in current(imagej).getOverlay().toArray()] == roi_names(expected)


@pytest.mark.parametrize("kind", ["image", "stack"])
def test_roi_set(run_macro: RunMacro, imagej: Classes, models: Path, tmp_path: Path, request: Any, kind: str) -> None:
    path: Path = request.getfixturevalue(kind)
    target = tmp_path / "new folder" / "ä b_RoiSet.zip"
    run_macro(f'open("{path}");' + line(models, f"output=zip file=[{target}]"))
    expected = found_on(path)
    write_roi_set(tmp_path / "ours.zip", expected)
    theirs, ours = read_roi_set(target, CLASSES), read_roi_set(tmp_path / "ours.zip", CLASSES)
    np.testing.assert_array_equal(theirs.xyxy, ours.xyxy)
    assert theirs.names == ours.names
    if kind == "stack":
        np.testing.assert_array_equal(theirs.plane, ours.plane)
    assert [file.name for file in target.parent.iterdir()] == [target.name]
    assert in_manager(imagej) == []
    run_macro(f'roiManager("open", "{target}");')
    assert [str(roi.getName()) for roi in in_manager(imagej)] == roi_names(expected)


def test_files_are_not_overwritten(run_macro: RunMacro, imagej: Classes, models: Path, image: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.zip"
    target.write_text("mine")
    with pytest.raises(RetinaJError, match=r"mine\.zip exists already, and RetinaJ does not overwrite it"):
        run_macro(f'open("{image}");' + line(models, f"output=manager,zip file=[{target}]"))
    assert target.read_text() == "mine"
    assert in_manager(imagej) == []


@pytest.mark.parametrize(("name", "reason"), [("a.txt", "expected a name that ends in .zip"), ("a file/b.zip", "a file")])
def test_files_that_cannot_be(
    run_macro: RunMacro, imagej: Classes, models: Path, image: Path, tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "a file").write_text("no folder")
    with pytest.raises(RetinaJError, match=reason):
        run_macro(f'open("{image}");' + line(models, f"output=table,manager,zip file=[{tmp_path}/{name}]"))
    assert in_manager(imagej) == []
    assert int(results(imagej).size()) == 0


class Grid(BrightPatches):
    """10,000 boxes, 100 x 100."""

    def __call__(self, batch: Any, overlap: float) -> Any:
        rows = np.zeros((1, 10_000, 6), np.float32)
        rows[0, :, 0], rows[0, :, 1] = np.tile(np.arange(100), 100) + 0.25, np.repeat(np.arange(100), 100) + 0.5
        rows[0, :, 2:4] = rows[0, :, :2] + 0.5
        rows[0, :, 4], rows[0, :, 5] = np.linspace(0.99, 0.6, 10_000), 1 + np.arange(10_000) % 3
        return rows


@pytest.fixture
def crowd(serve: Callable[..., None], tmp_path: Path, models: Path) -> str:
    """A macro that opens an image on which the model finds 10,000 boxes."""
    serve(lambda path: replace(fake_detector(1, Grid()), max_detections=20_000))
    return f'open("{write_image(tmp_path / "crowd.tif", np.zeros((100, 100), np.uint8))}");'


def test_ten_thousand_boxes(run_macro: RunMacro, imagej: Classes, models: Path, crowd: str) -> None:
    run_macro(crowd + line(models, "output=manager,table,overlay"))
    assert len(in_manager(imagej)) == int(results(imagej).size()) == int(current(imagej).getOverlay().size()) == 10_000
    assert str(in_manager(imagej)[-1].getName()) == f"{CLASSES[9_999 % 3]} 0.60"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not limit the size of files")
def test_disk_full(run_macro: RunMacro, imagej: Classes, models: Path, crowd: str, tmp_path: Path) -> None:
    """No file of this process may grow beyond a few hundred thousand bytes; what 10,000 boxes need is more."""
    import resource

    folder = tmp_path / "out"
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, usual[1]))
    try:
        with pytest.raises(RetinaJError, match=r"a\.zip could not be written: .*Free some space, or choose another folder"):
            run_macro(crowd + line(models, f"output=manager,table,zip file=[{folder}/a.zip]"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert list(folder.iterdir()) == []
    assert in_manager(imagej) == []
    assert int(results(imagej).size()) == 0


@pytest.mark.parametrize("kind", ["image", "stack"])
def test_label_mask(run_macro: RunMacro, imagej: Classes, models: Path, tmp_path: Path, request: Any, kind: str) -> None:
    path: Path = request.getfixturevalue(kind)
    code = f'open("{path}"); run("Properties...", "unit=um pixel_width=0.5 pixel_height=0.5 voxel_depth=2");'
    run_macro(code + line(models, "output=mask") + f'saveAs("tiff", "{tmp_path}/mask.tif");')
    mask, expected = tifffile.imread(tmp_path / "mask.tif"), found_on(path)
    wanted = np.zeros(STACK.shape if kind == "stack" else (60, 80), np.uint16)
    for at in reversed(range(len(expected))):
        t, _, z = (0, 0, 0) if expected.plane is None else expected.plane[at]
        plane = wanted[t, z] if kind == "stack" else wanted
        # The fake's boxes stick out by a quarter pixel, on each side.
        left, top, right, bottom = (expected.xyxy[at] + [0.25, 0.25, -0.25, -0.25]).round().astype(int)
        plane[top:bottom, left:right] = at + 1
    assert mask.dtype == np.uint16
    np.testing.assert_array_equal(mask, wanted)
    shown = current(imagej)
    assert str(shown.getCalibration().getUnit()) in ("um", "µm")
    assert float(shown.getCalibration().pixelWidth) == 0.5
    assert in_manager(imagej) == []


def test_counts(run_macro: RunMacro, imagej: Classes, models: Path, image: Path, stack: Path) -> None:
    run_macro(f'open("{image}");' + line(models, "output=count"))
    table, expected = results(imagej), found_on(image)
    assert str(table.getColumnHeadings()).strip().split("\t") == ["image", *CLASSES, "total"]
    assert int(table.size()) == 1
    assert [int(table.getValue(name, 0)) for name in CLASSES] == [expected.names.count(name) for name in CLASSES]
    assert int(table.getValue("total", 0)) == len(expected)
    run_macro(f'open("{stack}");' + line(models, "output=count replace"))
    expected = found_on(stack)
    assert expected.plane is not None
    assert int(table.size()) == 6
    for at, (t, z) in enumerate(np.ndindex(3, 2)):
        assert (int(table.getValue("slice", at)), int(table.getValue("frame", at))) == (z + 1, t + 1)
        on_plane = (expected.plane[:, 0] == t) & (expected.plane[:, 2] == z)
        assert int(table.getValue("total", at)) == on_plane.sum()
    assert in_manager(imagej) == []


def test_calibrated_images_are_measured_in_their_units(run_macro: RunMacro, imagej: Classes, models: Path, image: Path) -> None:
    code = f'open("{image}"); run("Properties...", "unit=nm pixel_width=2 pixel_height=3 voxel_depth=1 origin=10,20");'
    run_macro(code + line(models, "output=table"))
    table, expected = results(imagej), found_on(image)
    for at, (x_min, y_min, x_max, y_max) in enumerate(expected.xyxy.astype(np.float64).tolist()):
        width, height = 2 * (x_max - x_min), 3 * (y_max - y_min)
        wanted = {"x_min": x_min, "x (nm)": 2 * (x_min - 10), "y (nm)": 3 * (y_min - 20), "width (nm)": width}
        wanted |= {"height (nm)": height, "area (nm²)": width * height}
        assert {name: float(table.getValue(name, at)) for name in wanted} == pytest.approx(wanted)


def test_names_groups_and_properties(run_macro: RunMacro, imagej: Classes, models: Path, stack: Path) -> None:
    named = "slices=2 name=[{number}: {class} ({score}) on {slice}/{frame}] groups"
    assert run_macro(f'open("{stack}");' + line(models, named)).printed == ""
    rois = in_manager(imagej)
    boxes = found_on(stack)
    assert boxes.plane is not None
    assert boxes.score is not None
    boxes = boxes.select(boxes.plane[:, 2] == 1)
    assert boxes.plane is not None
    assert boxes.score is not None
    rows = zip(boxes.names, boxes.score, boxes.plane[:, 0], strict=True)
    wanted = [f"{at}: {name} ({score:.2f}) on 2/{t + 1}" for at, (name, score, t) in enumerate(rows, 1)]
    assert [str(roi.getName()) for roi in rois] == wanted
    for roi, label in zip(rois, boxes.label.tolist(), strict=True):
        assert int(roi.getGroup()) == label + 1
        colour = roi.getStrokeColor()
        assert (colour.getRed(), colour.getGreen(), colour.getBlue()) == class_colour(label)
        properties = {key: str(roi.getProperty(key)) for key in ("class", "model", "threshold")}
        assert properties == {"class": CLASSES[label], "model": "fake", "threshold": "0.55"}


def test_batch_mode_has_a_manager_of_its_own(run_macro: RunMacro, models: Path, image: Path) -> None:
    code = f'setBatchMode(true); open("{image}");' + line(models, "output=manager")
    outcome = run_macro(code + 'roiManager("select", 0); print(roiManager("count"), Roi.getName);')
    expected = found_on(image)
    assert outcome.printed == f"{len(expected)} {roi_names(expected)[0]}\n"
