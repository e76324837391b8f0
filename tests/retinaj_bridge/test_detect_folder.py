"""macros/detect_folder.ijm without a window. (With one: `test_window`.)"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_detector import CLASSES, fake_detector, patches
from PIL import Image
from written_images import write_image

import retinaj_bridge
from retinaj.annotations.imagej_roi import read_roi_set
from retinaj.errors import RetinaJError
from retinaj.images import read_image

Run = Callable[..., str]


@pytest.fixture
def run(imagej: Callable[[str], Any], repository: Path) -> Run:
    def run_it(**arguments: object) -> str:
        macro = repository / "macros" / "detect_folder.ijm"
        return retinaj_bridge.run_macro(macro, [f"{name}={value}" for name, value in arguments.items()]).printed

    return run_it


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder as folders are: images of several kinds, and what else gathers there."""
    folder = tmp_path / "my images"
    (folder / "older").mkdir(parents=True)
    write_image(folder / "older" / "not this one.tif", patches(9))
    write_image(folder / "a, b.tif", patches(0))
    Image.fromarray(patches(1)).save(folder / "A, b.PNG")
    Image.fromarray(patches(2)).save(folder / "Zellen ü [1].png")
    write_image(folder / "stack.tif", np.stack([patches(3), patches(4)]), "ZYX")
    write_image(folder / "nothing in it.tif", np.full((9, 9), 30, np.uint8))
    (folder / "notes.txt").write_text("tif")
    (folder / ".hidden.tif").write_text("")
    (folder / "empty.jpg").touch()
    (folder / "broken.tif").write_bytes(b"II*\0 and nothing else")
    (folder / "a table.png").write_text("a,b,c\n1,2,3\n")
    return folder


NAMES = {
    "a, b.tif": "a, b_tif",
    "A, b.PNG": "A, b_PNG",
    "Zellen ü [1].png": "Zellen ü [1]",
    "stack.tif": "stack",
    "nothing in it.tif": "nothing in it",
}


def test_folder(run: Run, models: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in images.rglob("*") if path.is_file()}
    output = tmp_path / "out" / "deep"
    left_out = "The other images are done, but these could not be read and were left out: +a table.png +broken.tif +empty.jpg"
    with pytest.raises(RetinaJError, match=rf"^detect_folder\.ijm stopped: {left_out}"):
        run(model=models / "grey model", input=images, output=output, threshold=0.55, overlap=0.45)
    printed = capsys.readouterr().out
    with (output / "counts.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["image"] for row in rows} == set(NAMES)
    total = 0
    for row in rows:
        found = fake_detector(1).detect(read_image(images / row["image"]), threshold=0.55, overlap=0.45)
        counts = Counter(found.names)
        assert {name: int(row[name]) for name in CLASSES} == {name: counts[name] for name in CLASSES}
        assert int(row["total"]) == len(found)
        rois = output / f"{NAMES[row['image']]}_RoiSet.zip"
        assert rois.exists() == (len(found) > 0)
        if len(found):
            saved = read_roi_set(rois, CLASSES)
            np.testing.assert_array_equal(saved.xyxy, found.xyxy)
            np.testing.assert_array_equal(saved.plane, found.plane)
        total += len(found)
    assert total > 10
    assert f"{total} objects; ROI sets and counts.csv are in {output}" in printed
    assert len(list(output.iterdir())) == 1 + len(rows) - 1  # nothing temporary; one image had no objects
    assert {path: path.read_bytes() for path in images.rglob("*") if path.is_file()} == before


def test_nothing_is_overwritten(run: Run, models: Path, images: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    mine = output / "stack_RoiSet.zip"
    mine.write_text("mine")
    with pytest.raises(RetinaJError, match=r"stack_RoiSet\.zip exists already and is not overwritten"):
        run(model=models / "grey model", input=images, output=output)
    assert mine.read_text() == "mine"
    assert list(output.iterdir()) == [mine]
    mine.rename(output / "counts.csv")
    with pytest.raises(RetinaJError, match=r"counts\.csv exists already"):
        run(model=models / "grey model", input=images, output=output)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, r"needs model=MODEL input=FOLDER output=FOLDER"),
        ({"model": "{models}/grey model", "input": "{images}"}, r"needs model=MODEL input=FOLDER output=FOLDER"),
        ({"modell": "x"}, r'does not know the argument "modell=x"; it takes model=, input=, output='),
        ({"model": "m", "input": "{images}/nowhere", "output": "{out}"}, "The input folder does not exist: .*nowhere/"),
        ({"model": "m", "input": "{models}", "output": "{out}"}, "The input folder has no images"),
        ({"model": "/no such", "input": "{images}", "output": "{out}"}, "The model /no such does not exist"),
        (
            {"model": "{models}/grey model", "input": "{images}", "output": "{out}", "threshold": "high"},
            "threshold is 'high'; expected a number",
        ),
        ({"model": "m", "input": "{images}", "output": "{images}/notes.txt/x"}, "The output folder could not be made"),
    ],
)
def test_wrong_arguments(run: Run, models: Path, images: Path, tmp_path: Path, arguments: dict[str, str], reason: str) -> None:
    places = {"models": models, "images": images, "out": tmp_path / "out"}
    with pytest.raises(RetinaJError, match=rf"^detect_folder\.ijm stopped: .*{reason}"):
        run(**{name: value.format(**places) for name, value in arguments.items()})
    assert not (tmp_path / "out" / "counts.csv").exists()


def test_an_image_that_does_not_fit_is_named(run: Run, models: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "colour.tif", np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype(np.uint8))
    with pytest.raises(RetinaJError, match=r"colour\.tif: The image has 3 channels"):
        run(model=models / "grey model", input=tmp_path / "in", output=tmp_path / "out")


def test_no_readable_image(run: Run, models: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").touch()
    with pytest.raises(RetinaJError, match=r"None of the images could be read: +a\.tif"):
        run(model=models / "grey model", input=tmp_path / "in", output=tmp_path / "out")


def test_what_the_user_has_is_not_taken(
    run: Run, imagej: Callable[[str], Any], models: Path, images: Path, tmp_path: Path
) -> None:
    imagej("ij.plugin.frame.RoiManager").getInstance().addRoi(imagej("ij.gui.Roi")(1, 2, 3, 4))
    with pytest.raises(RetinaJError, match="The ROI Manager holds ROIs; save them"):
        run(model=models / "grey model", input=images, output=tmp_path / "out")
    assert int(imagej("ij.plugin.frame.RoiManager").getInstance().getCount()) == 1
