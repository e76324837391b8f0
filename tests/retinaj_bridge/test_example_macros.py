"""The macros that come with RetinaJ, apart from detect_folder.ijm: each is run, with a model whose boxes are known."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from written_images import write_image

import retinaj_bridge
from retinaj.annotations.imagej_roi import read_roi_set
from retinaj.errors import RetinaJError
from retinaj_bridge.fiji.trial_model import CLASS_NAMES, trial_image, write_trial_package

Run = Callable[..., str]
Rows = list[dict[str, str]]

# (y, x, brightness) on three planes; those at even x are "left", the others "right".
PLACES = (((10, 20, 255), (30, 51, 200), (50, 5, 160)), ((40, 40, 180),), ((12, 13, 220), (14, 60, 150)))
SIDE = 8  # of a box


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with images and a model."""
    write_trial_package(tmp_path / "trial model.zip")
    write_image(tmp_path / "plane.tif", planes()[0])
    tifffile.imwrite(tmp_path / "time.tif", planes(), imagej=True, metadata={"axes": "TYX", "finterval": 30.0})
    write_image(tmp_path / "depth.tif", planes(), "ZYX")
    return tmp_path


def planes() -> NDArray[np.uint8]:
    return np.stack([trial_image(*places) for places in PLACES])


@pytest.fixture
def run(imagej: Callable[[str], Any], repository: Path, folder: Path) -> Run:
    def run_it(name: str, image: str, **arguments: object) -> str:
        given = {"model": folder / "trial model.zip", "image": folder / image, "threshold": 0.55, **arguments}
        lines = [f"{key.rstrip('_')}={value}" for key, value in given.items()]
        return retinaj_bridge.run_macro(repository / "macros" / name, lines).printed

    return run_it


