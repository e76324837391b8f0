"""Tables, ROI sets, pictures, and folders of images in one go."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import roifile
import tifffile
import xarray as xr
from PIL import Image

from retinaj.annotations.imagej_roi import read_roi_set
from retinaj.boxes import Boxes
from retinaj.colours import class_colour, class_colours
from retinaj.errors import RetinaJError
from retinaj.normalization import FixedScale
from retinaj.prediction.batch import output_names, predict
from retinaj.prediction.detector import Detector
from retinaj.prediction.outputs import count_classes, write_csv
from retinaj.prediction.overlay import LONGEST_SIDE, draw_boxes, draw_overlay, to_rgb

BOXES = Boxes([[1.5, 2, 9.25, 8], [0.1, 0, 4, 4]], [1, 0], ("cell", "debris, old"), [0.9, 0.5])


class BrightSquares:
    """Stands for a network: finds the first bright pixel of each image, and counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0
        self.interrupt_at = -1

    def __call__(self, batch, overlap):
        if self.calls == self.interrupt_at:
            raise KeyboardInterrupt
        self.calls += 1
        found = np.zeros((1, 3, 6), np.float32)
        bright = np.argwhere(batch[0, ..., 0] > 0)
        if len(bright):
            y, x = bright[0]
            found[0, 0] = (x + 0.25, y, x + 4, y + 4.5, 0.9, 1)
            found[0, 1] = (x, y, x + 2, y + 2, 0.3, 2)
        return found


@pytest.fixture
def detector():
    return Detector("squares", ("cell", "debris"), 1, FixedScale(), BrightSquares(), 0.05, 0.5, 100, weights_sha256="a" * 64)


def save(path: Path, at: tuple[int, int] | None = (3, 4)) -> None:
    pixels = np.zeros((20, 30), np.uint8)
    if at:
        pixels[at] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


# --- tables


def test_csv_has_exactly_the_promised_columns_and_every_digit(tmp_path):
    path = tmp_path / "a.csv"
    write_csv(path, BOXES)
    table = rows(path)
    assert list(table[0]) == ["x_min", "y_min", "x_max", "y_max", "score", "class"]
    assert [np.float32(row["x_min"]) for row in table] == BOXES.xyxy[:, 0].tolist()
    assert [row["class"] for row in table] == ["debris, old", "cell"]
    assert count_classes(path) == {"debris, old": 1, "cell": 1}


def test_csv_of_a_stack_counts_planes_as_imagej_does(tmp_path):
    path = tmp_path / "a.csv"
    write_csv(path, BOXES.on_plane(0, 0, 6))
    assert [list(row.items())[6:] for row in rows(path)] == [[("t", "1"), ("z", "7")]] * 2


def test_csv_without_boxes_has_its_header(tmp_path):
    write_csv(tmp_path / "a.csv", Boxes.empty(["cell"], scored=True))
    assert (tmp_path / "a.csv").read_text() == "x_min,y_min,x_max,y_max,score,class\n"
    assert count_classes(tmp_path / "a.csv") == {}


def test_csv_needs_scores_and_foreign_tables_are_refused(tmp_path):
    with pytest.raises(RetinaJError, match="no scores"):
        write_csv(tmp_path / "a.csv", Boxes.empty(["cell"]))
    (tmp_path / "b.csv").write_text("x,y\n1,2\n")
    with pytest.raises(RetinaJError, match=r"b\.csv is not a table of detections"):
        count_classes(tmp_path / "b.csv")


# --- pictures


def grey(height: int, width: int, dtype=np.uint8, fill: int = 0) -> xr.DataArray:
    return xr.DataArray(np.full((height, width), fill, dtype), dims=("y", "x"))


@pytest.mark.parametrize(("size", "expected"), [((10, 20), (80, 160)), ((300, 400), (700, 933)), ((3000, 5000), (1440, 2400))])
def test_pictures_are_readable_at_any_size(size, expected):
    picture = draw_boxes(to_rgb(grey(*size)), Boxes.empty(["cell"], scored=True), legend=False)
    assert (picture.height, picture.width) == expected


