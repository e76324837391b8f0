"""What holds for annotations of several formats."""

from __future__ import annotations

import json
import time

import pytest
from annotation_files import coco_content, roi_bytes, voc, voc_object, write_zip

from retinaj.annotations import coco, imagej_roi, pascal_voc, read_annotations, relabel
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError


@pytest.mark.usefixtures("no_garbage_collection")
def test_many_classes_cost_no_more_than_their_number(tmp_path):
    count = 30_000
    names = [f"class {at}" for at in range(count)]
    (tmp_path / "a.xml").write_text(voc("".join(voc_object(name) for name in names)))
    objects = [{"image_id": 1, "category_id": at, "bbox": [0, 0, 1, 1]} for at in range(count)]
    categories = [{"id": at, "name": name} for at, name in enumerate(names)]
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": objects, "categories": categories}
    (tmp_path / "a.json").write_text(json.dumps(content))
    begin = time.thread_time()
    assert pascal_voc.read(tmp_path / "a.xml").boxes.names == names
    assert coco.read(tmp_path / "a.json")[0].boxes.names == names
    # looked up in a list, they take far longer
    assert time.thread_time() - begin < 10


def test_white_space_in_class_names_is_one_space(tmp_path):
    (tmp_path / "a.xml").write_text(voc(voc_object(name=" red\n\tcell ")))
    assert pascal_voc.read(tmp_path / "a.xml").boxes.names == ["red cell"]
    (tmp_path / "a.json").write_text(
        json.dumps(coco_content(categories=[{"id": 3, "name": "a"}, {"id": 90, "name": "b \r\n c"}]))
    )
    assert coco.read(tmp_path / "a.json")[0].boxes.names == ["b c", "a", "a"]
    (tmp_path / "a.roi").write_bytes(roi_bytes(name="red\ncell\t0.97"))
    boxes = imagej_roi.read_roi_set(tmp_path / "a.roi")
    assert (boxes.names, boxes.score.tolist()) == (["red cell"], [pytest.approx(0.97)])


def test_read_annotations_finds_the_format(tmp_path):
    (tmp_path / "voc").mkdir()
    for name in ("b10.xml", "b2.xml", "._b2.xml"):
        (tmp_path / "voc" / name).write_text(voc(voc_object()))
    assert [each.source.name for each in read_annotations(tmp_path / "voc")] == ["b2.xml", "b10.xml"]
    (tmp_path / "rois").mkdir()
    write_zip(tmp_path / "rois" / "cell1_RoiSet.zip", {"a.roi": roi_bytes(name="RBC")})
    (tmp_path / "rois" / "cell2.roi").write_bytes(roi_bytes(name="WBC"))
    read = read_annotations(tmp_path / "rois")
    assert [(each.image_name, each.boxes.names) for each in read] == [("cell1", ["RBC"]), ("cell2", ["WBC"])]
    (tmp_path / "none").mkdir()
    with pytest.raises(RetinaJError, match="none is empty"):
        read_annotations(tmp_path / "none")
    (tmp_path / "none" / "readme.md").write_text("nothing here")
    with pytest.raises(RetinaJError, match="has no annotations"):
        read_annotations(tmp_path / "none")
    with pytest.raises(RetinaJError, match=r"gone\.json does not exist"):
        read_annotations(tmp_path / "gone.json")
    (tmp_path / "a.txt").write_text("hello\n")
    with pytest.raises(RetinaJError, match="not a known annotation format"):
        read_annotations(tmp_path / "a.txt")


def test_relabel_names_the_unknown_class():
    boxes = Boxes([[0, 0, 1, 1]], [1], ("a", "b"))
    assert relabel(boxes, ("b", "c"), "x").label.tolist() == [0]
    with pytest.raises(RetinaJError, match=r"x\.xml has objects of the class 'b'"):
        relabel(boxes, ("a", "c"), "x.xml")