def table(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_detect_and_measure(run: Run, folder: Path) -> None:
    assert run("detect_and_measure.ijm", "time.tif", output=folder / "out").strip() == "6 objects measured"
    rows = table(folder / "out" / "measurements.csv")
    expected = [(frame, *place) for frame, places in enumerate(PLACES, 1) for place in sorted(places, key=lambda at: -at[2])]
    assert len(rows) == len(expected)
    for row, (frame, y, x, brightness) in zip(rows, expected, strict=True):
        assert (row["frame"], row["class"]) == (str(frame), CLASS_NAMES[x % 2])
        assert (float(row["x_min"]), float(row["y_max"])) == (x + 0.5 - SIDE / 2, y + 0.5 + SIDE / 2)
        # One bright pixel in a black box, which has whole pixels.
        assert (float(row["min"]), float(row["max"])) == (0, brightness)
        assert float(row["mean"]) * float(row["area"]) == pytest.approx(brightness, rel=1e-3)
    assert len(read_roi_set(folder / "out" / "RoiSet.zip", CLASS_NAMES)) == len(expected)


def test_count_over_time(run: Run, folder: Path) -> None:
    assert run("count_over_time.ijm", "time.tif", output=folder / "out").strip() == "3 frames counted"
    rows = table(folder / "out" / "counts.csv")
    assert [row["total"] for row in rows] == ["3", "1", "2"]
    assert [row["left"] for row in rows] == ["1", "1", "1"]
    assert [float(row["time (s)"]) for row in rows] == [0, 30, 60]
    with Image.open(folder / "out" / "counts.png") as plot:
        colours = {tuple(colour[:3]) for _, colour in plot.convert("RGB").getcolors(100_000) or []}  # pyright: ignore
    assert {(0, 114, 178), (213, 94, 0), (0, 0, 0)} <= colours  # a line for each class, and for all


def test_slices_without_frames_are_taken_for_frames(run: Run, folder: Path) -> None:
    run("count_over_time.ijm", "depth.tif", output=folder / "out")
    rows = table(folder / "out" / "counts.csv")
    assert [(row["frame"], row["total"]) for row in rows] == [("1", "3"), ("2", "1"), ("3", "2")]


def test_filter_by_size_and_class(run: Run, folder: Path) -> None:
    printed = run("filter_by_size_and_class.ijm", "plane.tif", output=folder / "out", class_="right", largest=SIDE * SIDE)
    assert printed.strip() == "2 of 3 objects kept"
    assert [row["class"] for row in table(folder / "out" / "boxes.csv")] == ["right", "right"]
    kept = read_roi_set(folder / "out" / "RoiSet.zip", CLASS_NAMES)
    np.testing.assert_array_equal(kept.xyxy[:, 0], [51.5 - SIDE / 2, 5.5 - SIDE / 2])


def test_filter_keeps_nothing(run: Run, folder: Path) -> None:
    printed = run("filter_by_size_and_class.ijm", "plane.tif", output=folder / "out", smallest=SIDE * SIDE + 1)
    assert printed.strip() == "0 of 3 objects kept"


def test_measure_other_channel(run: Run, folder: Path) -> None:
    """The second channel says where it was read: its pixels are 2 y, and the first channel's boxes are found all the same."""
    second = np.repeat(2 * np.arange(64, dtype=np.uint8)[:, np.newaxis], 96, axis=1)
    channels = np.stack([np.stack([plane, second]) for plane in planes()])
    write_image(folder / "channels.tif", channels, "TCYX")
    run("measure_other_channel.ijm", "channels.tif", output=folder / "out", search=1, measure=2)
    rows = table(folder / "out" / "measurements.csv")
    assert len(rows) == sum(map(len, PLACES))
    for row in rows:
        top, bottom = round(float(row["y_min"]) + 1e-6), round(float(row["y_max"]) + 1e-6)
        mean = second[top:bottom].mean()
        assert float(row["mean of channel 2"]) == pytest.approx(mean)
        assert float(row["max of channel 2"]) == second[bottom - 1, 0]
        assert float(row["mean above background"]) == pytest.approx(mean - np.quantile(second, 0.5, method="higher"))


@pytest.mark.parametrize(
    ("macro", "arguments", "reason"),
    [
        ("detect_and_measure.ijm", {"modell": "x"}, 'does not know the argument "modell=x"; it takes model=, image=, output='),
        ("detect_and_measure.ijm", {"threshold": "high"}, "threshold is 'high'; expected a number"),
        ("count_over_time.ijm", {}, "has one frame only; open a time lapse"),
        ("filter_by_size_and_class.ijm", {"class_": "cell"}, "The model has no class cell; it has left, right"),
        ("filter_by_size_and_class.ijm", {"smallest": "tiny"}, "smallest is tiny; expected an area, such as 25"),
        ("measure_other_channel.ijm", {"measure": 2}, "measure is 2; expected the number of a channel, 1 to 1"),
    ],
)
def test_wrong_arguments(run: Run, macro: str, arguments: dict[str, object], reason: str) -> None:
    with pytest.raises(RetinaJError, match=rf"^{macro} stopped: .*{re.escape(reason)}"):
        run(macro, "plane.tif", **arguments)


def test_nothing_is_overwritten(run: Run, folder: Path) -> None:
    (folder / "RoiSet.zip").write_text("mine")
    with pytest.raises(RetinaJError, match=r"RoiSet\.zip exists already and is not overwritten"):
        run("detect_and_measure.ijm", "plane.tif", output=folder)
    assert (folder / "RoiSet.zip").read_text() == "mine"
    assert not (folder / "measurements.csv").exists()


def test_what_the_user_has_is_not_taken(run: Run, imagej: Callable[[str], Any]) -> None:
    imagej("ij.plugin.frame.RoiManager").getInstance().addRoi(imagej("ij.gui.Roi")(1, 2, 3, 4))
    with pytest.raises(RetinaJError, match="The ROI Manager holds ROIs; save them"):
        run("detect_and_measure.ijm", "plane.tif")
    assert int(imagej("ij.plugin.frame.RoiManager").getInstance().getCount()) == 1


def test_macros_read_the_same_in_every_encoding_and_share_their_helpers(repository: Path) -> None:
    """ImageJ reads macros in its plugins folder as Latin-1, and has no way to share functions between them."""
    seen: dict[str, str] = {}
    for macro in sorted((repository / "macros").glob("*.ijm")):
        text = macro.read_text(encoding="ascii")
        if macro.name == "detect_folder.ijm":
            continue
        for name, body in re.findall(r"^function (\w+)(\(.*?^})", text, re.M | re.S):
            if name not in ("column", "number", "isClass"):
                assert seen.setdefault(name, body) == body, (macro.name, name)
    assert set(seen) == {"option", "checkNames", "inWindow", "requireEmpty", "openImage", "absolute", "outputFolder"}
