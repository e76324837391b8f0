"""Each thing that a check can find, on made data, and nothing on data that are clean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fields import field, save, write_fields
from PIL import Image

from retinaj.annotations import coco, pascal_voc
from retinaj.boxes import Boxes
from retinaj.checking.findings import CHECKS, Grade
from retinaj.checking.parts import Part, find_parts
from retinaj.checking.run import check_dataset
from retinaj.errors import RetinaJError

CELLS = [[5, 6, 30, 40], [40, 40, 80, 70]]


@pytest.fixture
def folders(tmp_path):
    """Three clean images of 96 x 96 pixels, f0 to f2; tests spoil what they are about."""
    return write_fields(tmp_path, 3)


def check(folders, *, compare: bool = False, **options):
    images, *annotations = folders
    return check_dataset(images, find_parts(images, annotations), compare=compare, **options)


def found(result) -> list[tuple[str, str, str]]:
    return [(each.check, each.file.name, each.place) for each in result.findings]


def voc(folders, name: str, corners, names=("cell",), labels=None, **options) -> None:
    labels = [0] * len(corners) if labels is None else labels
    options = {"size": (96, 96), "channels": 1, "image_name": f"{name}.png"} | options
    pascal_voc.write(folders[1] / f"{name}.xml", Boxes(corners, labels, names), **options)


def test_nothing_is_found_in_clean_data(folders):
    result = check(folders, compare=True)
    assert result.findings == ()
    assert (dict(result.parts), result.boxes, result.comparison.images) == ({"all": 3}, 9, 3)


@pytest.mark.parametrize(
    ("corners", "expected", "message"),
    [
        ([5, 5, 5, 40], "zero-area", "has no area"),
        ([5, 5, 6, 6], "zero-area", "at most one pixel"),
        ([30, 6, 5, 40], "swapped-corners", "swapped"),
        ([100, 5, 130, 40], "outside", "outside the image of 96 x 96 pixels"),
        ([-9, 2, -4, 9], "outside", "outside"),
        ([-5, 6, 30, 40], "over-border", "is cut there"),
        ([40, 40, 80, 70], "duplicate-box", "are the same box"),
        ([41, 41, 81, 71], "near-duplicate-box", "nearly coincide (IoU 0.89)"),
    ],
)
def test_a_wrong_box_is_found_with_its_place(folders, corners, expected, message):
    voc(folders, "f1", [*CELLS, corners])
    [finding] = check(folders).findings
    place = "object 2 and object 3" if "duplicate" in expected else "object 3"
    assert (finding.check, finding.file.name, finding.place) == (expected, "f1.xml", place)
    assert message in str(finding)
    assert str(finding).startswith(f"f1.png: {place} (cell; ")
    assert finding.image == folders[0] / "f1.png"
    assert tuple(corners) in finding.boxes


def test_boxes_that_touch_are_not_taken_for_one(folders):
    voc(folders, "f1", [[0, 0, 20, 20], [5, 0, 25, 20], [0, 30, 20, 50], [0, 32, 20, 52]])
    assert found(check(folders)) == [("near-duplicate-box", "f1.xml", "object 3 and object 4")]
    assert check(folders, same_object=0.9).findings == ()
    assert len(check(folders, same_object=0.5).findings) == 2
    with pytest.raises(RetinaJError, match="overlap of boxes is 0"):
        check(folders, same_object=0)


def test_one_box_under_two_classes(folders):
    voc(folders, "f1", [*CELLS, CELLS[0]], ("cell", "debris"), [0, 0, 1])
    [finding] = check(folders).findings
    assert (finding.check, finding.place) == ("two-classes", "object 1 and object 3")
    assert finding.message == "are one box as 'cell' and 'debris' (IoU 1.00)"


def test_objects_that_are_not_numbers_or_have_no_class(folders):
    (folders[1] / "f1.xml").write_text(
        "<annotation><object><name>cell</name><bndbox><xmin>1</xmin><ymin>NaN</ymin><xmax>5</xmax><ymax>9</ymax></bndbox>"
        "</object><object><name> </name></object></annotation>"
    )
    result = check(folders)
    assert [str(each) for each in result.of("unreadable-object")] == [
        "f1.png: object 1 <ymin> is 'NaN'; expected a number of pixels",
        "f1.png: object 2 has no <name>; give it a class",
    ]
    assert result.graded()[Grade.ERROR] == 2


def test_sizes_and_channels_that_contradict_the_image(folders):
    voc(folders, "f0", CELLS, size=(200, 200))
    voc(folders, "f1", [*CELLS, [100, 100, 180, 180]], size=(200, 200))
    voc(folders, "f2", CELLS, channels=3)
    result = check(folders)
    assert found(result) == [
        ("other-size", "f1.xml", ""),
        ("size-differs", "f0.xml", ""),
        ("depth-differs", "f2.xml", ""),
    ]
    assert result.findings[0].message.endswith("the image has 96 x 96, and 1 box does not fit")
    assert result.findings[2].message == "the annotation states 3 channels, the image has 1 channel"


def test_images_and_annotations_without_each_other_and_without_objects(folders):
    save(folders[0] / "alone.png", field(9, 96))
    voc(folders, "lost", CELLS)
    voc(folders, "f2", np.zeros((0, 4)))
    result = check(folders)
    assert found(result) == [
        ("missing-image", "lost.xml", ""),
        ("missing-annotation", "alone.png", ""),
        ("no-objects", "f2.xml", ""),
    ]


def test_an_annotation_of_several_images_and_an_image_with_several_annotations(folders):
    save(folders[0] / "f1.jpg", field(11, 96))
    voc(folders, "f1", CELLS, image_name="other.png")
    voc(folders, "again", CELLS, image_name="f2.png")
    voc(folders, "f0", CELLS)
    assert found(check(folders)) == [("ambiguous-image", "f1.xml", ""), ("annotated-twice", "f2.png", "")]


def test_spellings_and_one_off_classes(folders):
    voc(folders, "f0", CELLS, ("White cell",))
    voc(folders, "f1", CELLS, ("white_cell", "whitecell"), [0, 1])
    voc(folders, "f2", CELLS, ("cell", "debris"), [0, 1])
    result = check(folders)
    assert [str(each) for each in result.of("class-spelling")] == [
        "f1.png: object 1 'white_cell' (1 object) is spelt like 'White cell' (2 objects) but for case, blanks, - or _",
        "f1.png: object 2 'whitecell' (1 object) is spelt like 'White cell' (2 objects) but for case, blanks, - or _",
    ]
    assert [str(each) for each in result.of("one-off-class")] == [
        "f2.png: object 1 is the only object of the class 'cell'",
        "f2.png: object 2 is the only object of the class 'debris'",
    ]
    assert len(result.findings) == 4


def test_crowds_and_doubts_of_the_reader_are_notes(folders, tmp_path):
    content = {
        "images": [{"id": 1, "file_name": "f0.png"}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [5, 5, 20, 20], "iscrowd": crowd} for crowd in (1, 0)],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    result = check((folders[0], path))
    assert found(result) == [
        ("missing-annotation", "f1.png", ""),
        ("missing-annotation", "f2.png", ""),
        ("crowd", "a.json", ""),
    ]
    voc(folders, "f0", [[-1, 5, 20, 20], CELLS[1]])
    assert [each.check for each in check(folders).findings] == ["doubtful"]


def test_parts_by_lists(folders, tmp_path):
    lists = {name: tmp_path / f"{name}.txt" for name in ("validation", "test")}
    lists["validation"].write_text("f1\nf9\n")
    lists["test"].write_text("f1.png\nf2 1\n")
    result = check_dataset(folders[0], find_parts(*_whole(folders), lists), compare=False)
    assert dict(result.parts) == {"training": 1, "validation": 1, "test": 2}
    assert [str(each) for each in result.findings] == [
        f"validation.txt lists 'f9', which is not in {folders[0]}",
        "f1.png is in validation and in test",
    ]
    voc(folders, "f2", CELLS, ("mite",))
    lists["training"] = tmp_path / "training.txt"
    lists["training"].write_text("f0\n")
    lists["validation"].write_text("")
    lists["test"].write_text("f2\n")
    result = check_dataset(folders[0], find_parts(*_whole(folders), lists), compare=False)
    assert [str(each) for each in result.findings] == [
        "f2.png: object 1 is of the class 'mite', which test has (2 objects) and training has not",
        "f1.png is in none of training, validation, test",
    ]


def _whole(folders) -> tuple[Path, list[Path]]:
    return folders[0], [folders[1]]


def test_parts_by_annotations_of_their_own_and_by_vocs_lists(folders, tmp_path):
    images, annotations = folders
    files = [tmp_path / f"{name}.json" for name in ("train", "test")]
    for file, name in zip(files, ("f0.png", "f1.png"), strict=True):
        coco.write(file, [(name, (96, 96), Boxes(CELLS, [0, 0], ("cell",)))])
    parts = find_parts(images, files)
    assert [(part.name, part.is_training) for part in parts] == [("train", True), ("test", False)]
    assert found(check_dataset(images, parts, compare=False)) == [("missing-annotation", "f2.png", "")]
    assert [part.annotations for part in find_parts(images, files[:1], {"test": files[1]})] == files
    with pytest.raises(RetinaJError, match=r"2 annotations.*lists of names as well"):
        find_parts(images, files, {"test": files[1]})
    with pytest.raises(RetinaJError, match="given twice"):
        find_parts(images, [files[0], files[0]])
    folder = tmp_path / "ImageSets" / "Main"
    folder.mkdir(parents=True)
    for name, listed in (("train", "f0\nf1\n"), ("val", "f2\n")):
        (folder / f"{name}.txt").write_text(listed)
    assert find_parts(images, [annotations]) == [
        Part("training", annotations, folder / "train.txt"),
        Part("validation", annotations, folder / "val.txt"),
    ]


def test_every_check_has_a_heading_and_advice():
    grades = [each.grade for each in CHECKS.values()]
    assert grades == sorted(grades, key=list(Grade).index)
    for each in CHECKS.values():
        assert not each.title.endswith(".")
        assert each.advice.endswith(".")


def test_missing_folders_are_refused(folders, tmp_path):
    with pytest.raises(RetinaJError, match="expected a folder of images"):
        check((tmp_path / "gone", folders[1]))
    with pytest.raises(RetinaJError, match="expected a file or folder of annotations"):
        check((folders[0], tmp_path / "gone"))


class TestHostile:
    """One such file each: it is a finding, and the rest is checked."""

    def rest_is_checked(self, folders, expected: list[tuple[str, str]], **options):
        result = check(folders, **options)
        assert [(each.check, each.file.name) for each in result.findings] == expected
        assert result.boxes == 6
        return result.findings[0].message

    def test_annotation_of_50_megabytes(self, folders):
        with (folders[1] / "f1.xml").open("ab") as stream:
            stream.truncate(50 * 2**20)
        assert "larger than 32 MB" in self.rest_is_checked(folders, [("unreadable-annotation", "f1.xml")])

    def test_xml_with_entities(self, folders):
        (folders[1] / "f1.xml").write_text(
            '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]><annotation><filename>&y;</filename></annotation>'
        )
        assert "entities" in self.rest_is_checked(folders, [("unreadable-annotation", "f1.xml")])

    def test_xml_nested_deeply(self, folders):
        depth = 10_000
        (folders[1] / "f1.xml").write_text("<annotation>" + "<part>" * depth + "</part>" * depth + "</annotation>")
        result = check(folders)
        assert result.boxes == 6

    def test_json_nested_deeply(self, folders, tmp_path):
        good, bad = tmp_path / "train.json", tmp_path / "test.json"
        coco.write(good, [("f0.png", (96, 96), Boxes([*CELLS, CELLS[0]], [0, 0, 0], ("cell",)))])
        bad.write_text('{"images": ' + "[" * 10_000 + "]" * 10_000 + "}")
        result = check((folders[0], good, bad))
        assert [each.check for each in result.findings] == [
            "unreadable-annotation",
            "duplicate-box",
            "missing-annotation",
            "missing-annotation",
        ]
        assert result.findings[0].file == bad

    def test_tiff_that_declares_a_trillion_pixels(self, folders):
        (folders[0] / "f1.png").unlink()
        entries = ((256, 4, 10**6), (257, 4, 10**6), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1))
        directory = b"".join(
            tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
            for tag, kind, value in (*entries, (278, 4, 10**6), (279, 4, 2**32 - 1))
        )
        content = b"II*\0\x08\0\0\0" + (9).to_bytes(2, "little") + directory + bytes(4)
        (folders[0] / "f1.tif").write_bytes(content)
        result = check(folders, compare=True)
        assert found(result) == [("unreadable-image", "f1.tif", "")]
        assert "GiB" in result.findings[0].message

    def test_image_that_is_cut_short_is_found_by_its_pixels(self, folders):
        path = folders[0] / "f1.png"
        path.write_bytes(path.read_bytes()[:-3000])
        assert check(folders).findings == ()
        [finding] = check(folders, compare=True).findings
        assert (finding.check, finding.file) == ("unreadable-image", path)

    def test_links(self, folders, tmp_path):
        images, annotations = folders
        outside = tmp_path / "elsewhere.png"
        (images / "f1.png").rename(outside)
        (images / "f1.png").symlink_to(outside)
        (images / "f9.png").symlink_to(tmp_path / "nowhere.png")
        (images / "loop.png").symlink_to(images / "loop.png")
        secret = tmp_path / "secret.txt"
        secret.write_text("not yours")
        (annotations / "f2.xml").unlink()
        (annotations / "f2.xml").symlink_to(secret)
        (images / "g.png").symlink_to(images / "f0.png")
        voc(folders, "g", CELLS)
        result = check(folders)
        assert found(result) == [
            ("unreadable-annotation", "f2.xml", ""),
            ("unreadable-image", "f9.png", ""),
            ("unreadable-image", "loop.png", ""),
            ("link-outside", "f1.png", ""),
        ]
        assert "not yours" not in "".join(map(str, result.findings))

    def test_a_million_wrong_boxes_are_not_a_million_findings(self, folders):
        many = np.tile(np.array([[5.0, 5, 5, 40]]), (3000, 1))
        same = np.tile(np.array([CELLS[0]], np.float64), (3000, 1))
        near = np.array([CELLS[1]]) + np.linspace(0, 1, 3000)[:, None]
        voc(folders, "f1", np.concatenate([many, same, near]))
        result = check(folders)
        assert result.counts() == {"duplicate-box": 1001, "near-duplicate-box": 1001, "zero-area": 1001}
        assert result.of("zero-area")[-1].message == "has 2,000 more of this kind, which are not listed"


def test_images_in_folders_below_are_checked_too(tmp_path):
    images = tmp_path / "images"
    save(images / "a.png", field(0, 96))
    Image.fromarray(field(1, 96)).resize((48, 48)).save(save(images / "sub" / "b.png", field(1, 96)))
    path = tmp_path / "all.json"
    coco.write(path, [(name, (96, 96), Boxes(CELLS, [0, 0], ("cell",))) for name in ("a.png", "sub/b.png")])
    result = check((images, path))
    assert [(each.check, each.image.name) for each in result.findings] == [("other-size", "b.png")]
