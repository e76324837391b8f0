"""Describing data sets: the numbers are right, hints come where a number supports them, and the page holds what it says."""

from __future__ import annotations

import json
import re
import tracemalloc
import xml.etree.ElementTree as ElementTree
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from retinaj.annotations import pascal_voc
from retinaj.boxes import Boxes, iou_matrix
from retinaj.cli import app
from retinaj.dataset import Dataset, Sample, load_dataset
from retinaj.describing import brightness, describe, objects, survey_dataset
from retinaj.describing.examples import choose_examples
from retinaj.describing.objects import nearest_iou
from retinaj.describing.sheet import draw_sheet
from retinaj.errors import RetinaJError
from retinaj.report.description_figures import draw_all

CLASSES = ("cell", "debris")


def make(folder: Path, boxes: list[Boxes], pixels: np.ndarray | None = None) -> Dataset:
    """A data set with an image for each Boxes."""
    samples = []
    for at, each in enumerate(boxes):
        path = folder / f"image {at}.tif"
        tifffile.imwrite(path, np.full((100, 120), 50 + at, np.uint8) if pixels is None else pixels)
        samples.append(Sample(path.stem, path, each))
    return Dataset(boxes[0].class_names, tuple(samples), ("a.xml: <b>a note</b>",))


def squares(count: int, side: float = 20, label: int = 0, class_names: tuple[str, ...] = CLASSES) -> Boxes:
    """Boxes beside each other, in rows."""
    corner = np.array([(at % 5 * 22, at // 5 * 22) for at in range(count)], np.float32).reshape(-1, 2)
    return Boxes(np.concatenate([corner, corner + side], axis=1), np.full(count, label), class_names)


class TestNeighbours:
    corners = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 15), st.integers(1, 15), st.integers(0, 1))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(corners, max_size=150))
    def test_as_comparing_each_with_each(self, rows):
        values = np.array(rows, np.float32).reshape(-1, 5)
        xyxy = np.concatenate([values[:, :2], values[:, :2] + values[:, 2:4]], axis=1)
        boxes = Boxes(xyxy, values[:, 4].astype(np.int32), CLASSES)
        iou = iou_matrix(xyxy, xyxy)
        np.fill_diagonal(iou, 0)
        neighbour, rival = nearest_iou(boxes)
        np.testing.assert_allclose(neighbour, iou.max(axis=1, initial=0))
        same = boxes.label[:, None] == boxes.label
        np.testing.assert_allclose(rival, np.where(same, iou, 0).max(axis=1, initial=0))

    def test_of_very_many_on_top_of_each_other_some_are_compared(self, monkeypatch):
        boxes = Boxes(np.tile(np.array([[0, 0, 9, 9]], np.float32), (1000, 1)), np.zeros(1000), CLASSES)
        monkeypatch.setattr(objects, "_MOST_PAIRS", 250_000)
        neighbour, _ = nearest_iou(boxes)
        assert 100 < np.isnan(neighbour).sum() < 900
        assert (neighbour[~np.isnan(neighbour)] == 1).all()


class TestNumbers:
    def test_classes_and_images(self, tmp_path):
        boxes = [squares(4), squares(2, label=1), squares(0)]
        found = survey_dataset(make(tmp_path, boxes)).description
        assert (found.images, found.empty_images, found.measured_images) == (3, 1, 3)
        assert [(each.name, each.objects, each.images, each.share) for each in (found.overall, *found.classes)] == [
            ("all", 6, 2, 1.0),
            ("cell", 4, 1, 0.666667),
            ("debris", 2, 1, 0.333333),
        ]
        assert found.overall.per_image.median == 2
        assert found.classes[0].per_image.median == 4
        assert (found.overall.width.smallest, found.overall.aspect.largest, found.overall.touching) == (20, 1, 0)
        assert [(size.width, size.height, size.channels, size.pixel_type, size.images) for size in found.sizes] == [
            (120, 100, 1, "uint8", 3)
        ]
        assert found.notes == ("a.xml: <b>a note</b>",)

    def test_crowding(self, tmp_path):
        boxes = Boxes([[0, 0, 10, 10], [0, 0, 10, 8], [8, 0, 18, 10], [50, 50, 60, 60]], [0, 0, 1, 1], CLASSES)
        found = survey_dataset(make(tmp_path, [boxes])).description
        assert [(each.touching, each.merged) for each in found.classes] == [(1, 1), (0.5, 0)]

    def test_the_anchors_are_those_of_training(self, tmp_path):
        from retinaj.network.anchors import fit_anchors

        data = make(tmp_path, [squares(9, 8), squares(6, 17, 1)])
        found = survey_dataset(data).description
        fit = fit_anchors(*(np.concatenate([getattr(s.boxes, name) for s in data.samples]) for name in ("xyxy", "label")))
        assert found.overall.covered == pytest.approx(fit.coverage, abs=1e-5)
        assert (found.anchors.min_level, found.anchors.max_level) == (fit.config.min_level, fit.config.max_level)
        assert found.anchors.smallest == fit.config.base * 2**fit.config.min_level * fit.downsampling

    @pytest.mark.parametrize(
        ("pixels", "expected"),
        [
            (np.arange(100, dtype=np.uint8).reshape(10, 10), [("grey", 0, 49.5, 99, 0)]),
            (np.full((10, 10), 65535, np.uint16), [("grey", 65535, 65535, 65535, 1)]),
            (np.array([[0, np.nan, np.inf, 1]], np.float32), [("grey", 0, 0.5, 1, 0)]),
            (np.full((4, 4), np.nan, np.float32), [("grey", 0, 0, 0, 0)]),
            (np.full((10, 10, 3), 7, np.uint8), [("grey", 7, 7, 7, 0)]),
            (
                np.full((10, 10, 3), (1, 2, 255), np.uint8),
                [("red", 1, 1, 1, 0), ("green", 2, 2, 2, 0), ("blue", 255, 255, 255, 1)],
            ),
        ],
    )
    def test_brightness(self, tmp_path, pixels, expected):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
        measured = brightness.measure_brightness([Sample("a", path, squares(1))])
        found = brightness.summarise_brightness(measured)
        assert [(each.name, each.smallest, each.median, each.largest, each.saturated) for each in found] == expected

    def test_only_some_of_many_images_are_read(self, tmp_path, monkeypatch):
        monkeypatch.setattr(brightness, "_MOST_IMAGES", 3)
        done: list[tuple[int, int]] = []
        found = survey_dataset(make(tmp_path, [squares(1)] * 7), lambda *at: done.append(at))
        assert [each.sample.name for each in found.brightness] == ["image 0", "image 3", "image 6"]
        assert done == [(1, 3), (2, 3), (3, 3)]


