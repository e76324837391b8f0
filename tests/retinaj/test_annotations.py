"""PASCAL VOC, COCO and ImageJ ROIs: round trips, the conventions, and files that lie."""

from __future__ import annotations

import json
import struct
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import roifile
from hypothesis import given, settings
from hypothesis import strategies as st

from retinaj.annotations import coco, imagej_roi, pascal_voc, read_annotations, relabel, require_sound
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError

NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=12),
    min_size=1,
    max_size=4,
    unique=True,
)
COORDINATE = st.floats(-100, 60000, width=32)


@st.composite
def any_boxes(draw, names=NAMES, coordinate=COORDINATE, scored=False):
    class_names = tuple(sorted(draw(names)))
    count = draw(st.integers(0, 6))
    corners = [sorted((draw(coordinate), draw(coordinate))) for _ in range(2 * count)]
    xyxy = np.array(corners, np.float32).reshape(count, 2, 2).transpose(0, 2, 1).reshape(-1, 4)
    label = [draw(st.integers(0, len(class_names) - 1)) for _ in range(count)]
    score = [draw(st.integers(1, 100)) / 100 for _ in range(count)] if scored else None
    return Boxes(xyxy, label, class_names, score)


def same_objects(one: Boxes, other: Boxes, tolerance: float = 0.0) -> None:
    assert one.names == other.names
    np.testing.assert_allclose(one.xyxy, other.xyxy, rtol=0, atol=tolerance)


def voc(objects: str, extra: str = "") -> str:
    return f"<annotation>{extra}{objects}</annotation>"


def voc_object(name="cell", xmin="1", ymin="1", xmax="10", ymax="20") -> str:
    corners = f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>"
    return f"<object><name>{name}</name><bndbox>{corners}</bndbox></object>"


# --- PASCAL VOC


@settings(max_examples=25, deadline=None)
@given(any_boxes())
def test_voc_round_trip(boxes):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.xml"
        pascal_voc.write(path, boxes, image_name="a.png", size=(640, 480))
        read = pascal_voc.read(path)
    # adding the 1 may cost the last digits of a coordinate that is nearly, but not quite, 0
    same_objects(read.boxes, boxes, tolerance=1e-9)
    assert (read.image_name, read.size) == ("a.png", (640, 480))


