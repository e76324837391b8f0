"""The whole path, each step by the command that users type: annotated images, model, evaluation, package, ROI Manager."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from discs import CLASSES, write_discs
from rich.console import Console

from retinaj.annotations.imagej_roi import read_roi_set
from retinaj.boxes import Boxes
from retinaj.images import read_image
from retinaj.prediction import open_model
from retinaj.training.settings import TrainingSettings
from retinaj.training.train import train
from retinaj_zoo import open_package

THRESHOLD = 0.2
SETTINGS = TrainingSettings(
    epochs=2, windows_per_epoch=400, pyramid_width=32, window=96, warmup_steps=20, ema=0.9, downsampling=1, levels=(3, 4)
)

MACRO = """
arguments = split(getArgument(), "\\n");
package = arguments[0]; picture = arguments[1]; rois = arguments[2];
open(picture);
run("RetinaJ Detect...", "model=&package threshold=0.20 overlap=0.50");
for (i = 0; i < roiManager("count"); i++) {
    roiManager("select", i);
    print(Roi.getName);
}
print("results", nResults);
roiManager("deselect");
roiManager("save", rois);
"""


def retinaj(*words: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "retinaj", *map(str, words)], capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_discs(tmp_path_factory.mktemp("whole path"), 24)


@pytest.fixture(scope="module")
def model(data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "disc finder"
    with Path(os.devnull).open("w") as nowhere:
        train(*data, folder, settings=SETTINGS, console=Console(file=nowhere))
    return folder


@pytest.fixture(scope="module")
def package(data: tuple[Path, Path], model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    retinaj("evaluate", *data, "--model", model, "--output", folder / "evaluation")
    printed = retinaj("package", model, "--output", folder / "disc finder.zip")
    assert "test passed" in printed
    return folder / "disc finder.zip"


def same_boxes(one: Boxes, other: Boxes, *, pixels: float, score: float) -> None:
    assert len(one) == len(other) > 0
    assert one.names == other.names
    assert abs(one.xyxy - other.xyxy).max() <= pixels
    assert one.score is not None
    assert other.score is not None
    assert abs(one.score - other.score).max() <= score


def test_the_model_has_learned(model: Path, data: tuple[Path, Path]) -> None:
    detector = open_model(model)
    assert detector.record is not None
    assert detector.record.training.validation_ap50 is not None
    assert detector.record.training.validation_ap50 > 0.7


def test_package_and_model_folder_find_the_same(model: Path, package: Path, data: tuple[Path, Path]) -> None:
    image = read_image(sorted(data[0].iterdir())[0])
    same_boxes(
        open_model(model).detect(image, threshold=THRESHOLD),
        open_package(package).detect(image, threshold=THRESHOLD),
        pixels=0.5,
        score=1e-3,
    )


def test_imagej_macro_puts_the_same_boxes_into_the_roi_manager(package: Path, data: tuple[Path, Path], tmp_path: Path) -> None:
    picture = sorted(data[0].iterdir())[0]
    macro = tmp_path / "detect.ijm"
    macro.write_text(MACRO)
    printed = retinaj("imagej", macro, package, picture, tmp_path / "RoiSet.zip")
    expected = open_package(package).detect(read_image(picture), threshold=THRESHOLD, overlap=0.5)
    names = [line for line in printed.splitlines() if re.fullmatch(rf"({'|'.join(CLASSES)}) \d\.\d\d", line)]
    assert expected.score is not None
    assert names == [f"{name} {score:.2f}" for name, score in zip(expected.names, expected.score, strict=True)]
    assert f"results {len(expected)}" in printed
    rois = read_roi_set(tmp_path / "RoiSet.zip", class_names=CLASSES)
    assert len(rois) == len(expected) > 0
    assert abs(rois.xyxy - expected.xyxy).max() < 0.01


def test_folder_macro_saves_roi_sets_and_counts(package: Path, data: tuple[Path, Path], tmp_path: Path) -> None:
    macro = Path(__file__).resolve().parents[1] / "macros" / "detect_folder.ijm"
    output = tmp_path / "roi sets"
    retinaj("imagej", macro, f"model={package}", f"input={data[0]}", f"output={output}", f"threshold={THRESHOLD}")
    detector = open_package(package)
    with (output / "counts.csv").open() as stream:
        rows = {row["image"]: row for row in csv.DictReader(stream)}
    assert len(rows) == 24
    for picture in sorted(data[0].iterdir())[:3]:
        boxes = detector.detect(read_image(picture), threshold=THRESHOLD, overlap=0.5)
        assert [int(rows[picture.name][name]) for name in CLASSES] == [boxes.names.count(name) for name in CLASSES]
        assert len(read_roi_set(output / f"{picture.stem}_RoiSet.zip", class_names=CLASSES)) == len(boxes)
