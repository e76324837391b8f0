"""COCO: the round trip, the conventions, and files that lie."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from annotation_files import NAMES, any_boxes, coco_content, same_objects
from hypothesis import given, settings
from hypothesis import strategies as st

from retinaj.annotations import coco, require_sound
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_coco_round_trip(data):
    class_names = data.draw(NAMES)
    images = [
        (f"folder/{at}.png", (640, 480), data.draw(any_boxes(names=st.just(class_names))))
        for at in range(data.draw(st.integers(1, 3)))
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        coco.write(path, images)
        read = coco.read(path)
    for (name, size, boxes), annotation in zip(images, read, strict=True):
        assert (annotation.image_name, annotation.size) == (name, size)
        # width = x_max - x_min in double precision: exact but for the last rounding to float32
        same_objects(annotation.boxes, boxes, tolerance=0.004)


def test_coco_ids_are_arbitrary_and_crowds_are_flagged(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(coco_content()).encode())
    first, second = coco.read(path)
    assert first.boxes.class_names == ("debris", "cell")
    assert first.boxes.names == ["cell", "debris", "debris"]
    assert first.boxes.xyxy.tolist() == [[1, 2, 4.5, 6], [0, 0, 30, 20], [0, 0, 1, 1]]
    assert [each.crowd for each in first.details] == [False, False, True]
    assert first.size == (30, 20)
    assert (len(second.boxes), second.size, second.notes) == (0, None, ())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not a COCO annotation"),
        ("[]", "not a COCO annotation"),
        ("[" * 100_000, "not a COCO annotation"),
        ('{"images": []}', "annotations: Field required"),
        (json.dumps(coco_content(categories=[])), "categories"),
        (json.dumps(coco_content(images=[{"id": 1}])), "images.0.file_name"),
        (json.dumps(coco_content(images=[{"id": 7, "file_name": "a"}, {"id": 7, "file_name": "b"}])), "two image entries"),
        (json.dumps(coco_content(annotations=[{"image_id": 8, "category_id": 3, "bbox": [0, 0, 1, 1]}])), "has the image 8"),
        (json.dumps(coco_content(annotations=[{"image_id": 7, "category_id": 8, "bbox": [0, 0, 1, 1]}])), "has the category 8"),
        (json.dumps(coco_content(annotations=[{"image_id": 7, "category_id": 3, "bbox": [0, 0, 1]}])), "expected [x, y, width"),
        (json.dumps(coco_content(annotations=[{"image_id": 7, "category_id": 3}])), "expected [x, y, width"),
        (json.dumps(coco_content(annotations=[{"image_id": 7, "category_id": 3, "bbox": [0, 0, 1, float("nan")]}])), "bbox.3"),
        (json.dumps(coco_content(annotations=[{"image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 1e300]}])), "bbox.3"),
        (json.dumps(coco_content(annotations=[{"image_id": 7, "category_id": 3, "bbox": "0123"}])), "bbox"),
        (json.dumps(coco_content(categories=[{"id": 3, "name": " "}])), "category 3 has no name"),
        (json.dumps(coco_content(categories=[{"id": 3, "name": "a\0b"}])), "contains the control character '\\x00'"),
    ],
)
def test_broken_coco_gives_one_clear_error(tmp_path, content, reason):
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(RetinaJError, match=r"broken\.json") as caught:
        _ = [require_sound(annotation) for annotation in coco.read(path)]
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_coco_refuses_to_mix_classes(tmp_path):
    mixed = [("a", (1, 1), Boxes.empty(["a"])), ("b", (1, 1), Boxes.empty(["b"]))]
    with pytest.raises(RetinaJError, match="The boxes of b"):
        coco.write(tmp_path / "a.json", mixed)
