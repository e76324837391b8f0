"""The dialogs and windows of the commands beside Detect..., on a real or virtual display."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import imagej_window
import other_windows
import pytest
from fake_detector import patches
from tiny_models import write_tiny_model
from virtual_display import virtual_display
from written_images import write_image

from retinaj_bridge.recent_models import remember_model

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other windows")
    write_image(folder / "image.tif", patches())
    (folder / "pictures").mkdir()
    for seed in range(7):
        write_image(folder / "pictures" / f"picture {seed}.tif", patches(seed))
    (folder / "grey model").mkdir()
    (folder / "grey model" / "model.json").write_text("{}")
    write_tiny_model(folder / "tiny model")
    # Models used before, whose long names and paths must not push the buttons out of the dialogs.
    deep = folder / "a folder with a name that nobody wants to type" / "and another one in it, even longer than that one"
    (deep / "model").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETINAJ_HOME", str(folder / ".retinaj"))
        remember_model(deep / "model", "a model of cells that were stained with something, seen through something")
    return folder


@pytest.fixture(scope="module")
def notes(running_imagej: object, folder: Path) -> dict[str, Any]:
    """What the session of `other_windows` saw. (ImageJ without a window is started first: it downloads what is missing.)"""
    helpers = str(Path(imagej_window.__file__ or "").parent)
    with virtual_display() as display:
        done = subprocess.run(
            [sys.executable, str(other_windows.__file__), str(folder)],
            env=os.environ
            | {
                "DISPLAY": display,
                "PYTHONPATH": os.pathsep.join([helpers, os.environ.get("PYTHONPATH", "")]),
                "RETINAJ_HOME": str(folder / ".retinaj"),  # other tests have used models and trained, too
            },
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
    noted = json.loads((folder / "notes.json").read_text()) if (folder / "notes.json").exists() else {}
    assert "failure" not in noted, noted["failure"] + done.stderr
    assert done.stdout.splitlines()[-1:] == ["open_window returned"], done.stdout + done.stderr
    return noted


def test_recorder_writes_the_macro_lines(notes: dict[str, Any], folder: Path) -> None:
    lines = [line for line in notes["recorded"].splitlines() if "RetinaJ" in line]
    assert lines == [
        'run("RetinaJ Help");',
        f'run("RetinaJ Detect in folder...", "model=[{folder}/grey model] images=[{folder}/pictures] output=[{folder}/out] '
        'threshold=0.55 overlap=0.45 show");',
        f'run("RetinaJ Export annotations...", "dataset=[{folder}/my data]");',
        f'run("RetinaJ Model info...", "model=[{folder}/tiny model]");',
        f'run("RetinaJ Correct and retrain...", "model=[{folder}/tiny model] dataset=[{folder}/my data] minutes=5");',
    ]


def test_folder_by_its_dialog(notes: dict[str, Any], folder: Path) -> None:
    assert "threshold is 'abc'; expected a number" in notes["wrong number"]
    assert notes["typed texts are kept"] == "abc"
    assert len((folder / "out" / "counts.csv").read_text().splitlines()) == 8
    assert "boxes on 7 images; the results are in" in notes["log"]


def test_annotations_by_their_dialog(notes: dict[str, Any], folder: Path) -> None:
    assert (folder / "my data" / "annotations" / "image.xml").is_file()
    assert "image.tif with 1 box was added to the data set" in notes["log"]


def test_training_is_watched_and_stopped(notes: dict[str, Any], folder: Path) -> None:
    # ImageJ ends folders with a slash.
    assert [text.rstrip("/") for text in notes["remembered"][:2]] == [f"{folder}/tiny model", f"{folder}/tiny model-data"]
    assert notes["training"] == "epoch 2 of 4, AP@.5 0.83 so far, about 7 min 30 s left"
    assert notes["stopped"] == "Stopped. The best model so far is kept."
    assert notes["help"]
    assert "The new model will not know the classes that no image of the data set has: no, µ|x." in notes["log"]