class TestHints:
    def hints(self, folder: Path, boxes: list[Boxes], pixels: np.ndarray | None = None) -> str:
        return "\n".join(survey_dataset(make(folder, boxes, pixels)).description.hints)

    def test_none_for_good_data(self, tmp_path):
        corner = np.array([(at * 45, 3 * at) for at in range(5)], np.float32)
        boxes = Boxes(np.concatenate([corner, corner + 40], axis=1), np.zeros(5), CLASSES)
        assert self.hints(tmp_path, [boxes] * 20) == ""

    def test_few_images_few_and_unbalanced_objects_empty_images(self, tmp_path):
        found = self.hints(tmp_path, [*([squares(20)] * 10), squares(2, label=1), squares(0), squares(0)])
        assert "There are only 13 images." in found
        assert "There are few objects of debris (2 in 1 image)." in found
        assert "cell are 99 % of all objects, debris only 1 %." in found
        assert "2 of the 13 images (15 %) have no objects." in found

    def test_small_long_and_merged_objects(self, tmp_path):
        long = Boxes([[5, at * 9, 115, at * 9 + 5] for at in range(10)], np.zeros(10), CLASSES)
        twice = Boxes(np.repeat(squares(10).xyxy, 2, axis=0), np.ones(20), CLASSES)
        found = self.hints(tmp_path, [long, twice])
        assert "Boxes smaller than 12 pixels on their shorter side: 100 % of cell." in found
        assert "cell: 100 % of the boxes have no anchor that fits well" in found
        assert "100 % are at least twice as long as wide" in found
        assert "debris: 100 % of the boxes overlap another one of their class by more than half (IoU > 0.5)." in found

    def test_usual_anchors_crowds_and_different_sizes(self, tmp_path):
        many = Boxes([[x, y, x + 4, y + 4] for x in range(0, 100, 5) for y in range(0, 100, 5)], np.zeros(400), CLASSES)
        found = self.hints(tmp_path, [many, *([squares(4)] * 19)])
        assert "The fullest image has 400 objects." in found
        mixed = self.hints(tmp_path, [squares(4, 8 if at % 2 else 40) for at in range(30)])
        assert "in a tenth of the images the typical box has a side of at most 8 pixels, in a tenth at least 40." in mixed
        tiny = self.hints(tmp_path, [squares(5, 14)] * 20)
        assert "The usual anchors of a RetinaNet would meet only 0 % of cell; those that `retinaj train` chooses" in tiny

    def test_overexposed_and_uneven_images_and_mixed_types(self, tmp_path):
        half = np.full((100, 120), 10, np.uint8)
        half[:50] = 255
        half[-1] = 0
        assert "In grey, 50 % of the pixels have the highest value that there is" in self.hints(
            tmp_path, [squares(5)] * 20, half
        )
        data = make(tmp_path, [squares(5)] * 20)
        for at, sample in enumerate(data.samples):
            tifffile.imwrite(sample.image_path, np.full((100, 120), 10 if at < 10 else 200, np.uint8))
        found = "\n".join(survey_dataset(data).description.hints)
        assert "at 10 or less in a tenth of the images, and at 200 or more in another. 8-bit values go into" in found
        tifffile.imwrite(data.samples[0].image_path, np.full((100, 120), 10, np.uint16))
        assert "different pixel types (uint16, uint8)" in "\n".join(survey_dataset(data).description.hints)


