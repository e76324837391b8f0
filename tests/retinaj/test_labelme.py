"""labelme: shapes to boxes, and files that lie."""

from __future__ import annotations

import json

import pytest

from retinaj.annotations import Annotation, ObjectDetails, Reading, find_format, labelme, read_annotations, write_annotations
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError


def shape(points, kind="polygon", **more):
    return {"label": "cell", "points": points, "group_id": None, "shape_type": kind, "flags": {}} | more


def write(path, shapes, **more):
    content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": "..\\images\\a.png", "imageData": None}
    path.write_text(json.dumps(content | {"imageHeight": 100, "imageWidth": 200} | more))
    return path


@pytest.mark.parametrize(
    ("given", "box"),
    [
        (shape([[10, 20], [3, 40]], "rectangle"), [3, 20, 10, 40]),
        (shape([[10, 20], [30, 20], [30, 40], [10, 40]], "rectangle"), [10, 20, 30, 40]),
        (shape([[10, 20], [30.5, 25], [12, 40]]), [10, 20, 30.5, 40]),
        (shape([[10, 20], [13, 24]], "circle"), [5, 15, 15, 25]),
        (shape([[10, 20], [13, 24]], "line"), [10, 20, 13, 24]),
        (shape([[10, 20], [13, 24], [11, 30]], "linestrip"), [10, 20, 13, 30]),
        (shape([[10, 20]], "point"), [10, 20, 10, 20]),
        (shape([[10, 20], [13, 24]], "mask", mask="iVBORw0KGgo="), [10, 20, 13, 24]),
        (shape([[10, 20], [13, 24]], None), [10, 20, 13, 24]),
    ],
)
def test_each_shape_becomes_the_box_around_it(tmp_path, given, box):
    (read,) = read_annotations(write(tmp_path / "a.json", [given]))
    assert read.boxes.xyxy.tolist() == [box]
    assert (read.size, read.image_name, read.stem) == ((200, 100), "..\\images\\a.png", "a")
    assert (read.faults, read.notes) == ((), ())


def test_parts_of_one_group_are_one_object(tmp_path):
    shapes = [
        shape([[0, 0], [5, 5]], "rectangle", group_id=1),
        shape([[0, 0], [1, 1]], "rectangle", group_id=1, label="debris"),
        shape([[10, 10], [20, 15]], "rectangle", group_id=1),
        shape([[50, 50], [60, 60]], "rectangle", group_id=2),
        shape([[70, 70], [80, 80]], "rectangle"),
        shape([[70, 70], [80, 80]], "rectangle"),
    ]
    (read,) = read_annotations(write(tmp_path / "a.json", shapes))
    found = sorted(zip(read.boxes.names, read.boxes.xyxy.tolist(), strict=True))
    assert found == [
        ("cell", [0, 0, 20, 15]),
        ("cell", [50, 50, 60, 60]),
        ("cell", [70, 70, 80, 80]),
        ("cell", [70, 70, 80, 80]),
        ("debris", [0, 0, 1, 1]),
    ]
    assert read.notes == ("shape 1 and 1 more of group 1 (cell) are one object",)


def test_flags_descriptions_and_scores(tmp_path):
    shapes = [
        shape([[0, 0], [5, 5]], flags={"difficult": True, "occluded": False, "dividing": True}, description="see day 2"),
        shape([[0, 0], [5, 5]], difficult=True, score=0.5, flags=None),
        shape([[0, 0], [5, 5]], label=7),
    ]
    (read,) = read_annotations(write(tmp_path / "a.json", shapes))
    assert read.details[0] == ObjectDetails(difficult=True, properties={"dividing": "true", "description": "see day 2"})
    assert read.details[1] == ObjectDetails(difficult=True)
    assert read.boxes.names == ["cell", "cell", "7"]
    assert "only 1 of its 3 objects have a score" in read.notes[0]


def test_the_image_inside_and_a_byte_order_mark_do_no_harm(tmp_path):
    path = write(tmp_path / "a.json", [shape([[0, 0], [5, 5]])], imageData="A" * 10**6, imageHeight=None)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert find_format(path) is labelme.FORMAT
    (read,) = read_annotations(path)
    assert (len(read.boxes), read.size) == (1, None)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (shape([[0, 0], [5, float("nan")]]), "shape 2: points.1.1"),
        (shape([[0, 0], [5, 1e300]]), "shape 2: points.1.1"),
        (shape([]), "shape 2: points"),
        (shape([[0, 0, 0]]), "shape 2: points.0"),
        (shape([[0, 0], [5, "x"]]), "shape 2: points.1.1"),
        (shape([[0, 0]], "circle"), "shape 2 is a circle of 1 points"),
        (shape([[0, 0]], "rectangle"), "shape 2 is a rectangle of 1 points"),
        (shape([[0, 0], [5, 5]], label=""), "shape 2 has no label"),
        (shape([[0, 0], [5, 5]], label="a\u0007"), "shape 2: the name"),
        (shape([[0, 0], [5, 5]], label=None), "shape 2: label"),
        (shape([[0, 0], [5, 5]], score=3), "shape 2: score"),
        ("shape", "shape 2:"),
    ],
)
def test_a_broken_shape_is_a_fault_and_hides_no_other(tmp_path, given, reason):
    good = shape([[0, 0], [5, 5]])
    (read,) = read_annotations(write(tmp_path / "a.json", [good, given, good]))
    assert read.places == ("shape 1", "shape 3")
    assert len(read.faults) == 1
    assert read.faults[0].startswith(reason)
    assert "\n" not in read.faults[0]


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"shapes": 3}', '{"shapes": [', '{"shapes": ' + "[" * 10_000 + "]" * 10_000 + "}", '{"shapes": [\x00]}'],
)
def test_broken_files_give_one_clear_error(tmp_path, content):
    (tmp_path / "broken.json").write_text(content)
    with pytest.raises(RetinaJError, match=r"broken\.json is not a labelme annotation: ") as caught:
        read_annotations(tmp_path, Reading(format="labelme"))
    assert "\n" not in str(caught.value)


def test_a_file_of_absurd_size_is_not_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(labelme, "MAX_FILE_BYTES", 2**20)
    path = write(tmp_path / "a.json", [], imageData="A" * 2**20)
    with pytest.raises(RetinaJError, match="larger than 1 MB"):
        read_annotations(path)


def test_what_is_written_is_what_labelme_opens(tmp_path):
    boxes = Boxes([[0.5, 1, 2, 3]], [0], ("µ cell",), [0.5])
    details = (ObjectDetails(difficult=True, properties={"description": "d", "stain": "DAPI"}),)
    one = Annotation(tmp_path / "x", "a.png", boxes, (200, 100), details=details)
    write_annotations(tmp_path / "out", [one], labelme.FORMAT)
    content = json.loads((tmp_path / "out/a.json").read_text("utf-8"))
    assert content == {
        "version": "5.0.0",
        "flags": {},
        "shapes": [
            {
                "label": "µ cell",
                "points": [[0.5, 1.0], [2.0, 3.0]],
                "group_id": None,
                "description": "d",
                "shape_type": "rectangle",
                "flags": {"difficult": True},
                "score": 0.5,
                "properties": {"stain": "DAPI"},
            }
        ],
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": 100,
        "imageWidth": 200,
    }
    (read,) = read_annotations(tmp_path / "out")
    assert read.details == details
    assert read.boxes.score.tolist() == [0.5]