def test_frames_lie_on_the_boxes_in_the_colour_of_the_class():
    boxes = Boxes([[100, 200, 300, 500]], [1], ("cell", "debris"), [0.9])
    pixels = np.asarray(draw_boxes(to_rgb(grey(800, 900, fill=128)), boxes, legend=False))
    coloured = np.argwhere((pixels == class_colour(1)).all(axis=2))
    # the label sits above the box
    frame = coloured[coloured[:, 0] >= 200]
    assert frame.min(axis=0).tolist() == [200, 100]
    assert frame.max(axis=0).tolist() == [499, 299]
    assert coloured[:, 0].min() < 200
    assert (pixels[350, 200] == 128).all()


def test_the_picture_of_a_large_image_is_made_without_holding_it():
    boxes = Boxes([[6000, 3000, 9000, 6000]], [0], ("cell",), [0.9])
    image = grey(9000, 12001)
    image[3000:6000, 6000:9000] = 255
    chunked = draw_overlay(image.chunk({"y": 1000}), boxes)
    assert chunked.width == LONGEST_SIDE
    np.testing.assert_array_equal(np.asarray(chunked), np.asarray(draw_overlay(image, boxes)))
    inside = np.asarray(chunked)[700:1100, 1300:1700]  # a fifth of the image, less a margin for the frame
    assert (inside == 255).all()


def test_frames_outside_and_without_area_do_not_fail():
    boxes = Boxes([[-5, -5, 2, 2], [18, 8, 40, 40], [3, 3, 3, 3]], [0, 0, 0], ("cell",), [0.9, 0.8, 0.7])
    assert draw_overlay(grey(10, 20), boxes).width == 160


def test_legend_grows_with_the_classes():
    names = tuple(f"a rather long name of class {at}" for at in range(30))
    few = draw_overlay(grey(300, 300), Boxes.empty(names[:2], scored=True))
    many = draw_overlay(grey(300, 300), Boxes.empty(names, scored=True))
    assert many.height > few.height
    assert many.width == few.width


