"""ImageJ ROIs: the round trip, the conventions, and files that lie."""

from __future__ import annotations

import struct
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import roifile
from annotation_files import any_boxes, roi_bytes, same_objects, write_zip
from hypothesis import given, settings
from hypothesis import strategies as st

from retinaj.annotations import imagej_roi
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError

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
