"""Corrected copies: what is safe to correct is, what is not is left and said, and the originals stay as they are."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from fields import field, save, write_fields

from retinaj.annotations import FORMATS, Reading, coco, pascal_voc, read_annotations
from retinaj.boxes import Boxes
from retinaj.checking.fix import write_fixed
from retinaj.checking.parts import Part
from retinaj.checking.run import check_dataset
from retinaj.errors import RetinaJError

GOOD = [[5, 6, 30, 40], [40, 40, 80, 70]]
# duplicate, shifted copy, nearly the same but not a copy, no area, a click, swapped, over the border, outside
BAD = [
    [5, 6, 30, 40],
    [41, 41, 81, 71],
    [6, 6, 31, 38],
    [5, 5, 5, 9],
    [7, 7, 8, 8],
    [90, 60, 70, 20],
    [80, 80, 110, 96],
    [200, 200, 210, 210],
]
FIXED = [*GOOD, [6, 6, 31, 38], [70, 20, 90, 60], [80, 80, 96, 96], [200, 200, 210, 210]]


@pytest.fixture
def folders(tmp_path):
    images, annotations = write_fields(tmp_path, 12)
    boxes = Boxes([*GOOD, *BAD], [0] * 10, ("Cell",))
    pascal_voc.write(annotations / "f1.xml", boxes, image_name="f1.png", size=(96, 96), channels=3)
    return images, annotations


def fix(images, annotations, target):
    parts = [Part(path.stem, path) for path in (annotations if isinstance(annotations, list) else [annotations])]
    return write_fixed(check_dataset(images, parts, compare=False), target)


def test_the_copy_is_corrected_and_everything_is_written_down(folders, tmp_path):
    images, annotations = folders
    before = {path.name: path.read_bytes() for path in annotations.iterdir()}
    target = tmp_path / "fixed"
    fixed = fix(images, annotations, target)
    assert {path.name: path.read_bytes() for path in annotations.iterdir()} == before
    assert sorted(path.name for path in target.iterdir()) == ["annotations", "changes.json", "changes.txt"]
    read = {each.stem: each for each in read_annotations(target / "annotations")}
    assert read["f1"].boxes.xyxy.tolist() == FIXED
    assert read["f1"].boxes.class_names == ("cell",)
    assert read["f1"].depth == 1
    assert len(read) == 12
    changes = [(each.check, each.place) for each in fixed.changes if each.check != "class-spelling"]
    assert changes == [
        ("depth-differs", ""),
        ("swapped-corners", "object 8"),
        ("over-border", "object 9"),
        ("zero-area", "object 6"),
        ("zero-area", "object 7"),
        ("duplicate-box", "object 3"),
        ("near-duplicate-box", "object 4"),
    ]
    assert [(each.check, each.place) for each in fixed.left] == [
        ("near-duplicate-box", "object 1 and object 5"),
        ("outside", "object 10"),
    ]
    assert len(fixed.changes) == 7 + 10
    again = check_dataset(images, [Part("all", target / "annotations")], compare=False)
    assert again.counts() == {"near-duplicate-box": 1, "outside": 1}
    stored = json.loads((target / "changes.json").read_text(encoding="utf-8"))
    assert (stored["format"], stored["version"], len(stored["changes"])) == ("retinaj-fix", 1, 17)
    assert stored["left"][-1]["check"] == "outside"
    text = (target / "changes.txt").read_text(encoding="utf-8")
    assert "f1.xml: object 4 (Cell; 41, 41, 81, 71) is removed: it is a shifted copy of object 2" not in text
    assert "object 4 (cell; 41, 41, 81, 71) is removed: it is a shifted copy of object 2" in text
    assert "Left as it is, for you to decide" in text


def test_many_swapped_corners_are_left_because_they_may_mean_something_else(folders, tmp_path):
    images, annotations = folders
    for at in range(12):
        boxes = Boxes([[40, 40, 20, 20]] * 2, [0, 0], ("cell",))
        pascal_voc.write(annotations / f"f{at}.xml", boxes, image_name=f"f{at}.png", size=(96, 96), channels=1)
    fixed = fix(images, annotations, tmp_path / "fixed")
    assert fixed.changes == ()
    assert {each.check for each in fixed.left} == {"swapped-corners"}


def test_annotations_for_another_size_are_left_and_sizes_put_right_where_boxes_fit(folders, tmp_path):
    images, annotations = folders
    pascal_voc.write(annotations / "f1.xml", Boxes(GOOD, [0, 0], ("cell",)), image_name="f1.png", size=(99, 99), channels=1)
    other = Boxes([[100, 100, 150, 150]], [0], ("cell",))
    pascal_voc.write(annotations / "f2.xml", other, image_name="f2.png", size=(192, 192), channels=1)
    fixed = fix(images, annotations, tmp_path / "fixed")
    assert [each.check for each in fixed.changes] == ["size-differs"]
    assert [each.check for each in fixed.left] == ["other-size"]
    read = {each.stem: each for each in read_annotations(tmp_path / "fixed" / "annotations")}
    assert (read["f1"].size, read["f2"].size) == ((96, 96), (192, 192))
    assert read["f2"].boxes.xyxy.tolist() == other.xyxy.tolist()


def test_what_cannot_be_read_is_not_in_the_copy_and_is_said(folders, tmp_path):
    images, annotations = folders
    (annotations / "f1.xml").write_text("<annotation><object><name>cell</name></object></annotation>")
    (annotations / "f2.xml").write_text("<annotation")
    (annotations / "f3.xml").unlink()
    boxes = Boxes([*GOOD, [5, 5, 5, 9]], [0, 0, 0], ("cell",))
    pascal_voc.write(annotations / "f4.xml", boxes, image_name="f4.png", size=(96, 96))
    pascal_voc.write(annotations / "lost.xml", Boxes(GOOD, [0, 0], ("cell",)), image_name="lost.png", size=(96, 96))
    fixed = fix(images, annotations, tmp_path / "fixed")
    copied = {each.stem: len(each.boxes) for each in read_annotations(tmp_path / "fixed" / "annotations")}
    assert copied == {"lost": 2, "f1": 0} | {"f4": 2} | {f"f{at}": 3 for at in (0, *range(5, 12))}
    assert [each.check for each in fixed.left] == [
        "unreadable-annotation",
        "unreadable-object",
        "missing-image",
        "missing-annotation",
    ]


# A label image has one object per pixel, so that it cannot hold a double box in the first place.
WITH_DOUBLES = [each for each in FORMATS if each.name != "labels"]


@pytest.mark.parametrize("chosen", WITH_DOUBLES, ids=lambda each: each.name)
def test_every_format_is_fixed_in_its_own(folders, tmp_path, chosen):
    from retinaj.annotations import Annotation, find_format, write_annotations

    images, _ = folders
    source = tmp_path / f"source{chosen.suffix if chosen.layout == 'file' else ''}"
    boxes = Boxes([*GOOD, GOOD[0]], [0, 0, 0], ("cell",))
    entries = [Annotation(tmp_path / "x", f"f{at}.png", boxes, (96, 96), depth=1) for at in range(3)]
    write_annotations(source, entries, chosen, images=images)
    fixed = fix(images, source, tmp_path / "fixed")
    copy = tmp_path / "fixed" / (f"{source.name}.json" if chosen.as_pixels else source.name)
    assert find_format(copy).name == ("coco" if chosen.as_pixels else chosen.name)
    assert [each.check for each in fixed.changes] == ["duplicate-box"] * 3
    assert check_dataset(images, [Part("all", copy)], compare=False).of("duplicate-box") == []


def test_several_annotations_keep_their_names_and_may_not_collide(folders, tmp_path):
    images, _ = folders
    files = [tmp_path / "train.json", tmp_path / "test.json", tmp_path / "sub" / "test.json"]
    for at, file in enumerate(files):
        file.parent.mkdir(exist_ok=True)
        coco.write(file, [(f"f{at}.png", (96, 96), Boxes([*GOOD, GOOD[0]], [0] * 3, ("cell",)))])
    fix(images, files[:2], tmp_path / "fixed")
    assert sorted(path.name for path in (tmp_path / "fixed").iterdir()) == [
        "changes.json",
        "changes.txt",
        "test.json",
        "train.json",
    ]
    with pytest.raises(RetinaJError, match=r"called test\.json"):
        fix(images, files, tmp_path / "other")
    with pytest.raises(RetinaJError, match="already exists"):
        fix(images, files[:2], tmp_path / "fixed")
    files[0].write_text("{}")
    with pytest.raises(RetinaJError, match="nothing to fix"):
        fix(images, files[0], tmp_path / "third")
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize("stack", [False, True])
def test_label_images_are_corrected_as_exact_boxes_of_the_same_class(tmp_path, stack):
    images, labels = tmp_path / "images", tmp_path / "masks"
    labels.mkdir()
    for at in range(2):
        pixels = np.zeros((96, 96), np.uint16)
        pixels[10:30, 10:40], pixels[20:50, 35:60], pixels[25:28, 37:39] = 1, 2, 3
        if at:
            pixels[80, 80] = 4  # a click
        if stack:
            save_stack(images / f"f{at}.tif", np.stack([field(at, 96)] * 2))
            save_stack(labels / f"f{at}.tif", np.stack([pixels, pixels]))
        else:
            save(images / f"f{at}.png", field(at, 96))
            save(labels / f"f{at}.png", pixels)
    parts = [Part("all", labels)]
    result = check_dataset(images, parts, reading=Reading(format="labels"), compare=False)
    fixed = write_fixed(result, tmp_path / "fixed")
    name = "masks.csv" if stack else "masks.json"
    assert len(fixed.changes) == (2 if stack else 1)
    assert sorted(each.name for each in (tmp_path / "fixed").iterdir()) == sorted(["changes.json", "changes.txt", name])
    assert f"{name}: label images" in fixed.losses[0]
    assert fixed.losses[0] in (tmp_path / "fixed" / "changes.txt").read_text(encoding="utf-8")
    before = read_annotations(labels, Reading(format="labels"))
    after = {each.image_name: each for each in read_annotations(tmp_path / "fixed" / name)}
    for at, entry in enumerate(before):
        kept = entry.boxes.select(entry.boxes.area > 1)
        copy = after[f"f{at}.{'tif' if stack else 'png'}"].boxes
        assert copy.class_names == ("object",)
        assert copy.xyxy.tolist() == kept.xyxy.tolist()
        assert not stack or copy.plane.tolist() == kept.plane.tolist()
    (labels / f"f1.{'tif' if stack else 'png'}").unlink()
    clean = check_dataset(images, parts, reading=Reading(format="labels"), compare=False)
    assert write_fixed(clean, tmp_path / "other").changes == ()
    assert not (tmp_path / "other").exists()


def save_stack(path, pixels) -> None:
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "ZYX"})