def test_display_stretches_deep_and_dark_images_only():
    ramp = xr.DataArray(np.linspace(1000, 1400, 10_000).reshape(100, 100).astype(np.uint16), dims=("y", "x"))
    assert to_rgb(ramp).min() == 0
    assert to_rgb(ramp).max() == 255
    bright = xr.DataArray(np.tile(np.arange(200, dtype=np.uint8), (50, 1)), dims=("y", "x"))
    assert to_rgb(bright).max() == 199
    assert to_rgb(bright // 4).max() == 255


def test_rgb_keeps_its_hue_and_other_channels_get_colours():
    stain = xr.DataArray(np.full((3, 9, 9), 200, np.uint8) - np.uint8([0, 60, 20])[:, None, None], dims=("c", "y", "x"))
    assert to_rgb(stain)[0, 0].tolist() == [200, 140, 180]
    two = xr.DataArray(np.zeros((2, 9, 9), np.uint16), dims=("c", "y", "x"))
    two[0, 0, 0] = two[1, 8, 8] = 1000
    assert to_rgb(two)[0, 0].tolist() == [0, 255, 0]
    assert to_rgb(two)[8, 8].tolist() == [255, 0, 255]


def test_float_images_with_gaps_and_flat_images_are_shown():
    values = np.random.default_rng(0).random((20, 20)).astype(np.float32)
    values[3] = np.nan
    values[4] = np.inf
    assert to_rgb(xr.DataArray(values, dims=("y", "x"))).max() == 255
    assert to_rgb(grey(5, 5, np.float32)).max() == 0


def test_stack_shows_the_plane_with_most_boxes():
    stack = xr.DataArray(np.zeros((3, 50, 60), np.uint8), dims=("z", "y", "x"))
    stack[1] = 200
    parts = [BOXES.on_plane(0, 0, 2).select([0]), BOXES.on_plane(0, 0, 1)]
    picture = draw_overlay(stack, Boxes.concatenate(parts))
    assert picture.getpixel((300, 300)) == (200, 200, 200)
    empty = Boxes.empty(["cell"], scored=True).on_plane(0, 0, 0)
    assert draw_overlay(stack, empty).getpixel((300, 300)) == (0, 0, 0)


def test_colours_differ_and_repeat_in_every_run():
    colours = class_colours([f"class {at}" for at in range(40)])
    assert len(set(colours.values())) == 40
    assert all(0 <= value <= 255 for colour in colours.values() for value in colour)


# --- folders


def test_folder_gives_three_files_for_each_image_and_counts(tmp_path, detector):
    images, output = tmp_path / "images", tmp_path / "out"
    save(images / "a.png")
    save(images / "b.png", at=None)
    seen = []
    outcomes = predict(images, detector, output, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert [(outcome.counts, outcome.error, outcome.skipped) for outcome in outcomes] == [
        ({"cell": 1}, None, False),
        ({}, None, False),
    ]
    names = [f"{name}{end}" for name in "ab" for end in (".csv", "_RoiSet.zip", "_overlay.png")]
    assert sorted(path.name for path in output.iterdir()) == sorted(
        [*names, "counts.csv", "prediction.json", "detections.csv", "contact_sheet.png"]
    )
    assert (output / "counts.csv").read_text() == "image,cell,debris,error\na.png,1,0,\nb.png,0,0,\n"
    ((*numbers, class_name),) = (row.values() for row in rows(outcomes[0].csv))
    assert [float(number) for number in numbers] == [4.25, 3, 8, 7.5, pytest.approx(0.9)]
    assert class_name == "cell"
    rois = read_roi_set(outcomes[0].rois)
    assert rois.xyxy.tolist() == [[4.25, 3, 8, 7.5]]
    assert rois.names == ["cell"]
    assert Image.open(outcomes[0].overlay).size == (240, 186)


def test_single_image_stack_and_threshold(tmp_path, detector):
    path = tmp_path / "stack.tif"
    pixels = np.zeros((3, 20, 30), np.uint8)
    pixels[2, 5, 6] = 255
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "ZYX"})
    (outcome,) = predict(path, detector, tmp_path / "out", threshold=0.2)
    assert outcome.counts == {"cell": 1, "debris": 1}
    assert [(row["t"], row["z"]) for row in rows(outcome.csv)] == [("1", "3")] * 2
    assert read_roi_set(outcome.rois).plane.tolist() == [[0, 0, 2], [0, 0, 2]]


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [("ZYX", (3, 20, 30), (3, 0, 0)), ("TYX", (3, 20, 30), (3, 0, 0)), ("TZYX", (2, 3, 20, 30), (0, 2, 3))],
)
def test_rois_of_stacks_have_the_position_that_imagej_looks_at(tmp_path, detector, axes, shape, expected):
    path = tmp_path / "stack.tif"
    pixels = np.zeros(shape, np.uint8)
    pixels[(*(size - 1 for size in shape[:-2]), 5, 6)] = 255
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": axes})
    (outcome,) = predict(path, detector, tmp_path / "out")
    (roi,) = roifile.roiread(outcome.rois)
    assert (roi.position, roi.t_position, roi.z_position) == expected


def test_images_of_one_name_do_not_overwrite_each_other(tmp_path, detector):
    save(tmp_path / "images" / "a.png")
    save(tmp_path / "images" / "A.tif", at=None)
    predict(tmp_path / "images", detector, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").glob("*_png.csv")} == {"a_png.csv"}
    assert count_classes(tmp_path / "out" / "a_png.csv") == {"cell": 1}
    assert count_classes(tmp_path / "out" / "A_tif.csv") == {}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.png", "b.png"], ["a", "b"]),
        (["a.png", "a.tif", "a_png.png"], ["a_png", "a_tif", "a_png-2"]),
        (["a_png.png", "a.png", "a.tif", "a_png-2.tif"], ["a_png", "a_png-2", "a_tif", "a_png-2-2"]),
        (["Counts.png", "counts-2.png", "prediction.tif"], ["Counts-2", "counts-2-2", "prediction-2"]),
    ],
)
def test_output_names_are_unique(names, expected):
    assert output_names([Path(name) for name in names]) == expected


