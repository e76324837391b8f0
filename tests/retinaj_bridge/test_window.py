"""ImageJ's window, its dialog and its recorder, worked by mouse and keyboard on a real or virtual display."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_detector
import imagej_window
import numpy as np
import pytest
import xarray as xr
from fake_detector import patches
from virtual_display import has_window_manager, virtual_display
from written_images import write_image

from retinaj.annotations.imagej_roi import read_roi_set, roi_names
from retinaj.boxes import Boxes
from retinaj.images import read_image

pytestmark = pytest.mark.gui

STACK = np.stack([patches(seed) for seed in range(6)]).reshape(3, 2, 60, 80)


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    with virtual_display() as name:
        yield name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("window")
    write_image(folder / "image.tif", patches())
    write_image(folder / "stack.tif", STACK, "TZYX")
    (folder / "pictures").mkdir()
    for seed in range(2):
        write_image(folder / "pictures" / f"picture {seed}.tif", patches(seed))
    for name in ("grey model", "other model"):
        (folder / name).mkdir()
        (folder / name / "model.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def notes(running_imagej: object, display: str, folder: Path, repository: Path) -> dict[str, Any]:
    """What the session of `imagej_window` saw. (ImageJ without a window is started first: it downloads what is missing.)"""
    paths = [str(Path(module.__file__ or "").parent) for module in (imagej_window, fake_detector)]
    done = subprocess.run(
        [sys.executable, str(imagej_window.__file__), str(folder)],
        env=os.environ
        | {
            "DISPLAY": display,
            "RETINAJ_HOME": str(folder / ".retinaj"),  # other tests have used models, too
            "WINDOW_MANAGER": "yes" * has_window_manager(),
            "DETECT_FOLDER": str(repository / "macros" / "detect_folder.ijm"),
            "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]),
        },
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    noted = json.loads((folder / "notes.json").read_text()) if (folder / "notes.json").exists() else {}
    assert "failure" not in noted, noted["failure"] + done.stderr
    assert done.stdout.splitlines()[-1:] == ["open_window returned"], done.stdout + done.stderr
    assert done.returncode == 0
    return noted


@pytest.fixture(scope="module")
def expected(folder: Path) -> Boxes:
    return fake_detector.fake_detector(1).detect(read_image(folder / "image.tif"), threshold=0.55, overlap=0.45)


def test_dialog_fills_the_roi_manager(notes: dict[str, Any], expected: Boxes) -> None:
    assert len(expected) >= 4
    assert [entry["name"] for entry in notes["entries"]] == roi_names(expected)
    np.testing.assert_array_equal([entry["box"] for entry in notes["entries"]], expected.xyxy)
    assert notes["results"] == len(expected)
    assert notes["shows all"]


def test_recorder_writes_the_macro_line(notes: dict[str, Any], folder: Path) -> None:
    line = f'run("RetinaJ Detect...", "model=[{folder}/grey model] threshold=0.55 overlap=0.45");'
    assert notes["recorded"].splitlines()[-1] == line
    assert notes["recorded"].count("RetinaJ Detect") == 1


def test_recorded_line_does_the_same(notes: dict[str, Any], expected: Boxes) -> None:
    assert notes["entries after macro"] == 2 * len(expected)  # added to those that were there


def test_typing_errors_are_explained_and_kept(notes: dict[str, Any], folder: Path) -> None:
    assert "threshold is 'abc'; expected a number" in notes["wrong number"]
    assert notes["typed texts are kept"] == [f"{folder}/grey model", "abc", "0.50"]


def test_dialog_remembers(notes: dict[str, Any], folder: Path) -> None:
    assert notes["remembered"] == [f"{folder}/grey model", "0.55", "0.45"]


def test_dialog_offers_models_used_lately(notes: dict[str, Any], folder: Path) -> None:
    [entry] = notes["recent"]
    shown = re.fullmatch(r"fake \(…(.*)\)", entry)
    assert shown is not None
    assert f"{folder}/grey model".endswith(shown[1])
    assert len(entry) < 50  # a longer one would push the dialog's buttons out of sight


def test_preview_follows_the_threshold_and_leaves_no_trace(notes: dict[str, Any], expected: Boxes) -> None:
    assert expected.score is not None
    assert notes["previewed"] == [int((expected.score >= threshold).sum()) for threshold in (0.7, 0.8)]
    assert notes["roi is kept"]
    assert notes["manager is hidden"]


def test_menu_of_an_imagej_that_did_not_find_the_plugin(notes: dict[str, Any]) -> None:
    usual, without_one, without_all = notes["menus"]
    assert usual[0] == "RetinaJ Detect..."
    assert without_one == [*usual, "RetinaJ Detect..."]  # here, the menu had it all the time
    assert without_all == usual


def test_stack(notes: dict[str, Any]) -> None:
    detector = fake_detector.fake_detector(1)
    counts = [len(detector.detect(xr.DataArray(STACK[t, 1], dims=("y", "x")), threshold=0.55, overlap=0.45)) for t in range(3)]
    assert notes["places"] == [[0, 2, t + 1] for t in range(3) for _ in range(counts[t])]
    assert notes["selection is kept"]
    assert "Slices (all, current, 3-7)" in notes["asked of a stack"]
    assert "Frames (all, current, 3-7)" in notes["asked of a stack"]


@pytest.mark.skipif(not has_window_manager(), reason="no window manager: openbox is not there")
def test_browsing_for_a_folder(notes: dict[str, Any], folder: Path) -> None:
    assert notes["browsed"] == f"{folder}/other model"


def test_cancel_does_nothing(notes: dict[str, Any], expected: Boxes) -> None:
    assert notes["entries after cancel"] == len(expected)
    assert notes["recorded after cancel"] == notes["recorded"]


def test_without_image(notes: dict[str, Any]) -> None:
    assert "There is no image open" in notes["without image"]


def test_macro_stops_with_the_reason(notes: dict[str, Any]) -> None:
    error = " ".join(notes["macro error"].split())
    assert "The model /no such/model does not exist; expected a model folder" in error
    assert "in line 1" in error
    assert "GONE ON" not in notes["log after error"]
    assert notes["log"].strip() == "GOOD"


def test_folder_macro_by_its_dialog(notes: dict[str, Any], folder: Path) -> None:
    lines = (folder / "out" / "counts.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == 'image,RBC,Living Cell,"µ,x",total'
    assert len(lines) == 3
    for seed in range(2):
        found = fake_detector.fake_detector(1).detect(
            read_image(folder / "pictures" / f"picture {seed}.tif"), threshold=0.55, overlap=0.45
        )
        saved = read_roi_set(folder / "out" / f"picture {seed}_RoiSet.zip", found.class_names)
        np.testing.assert_array_equal(saved.xyxy, found.xyxy)
        assert lines[seed + 1].endswith(f",{len(found)}")