def test_voc_counts_from_one_and_includes_the_last_pixel(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(voc(voc_object(xmin="1", ymin="1", xmax="640", ymax="480") + voc_object(xmin="3.5", xmax="7.25")))
    read = pascal_voc.read(path)
    assert read.boxes.xyxy.tolist() == [[0, 0, 640, 480], [2.5, 0, 7.25, 20]]
    assert read.size is None
    assert not read.notes


def test_voc_written_as_other_tools_expect_it(tmp_path):
    path = tmp_path / "a.xml"
    pascal_voc.write(path, Boxes([[0, 1, 10, 20]], [0], ("a & b",)), image_name="ä.png", size=(10, 20), channels=1)
    text = path.read_text(encoding="utf-8")
    for piece in ("<xmin>1</xmin>", "<ymin>2</ymin>", "<xmax>10</xmax>", "<ymax>20</ymax>", "<name>a &amp; b</name>"):
        assert piece in text
    for piece in ("<width>10</width>", "<height>20</height>", "<depth>1</depth>", "<filename>ä.png</filename>"):
        assert piece in text


def test_voc_without_objects_is_an_empty_image(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(voc("", "<size><width>0</width><height>x</height></size>"))
    read = pascal_voc.read(path)
    assert len(read.boxes) == 0
    assert read.size is None


def test_voc_with_byte_order_mark_other_encodings_and_parts(tmp_path):
    path = tmp_path / "a.xml"
    path.write_bytes(b"\xef\xbb\xbf" + voc(voc_object("µ")).encode())
    assert pascal_voc.read(path).boxes.names == ["µ"]
    path.write_bytes(b'<?xml version="1.0" encoding="ISO-8859-1"?>' + voc(voc_object("µ")).encode("latin-1"))
    assert pascal_voc.read(path).boxes.names == ["µ"]
    path.write_text(voc(voc_object()).replace("</object>", f"<part>{voc_object('nucleus')}</part></object>"))
    assert pascal_voc.read(path).boxes.names == ["cell"]


def test_voc_notes_coordinates_that_count_from_zero(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(voc(voc_object(xmin="0")))
    assert "counts from 1" in pascal_voc.read(path).notes[0]


LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + voc("<filename>&b;</filename>")
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + voc("<filename>&x;</filename>")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not readable XML"),
        ("no XML", "not readable XML"),
        ("<annotation><object>", "not readable XML"),
        ("<html></html>", "its root is <html>"),
        (LAUGHS, "entities or a document type"),
        (OUTSIDE, "entities or a document type"),
        ('<!DOCTYPE a SYSTEM "http://localhost/a.dtd"><annotation/>', "entities or a document type"),
        ('<?xml version="1.0" encoding="no-such"?><annotation/>', "not readable XML"),
        (voc("<object></object>"), "object 1 has no <name>"),
        (voc(voc_object() + voc_object(name=" ")), "object 2 has no <name>"),
        (voc("<object><name>a</name></object>"), "<xmin> is missing"),
        (voc(voc_object(xmax="ten")), "<xmax> is 'ten'"),
        (voc(voc_object(ymin="")), "<ymin> is"),
        (voc(voc_object(ymax="nan")), "<ymax> is 'nan'"),
        (voc(voc_object(ymax="1e300")), "<ymax> is '1e300'"),
        (voc(voc_object(name="a&#x9b;b")), "object 1: the name 'a\\x9bb' contains the control character '\\x9b'"),
        (voc(voc_object(name="a" * 1001)), "has 1,001 characters"),
    ],
)
def test_broken_voc_gives_one_clear_error(tmp_path, content, reason):
    path = tmp_path / "broken.xml"
    path.write_text(content)
    with pytest.raises(RetinaJError, match=r"broken\.xml") as caught:
        require_sound(pascal_voc.read(path))
    assert reason in str(caught.value)


def test_voc_of_absurd_size_is_not_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(pascal_voc, "MAX_FILE_BYTES", 2**20)
    path = tmp_path / "a.xml"
    path.write_text(voc(" " * 2**20))
    with pytest.raises(RetinaJError, match="larger than 1 MB"):
        pascal_voc.read(path)


def test_voc_refuses_names_that_xml_cannot_hold(tmp_path):
    with pytest.raises(RetinaJError, match="cannot hold"):
        pascal_voc.write(tmp_path / "a.xml", Boxes([[0, 0, 1, 1]], [0], ("a\0",)), image_name="a", size=(1, 1))
    assert not list(tmp_path.iterdir())


# --- COCO


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


def coco_content(**changes) -> dict:
    content = {
        "images": [{"id": 7, "file_name": "a.png", "width": 30, "height": 20}, {"id": "b", "file_name": "b.png"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 90, "bbox": [1, 2, 3.5, 4], "segmentation": [[1, 2, 3]], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 3, "bbox": [0, 0, 30, 20]},
            {"id": 3, "image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 1], "iscrowd": 1},
        ],
        "categories": [{"id": 90, "name": "cell"}, {"id": 3, "name": "debris"}, {"id": 0, "name": "unused"}],
    }
    return content | changes


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


# --- ImageJ ROIs


ROI_NAMES = st.lists(st.sampled_from(["RBC", "WBC", "Living Cell", "type 2", "α-cell"]), min_size=1, max_size=4, unique=True)


@settings(max_examples=25, deadline=None)
@given(any_boxes(names=ROI_NAMES, scored=True), st.booleans())
def test_roi_round_trip(boxes, stack):
    boxes = boxes.on_plane(4, 0, 2) if stack else boxes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.zip"
        imagej_roi.write_roi_set(path, boxes)
        read = imagej_roi.read_roi_set(path, boxes.class_names)
    # x and width are stored as float32, so that x_max is right to the last bit of the larger of them
    same_objects(read, boxes, tolerance=0.008)
    if len(boxes):
        np.testing.assert_allclose(read.score, boxes.score, atol=0.0051)
        assert read.plane is None if boxes.plane is None else read.plane.tolist() == boxes.plane.tolist()


def test_rois_are_what_imagej_calls_a_rectangle(tmp_path):
    path = tmp_path / "a_RoiSet.zip"
    boxes = Boxes([[1.25, 2.5, 11.5, 7]], [1], ("RBC", "WBC"), [0.974]).on_plane(1, 0, 6)
    imagej_roi.write_roi_set(path, boxes, colours={"WBC": (1, 2, 3)})
    imagej_roi.write_roi_set(path, boxes, colours={"WBC": (1, 2, 3)})  # replaces, appends nothing
    (roi,) = roifile.roiread(path)
    assert roi.name == "WBC 0.97"
    assert roi.roitype == roifile.ROI_TYPE.RECT
    assert roi.subpixelrect
    assert (roi.xd, roi.yd, roi.widthd, roi.heightd) == (1.25, 2.5, 10.25, 4.5)
    assert (roi.left, roi.top, roi.right, roi.bottom) == (1, 2, 12, 7)
    assert (roi.t_position, roi.c_position, roi.z_position) == (2, 0, 7)
    assert roi.stroke_color == bytes((255, 1, 2, 3))


def test_on_a_plain_stack_imagej_needs_one_number(tmp_path):
    path = tmp_path / "a.zip"
    for plane in ((0, 0, 6), (6, 0, 0)):
        imagej_roi.write_roi_set(path, Boxes([[0, 0, 5, 5]], [0], ("cell",)).on_plane(*plane), plain_stack=True)
        (roi,) = roifile.roiread(path)
        assert (roi.position, roi.t_position, roi.c_position, roi.z_position) == (7, 0, 0, 0)
        assert imagej_roi.read_roi_set(path).plane.tolist() == [[0, 0, 6]]


def test_equal_and_strange_names_stay_apart_in_the_zip(tmp_path):
    path = tmp_path / "a.zip"
    boxes = Boxes([[0, 0, 1, 1]] * 3, [0, 0, 1], ("../up/cell", "x" * 300), [0.5, 0.5, 0.5])
    imagej_roi.write_roi_set(path, boxes)
    with zipfile.ZipFile(path) as archive:
        entries = archive.namelist()
    assert len(set(entries)) == 3
    assert not [name for name in entries if "/" in name or len(name) > 90]
    assert imagej_roi.read_roi_set(path).names == boxes.names
    again = tmp_path / "b.zip"
    imagej_roi.write_roi_set(again, boxes)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("RBC 0.97", ("RBC", 0.97)),
        ("RBC 1.00-3", ("RBC", 1.0)),
        ("RBC_0.5", ("RBC", 0.5)),
        ("Living Cell", ("Living Cell", None)),
        ("cell-12", ("cell", None)),
        ("type 2", ("type 2", None)),
        ("alpha-cell", ("alpha-cell", None)),
        ("0024-0043", ("object", None)),
        ("0001-0024-0043", ("object", None)),
        ("", ("object", None)),
        ("0.97", ("0.97", None)),
    ],
)
def test_roi_names(name, parsed):
    assert imagej_roi.parse_name(name) == parsed