def test_an_image_named_as_the_summary_keeps_its_table(tmp_path, detector):
    save(tmp_path / "images" / "counts.png")
    (outcome,) = predict(tmp_path / "images", detector, tmp_path / "out")
    assert count_classes(outcome.csv) == {"cell": 1}
    assert (tmp_path / "out" / "counts.csv").read_text() == "image,cell,debris,error\ncounts.png,1,0,\n"


def test_an_unreadable_image_is_reported_and_the_rest_goes_on(tmp_path, detector):
    images = tmp_path / "images"
    save(images / "a.png")
    (images / "b.png").write_bytes(b"no image")
    save(images / "c.png")
    outcomes = predict(images, detector, tmp_path / "out")
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert "b.png is not a PNG" in outcomes[1].error
    assert not list((tmp_path / "out").glob("b*"))
    counts = rows(tmp_path / "out" / "counts.csv")
    assert [row["cell"] for row in counts] == ["1", "", "1"]
    assert "not a PNG" in counts[1]["error"]


def test_interrupted_run_goes_on_and_finished_images_are_not_detected_again(tmp_path, detector):
    images, output = tmp_path / "images", tmp_path / "out"
    for name in "abc":
        save(images / f"{name}.png")
    detector.runtime.interrupt_at = 1
    with pytest.raises(KeyboardInterrupt):
        predict(images, detector, output)
    # no half-made file under a final or a temporary name
    assert sorted(path.name for path in output.iterdir()) == [
        "a.csv",
        "a_RoiSet.zip",
        "a_overlay.png",
        "counts.csv",
        "prediction.json",
    ]
    assert (output / "counts.csv").read_text().splitlines()[1:] == ["a.png,1,0,"]
    detector.runtime.interrupt_at = -1
    outcomes = predict(images, detector, output)
    assert [outcome.skipped for outcome in outcomes] == [True, False, False]
    assert detector.runtime.calls == 3
    assert (output / "counts.csv").read_text().splitlines()[1:] == ["a.png,1,0,", "b.png,1,0,", "c.png,1,0,"]


def test_images_with_as_many_boxes_as_the_model_can_give_are_told_apart(tmp_path, detector):
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "b.png", at=None)
    limited = replace(detector, max_detections=2)
    for threshold, expected in ((0.2, [True, False]), (0.5, [False, False])):
        output = tmp_path / f"out{threshold}"
        assert [outcome.full for outcome in predict(tmp_path / "in", limited, output, threshold=threshold)] == expected
        again = predict(tmp_path / "in", limited, output, threshold=threshold)
        assert [outcome.full for outcome in again] == expected
        assert all(outcome.skipped for outcome in again)


def test_the_limit_is_that_of_a_plane_not_of_a_stack(detector):
    two_planes = Boxes.concatenate([BOXES.on_plane(0, 0, 0), BOXES.on_plane(0, 0, 1)])
    assert replace(detector, max_detections=2).is_full(two_planes)
    assert not replace(detector, max_detections=3).is_full(two_planes)
    assert not replace(detector, max_detections=1).is_full(Boxes.empty(("a",), scored=True))


def test_a_newer_image_is_detected_again(tmp_path, detector):
    images, output = tmp_path / "images", tmp_path / "out"
    save(images / "a.png")
    (first,) = predict(images, detector, output)
    save(images / "a.png", at=None)
    later = first.csv.stat().st_mtime + 10
    os.utime(images / "a.png", (later, later))
    (outcome,) = predict(images, detector, output)
    assert (outcome.skipped, outcome.counts) == (False, {})