def test_examples_name_all_that_they_stand_for(tmp_path):
    overlapping = Boxes([[0, 0, 10, 10], [0, 0, 10, 5]], [0, 0], CLASSES)
    data = make(tmp_path, [squares(1), squares(2), squares(2), squares(9, 40, 1), squares(1, 3), overlapping, squares(0)])
    assert [(each.title, each.sample.name) for each in choose_examples(survey_dataset(data))] == [
        ("Typical: 2 objects · Most of the rarest class, cell: 2", "image 1"),
        ("Most objects: 9 · Largest object: about 40 pixels", "image 3"),
        ("Smallest object: about 3 pixels", "image 4"),
        ("Strongest overlap of two objects: IoU 0.50", "image 5"),
    ]


def test_the_page_needs_nothing_but_itself(tmp_path):
    names = ('<script>alert("1")</script>', "$\\frac{1}$ & _x {0}", "_hidden", *"abcdefghijklmnopqr")
    boxes = [squares(6, label=at % len(names), class_names=names) for at in range(len(names) + 3)]
    (tmp_path / "images").mkdir()
    survey = describe(make(tmp_path / "images", boxes), "A <b>title</b>", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["description.json", "examples.png", "report.html"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>title" not in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    for name in names:
        assert name in unescape(page)
    assert "a.xml: <b>a note</b>" in unescape(page)
    assert "<code>retinaj train</code>" in page
    for svg, _ in draw_all(survey):
        assert "currentColor" in svg
        ElementTree.fromstring(svg)
    record = json.loads((tmp_path / "out" / "description.json").read_text(encoding="utf-8"))
    assert record["overall"]["objects"] == 6 * len(boxes)
    assert record["hints"] == list(survey.description.hints)
    with Image.open(tmp_path / "out" / "examples.png") as sheet:
        assert sheet.width in (768, 1512, 2256)
    with pytest.raises(RetinaJError, match="already exists"):
        describe(survey.dataset, "again", tmp_path / "out")


def test_a_damaged_image_is_named_and_leaves_nothing(tmp_path):
    data = make(tmp_path, [squares(3)] * 2)
    data.samples[1].image_path.write_bytes(data.samples[1].image_path.read_bytes()[:300])
    with pytest.raises(RetinaJError, match=r"image 1\.tif"):
        describe(data, "", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_image_of_two_gigabytes_is_not_loaded(tmp_path):
    images, annotations = tmp_path / "images", tmp_path / "annotations"
    images.mkdir()
    annotations.mkdir()
    side = 46_342
    pixels = tifffile.memmap(images / "slide.tif", shape=(side, side), dtype=np.uint8)  # a sparse file
    del pixels
    Image.fromarray(np.full((100, 120), 9, np.uint8)).save(images / "small.png")
    pascal_voc.write(annotations / "slide.xml", squares(5), image_name="slide.tif", size=(side, side))
    pascal_voc.write(annotations / "small.xml", squares(3), image_name="small.png", size=(120, 100))
    data = load_dataset(images, annotations)
    tracemalloc.start()
    try:
        survey = survey_dataset(data)
        examples = choose_examples(survey)
        draw_sheet(examples, data.class_names)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2**20
    assert survey.description.overall.objects == 8
    assert survey.description.measured_images == 1
    assert {size.width for size in survey.description.sizes} == {side, 120}
    assert [each.sample.name for each in examples] == ["small"]


REAL = {
    "bccd": ("bccd/BCCD/JPEGImages", "bccd/BCCD/Annotations", "bccd/BCCD/ImageSets/Main/train.txt"),
    "nanowell": ("nanowell/JPEGImages", "nanowell/Annotations", None),
    "nuclei_fluo": ("nuclei_fluo/images", "nuclei_fluo/val.json", None),
}


@pytest.mark.parametrize("name", REAL)
def test_real_data(shared_data, tmp_path, monkeypatch, name):
    monkeypatch.setattr(brightness, "_MOST_IMAGES", 30)
    images, annotations, listed = REAL[name]
    arguments = ["describe", str(shared_data / images), str(shared_data / annotations), "--output", str(tmp_path / "out")]
    arguments += ["--names", str(shared_data / listed)] if listed else []
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "out" / "description.json").read_text(encoding="utf-8"))
    classes = {each["name"]: each for each in record["classes"]}
    for hint in record["hints"]:
        assert hint in done.output
    if name == "bccd":
        # the usual anchors miss most platelets, those of training miss nearly nothing
        assert record["overall"]["covered_by_usual"] == pytest.approx(0.940, abs=0.001)
        assert classes["Platelets"]["covered_by_usual"] == pytest.approx(0.206, abs=0.001)
        assert record["overall"]["covered"] == pytest.approx(0.995, abs=0.003)
        assert [each["name"] for each in record["brightness"]] == ["red", "green", "blue"]
        assert "would meet only 21 % of Platelets" in done.output
    elif name == "nanowell":
        assert record["empty_images"] == 13
        assert "13 of the 343 images (4 %) have no objects" in done.output
        assert [each["name"] for each in record["brightness"]] == ["grey"]
    else:
        assert len(record["sizes"]) == 3
        assert "% of nucleus" in done.output
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1
    assert "already exists" in again.output