def test_roi_outside_the_format_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(RetinaJError, match="can hold"):
        imagej_roi.write_roi_set(tmp_path / "a.zip", Boxes([[0, 0, 70_000, 10]], [0], ("cell",)))
    assert not list(tmp_path.iterdir())


def roi_bytes(**fields) -> bytes:
    return roifile.ImagejRoi(roitype=roifile.ROI_TYPE.RECT, right=5, bottom=5, **fields).tobytes()


def write_zip(path: Path, entries: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def test_hostile_roi_files(tmp_path, monkeypatch):
    monkeypatch.setattr(imagej_roi, "MAX_ROI_BYTES", 2**16)
    endless_polygon = bytearray(roifile.ImagejRoi.frompoints([[0, 0], [5, 5], [9, 0]]).tobytes())
    endless_polygon[16:18] = struct.pack(">H", 65535)
    cases = {
        "text.zip": b"no ZIP",
        "text.roi": b"no ROI",
        "short.roi": roi_bytes()[:30],
        "endless.roi": bytes(endless_polygon),
        "large.roi": b"Iout" + bytes(2**16),
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
    write_zip(tmp_path / "bomb.zip", {"a.roi": roi_bytes() + bytes(2**20)})
    write_zip(tmp_path / "bad_entry.zip", {"a.roi": b"rubbish"})
    write_zip(tmp_path / "cut.zip", {"a.roi": roi_bytes(), "b.roi": roi_bytes()})
    content = bytearray((tmp_path / "cut.zip").read_bytes())
    content[50:60] = bytes(10)
    (tmp_path / "cut.zip").write_bytes(content)
    write_zip(tmp_path / "damaged.zip", {"a.roi": roi_bytes() * 100})
    content = bytearray((tmp_path / "damaged.zip").read_bytes())
    content[40:60] = b"\xff" * 20
    (tmp_path / "damaged.zip").write_bytes(content)
    write_zip(tmp_path / "control.zip", {"a.roi": roi_bytes(name="a\x1b[2Jb")})
    write_zip(tmp_path / "long.zip", {"a.roi": roi_bytes(name="_" * 4000)})
    for path in tmp_path.iterdir():
        with pytest.raises(RetinaJError, match=path.name) as caught:
            imagej_roi.read_roi_set(path)
        assert "\n" not in str(caught.value)


def test_roi_names_cost_no_more_than_their_length():
    begin = time.process_time()
    for name in ("_" * 100_000 + "x", "-1" * 50_000 + "x", "_.1" * 30_000 + "x", "x" + " " * 100_000 + "0.x", "1-" * 50_000):
        assert imagej_roi.parse_name(name) == (name, None)
    assert time.process_time() - begin < 2


def test_many_classes_cost_no_more_than_their_number(tmp_path):
    count = 30_000
    names = [f"class {at}" for at in range(count)]
    (tmp_path / "a.xml").write_text(voc("".join(voc_object(name) for name in names)))
    objects = [{"image_id": 1, "category_id": at, "bbox": [0, 0, 1, 1]} for at in range(count)]
    categories = [{"id": at, "name": name} for at, name in enumerate(names)]
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": objects, "categories": categories}
    (tmp_path / "a.json").write_text(json.dumps(content))
    begin = time.process_time()
    assert pascal_voc.read(tmp_path / "a.xml").boxes.names == names
    assert coco.read(tmp_path / "a.json")[0].boxes.names == names
    # looked up in a list, they take far longer
    assert time.process_time() - begin < 10


def test_zip_entries_lead_nowhere(tmp_path):
    path = tmp_path / "inner" / "a.zip"
    path.parent.mkdir()
    write_zip(path, {"../../evil.roi": roi_bytes(name="cell"), "/etc/x.roi": roi_bytes(), "readme.txt": b"hello"})
    assert imagej_roi.read_roi_set(path).names == ["cell", "x"]
    assert [each.name for each in tmp_path.rglob("*")] == ["inner", "a.zip"]


@pytest.mark.parametrize(
    ("name", "count", "class_name", "first"),
    [
        ("blobs_RoiSet.zip", 61, "object", [10, 0, 35, 30]),
        ("xy_16bit__h2b_rois.zip", 6, "object", [39, 19.5, 47.25, 29.75]),
        ("single/rectangle.roi", 1, "rectangle", [43, 19, 86, 55]),
        ("single/oval.roi", 1, "oval", [97, 58, 131, 95]),
        ("single/polygon.roi", 1, "polygon", [65, 49, 174, 138]),
        ("single/freehand.roi", 1, "freehand", [95, 11, 181, 66]),
        ("single/freeline.roi", 1, "freeline", [41, 29, 160, 86]),
        ("single/polyline.roi", 1, "polyline", [61, 29, 146, 99]),
        ("single/line1.roi", 1, "line", [89, 52, 260, 103]),
        ("single/line2.roi", 1, "object", [100.5, 156.5, 132.5, 158.5]),
        ("single/multipoint.roi", 1, "multipoint", [56.66666793823242, 36, 198, 151.33334350585938]),
        ("single/point.roi", 1, "object", [68, 77.25, 68, 77.25]),
    ],
)
def test_real_roi_files(shared_data, name, count, class_name, first):
    boxes = imagej_roi.read_roi_set(shared_data / "imagej_roi" / name)
    assert len(boxes) == count
    assert boxes.names[0] == class_name
    assert boxes.xyxy[0].tolist() == first


# --- any of them


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
    with pytest.raises(RetinaJError, match="has no annotations"):
        read_annotations(tmp_path / "none")
    with pytest.raises(RetinaJError, match=r"gone\.json does not exist"):
        read_annotations(tmp_path / "gone.json")
    (tmp_path / "a.csv").touch()
    with pytest.raises(RetinaJError, match="not a known annotation format"):
        read_annotations(tmp_path / "a.csv")


def test_relabel_names_the_unknown_class():
    boxes = Boxes([[0, 0, 1, 1]], [1], ("a", "b"))
    assert relabel(boxes, ("b", "c"), "x").label.tolist() == [0]
    with pytest.raises(RetinaJError, match=r"x\.xml has objects of the class 'b'"):
        relabel(boxes, ("a", "c"), "x.xml")