def test_an_older_image_of_the_same_name_is_detected_again(tmp_path, detector):
    """Copying keeps the date in most file managers."""
    images, output = tmp_path / "images", tmp_path / "out"
    save(images / "a.png")
    (first,) = predict(images, detector, output)
    save(images / "a.png", at=None)
    earlier = first.csv.stat().st_mtime - 1000
    os.utime(images / "a.png", (earlier, earlier))
    (outcome,) = predict(images, detector, output)
    assert (outcome.skipped, outcome.counts) == (False, {})


def test_results_that_another_image_left_under_a_name_are_not_taken_over(tmp_path, detector):
    images, output = tmp_path / "images", tmp_path / "out"
    save(images / "a.png")
    save(images / "a.tif")
    save(images / "a_png.png", at=None)
    predict(images, detector, output)
    (images / "a.tif").unlink()
    # a.png was a_png and is a now, so that a_png is for a_png.png
    assert {each.csv.name: each.counts for each in predict(images, detector, output)} == {"a.csv": {"cell": 1}, "a_png.csv": {}}


def test_results_of_another_source_are_not_mixed_in(tmp_path, detector, monkeypatch):
    save(tmp_path / "A" / "same.png")
    save(tmp_path / "B" / "same.png", at=None)
    os.utime(tmp_path / "B" / "same.png", (1, 1))
    predict(tmp_path / "A", detector, tmp_path / "out")
    for other in (tmp_path / "B", tmp_path / "A" / "same.png"):
        with pytest.raises(RetinaJError, match=r"results of another source: source was .*A' and is .*Choose a new folder"):
            predict(other, detector, tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    (again,) = predict(Path("A"), detector, Path("out"))
    assert again.skipped


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"threshold": 0.5}, "threshold was 0.4 and is 0.5"),
        ({"overlap": 0.3}, "overlap was 0.5 and is 0.3"),
        ({"weights_sha256": "b" * 64}, "weights_sha256 was 'aaa"),
    ],
)
def test_other_settings_do_not_mix_into_old_results(tmp_path, detector, change, reason):
    save(tmp_path / "a.png")
    predict(tmp_path / "a.png", detector, tmp_path / "out")
    options = {key: value for key, value in change.items() if key != "weights_sha256"}
    other = Detector(**{**detector.__dict__, "weights_sha256": change.get("weights_sha256", detector.weights_sha256)})
    with pytest.raises(RetinaJError, match=reason):
        predict(tmp_path / "a.png", other, tmp_path / "out", **options)


@pytest.mark.parametrize("content", ["{", "[]", '"text"', "[" * 100_000])
def test_foreign_and_damaged_output_folders_are_left_alone(tmp_path, detector, content):
    save(tmp_path / "a.png")
    output = tmp_path / "out"
    output.mkdir()
    (output / "prediction.json").write_text(content)
    with pytest.raises(RetinaJError, match=r"damaged|other settings"):
        predict(tmp_path / "a.png", detector, output)
    with pytest.raises(RetinaJError, match="holds other things"):
        predict(tmp_path / "a.png", detector, tmp_path)
    assert not (tmp_path / "counts.csv").exists()


def test_impossible_requests(tmp_path, detector):
    with pytest.raises(RetinaJError, match="does not exist"):
        predict(tmp_path / "gone", detector, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RetinaJError, match="has no images"):
        predict(tmp_path / "empty", detector, tmp_path / "out")
    save(tmp_path / "a.png")
    for options in ({"threshold": 0}, {"overlap": 1.5}, {"threshold": float("nan")}):
        with pytest.raises(RetinaJError, match="expected a number above 0"):
            predict(tmp_path / "a.png", detector, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_settings_are_written_for_people_to_read(tmp_path, detector):
    save(tmp_path / "a.png")
    predict(tmp_path / "a.png", detector, tmp_path / "out", threshold=0.25)
    settings = json.loads((tmp_path / "out" / "prediction.json").read_text())
    assert settings["model"] == "squares"
    assert settings["threshold"] == 0.25
