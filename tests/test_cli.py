"""The command line: errors in one line, exit codes, and the way from annotated images to result files."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from discs import write_discs
from typer.testing import CliRunner

from retinaj.boxes import Boxes
from retinaj.cli import app
from retinaj.images import read_image
from retinaj.prediction import open_model

QUICK = ("--epochs", "1", "--window", "64", "--levels", "3-4", "--downsampling", "1", "--seed", "5")


def retinaj(*words: str | Path, expect: int = 0) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "retinaj", *map(str, words)], capture_output=True, text=True, timeout=300, check=False
    )
    printed = done.stdout + done.stderr
    assert done.returncode == expect, printed
    return printed


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_discs(tmp_path_factory.mktemp("discs with spaces"), 8)


@pytest.fixture(scope="module")
def model(data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("command line") / "my model"
    retinaj("train", *data, "--output", folder, "--validation", "0.25", *QUICK)
    return folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "nowhere", "nowhere", "--output", "new"), "Error: nowhere does not exist"),
        (("train", "x", "x", "--output", "new", "--epochs", "0"), "Error: --epochs is 0"),
        (("train", "x", "x", "--output", "new", "--learning-rate", "-1"), "Error: --learning-rate is -1"),
        (("train", "x", "x", "--output", "new", "--levels", "7-3"), "Error: --levels is '7-3'"),
        (("train", "x", "x", "--output", "new", "--downsampling", "3"), "Error: --downsampling is 3"),
        (("train", "x", "x", "--output", "new", "--resume"), "Error: There is nothing to resume"),
        (("predict", "x.png", "--model", "nowhere", "--output", "new"), "nowhere"),
        (("package", "nowhere", "--output", "new.zip"), "nowhere"),
        (("package", "x", "--output", "new.zip", "--max-boxes", "9"), "Error: --max-boxes is for detectors of other programs"),
        (("imagej", "nowhere.ijm"), "nowhere.ijm"),
        (("import-tf2", "nowhere", "--output", "new"), "Error: nowhere does not exist"),
    ],
)
def test_errors_are_one_line(words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed = retinaj(*words, expect=1)
    assert message in printed
    assert "Traceback" not in printed
    assert len(printed.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_evaluate_writes_figures_and_report_and_remembers_them(data: tuple[Path, Path], model: Path, tmp_path: Path) -> None:
    printed = retinaj("evaluate", *data, "--model", model, "--output", tmp_path / "evaluation")
    assert "disc" in printed
    assert sorted(path.name for path in (tmp_path / "evaluation").iterdir()) == [
        "evaluation.json", "evaluation.md", "report.html",
    ]  # fmt: skip
    figures = (tmp_path / "evaluation" / "evaluation.json").read_text()
    assert json.loads(figures)["images"] == 8
    assert (model / "training" / "evaluation.json").read_text() == figures
    assert "already exists" in retinaj("evaluate", *data, "--model", model, "--output", tmp_path / "evaluation", expect=1)


def test_predict_equals_the_python_function(data: tuple[Path, Path], model: Path, tmp_path: Path) -> None:
    image = sorted(data[0].iterdir())[0]
    retinaj("predict", image, "--model", model, "--output", tmp_path / "out", "--threshold", "0.05", "--overlap", "0.3")
    with (tmp_path / "out" / f"{image.stem}.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["x_min", "y_min", "x_max", "y_max", "score", "class"]
    found: Boxes = open_model(model).detect(read_image(image), threshold=0.05, overlap=0.3)
    assert len(rows) == len(found) > 0
    for row, xyxy, score, name in zip(rows, found.xyxy, found.score, found.names, strict=True):
        assert row["class"] == name
        assert float(row["score"]) == pytest.approx(float(score), abs=1e-3)
        assert [float(row[key]) for key in ("x_min", "y_min", "x_max", "y_max")] == pytest.approx(xyxy.tolist(), abs=0.1)
    assert (tmp_path / "out" / f"{image.stem}_RoiSet.zip").is_file()
    assert (tmp_path / "out" / f"{image.stem}_overlay.png").is_file()


def test_predict_goes_on_past_an_unreadable_image_and_says_so(data: tuple[Path, Path], model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    shutil.copy(sorted(data[0].iterdir())[0], folder / "good.png")
    (folder / "bad.png").write_bytes(b"not an image")
    printed = retinaj("predict", folder, "--model", model, "--output", tmp_path / "out", expect=1)
    assert "bad.png" in printed
    assert (tmp_path / "out" / "good.csv").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process can catch")
def test_polite_kill_leaves_a_model_that_resumes(data: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    words = ("train", *map(str, data), "--output", str(folder), *QUICK[2:], "--windows-per-epoch", "400")
    process = subprocess.Popen([sys.executable, "-m", "retinaj", *words, "--epochs", "3"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    state = folder / "training" / "state.npz"
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, printed = process.communicate(timeout=120)
    assert process.returncode == 130, printed
    assert "--resume" in printed
    open_model(folder)
    printed = retinaj(*words, "--resume", "--epochs", "4", expect=1)
    assert "epochs 3, now it is 4" in printed
    assert "Resuming after epoch" in retinaj(*words, "--resume")


@pytest.mark.parametrize(
    "command", ["train", "evaluate", "predict", "split", "augment", "check", "describe", "package", "demo", "import-tf2"]
)
def test_help_shows_the_defaults(command: str) -> None:
    """Square brackets are markup in a help text: an unescaped default is swallowed."""
    shown = CliRunner().invoke(app, [command, "--help"]).output
    assert "[default" in shown
    assert "\\[" not in shown
