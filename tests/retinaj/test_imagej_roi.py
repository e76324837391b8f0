"""ImageJ ROIs: the round trip, the conventions, and files that lie."""

from __future__ import annotations

import struct
import tempfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import roifile
import tifffile
from annotation_files import any_boxes, roi_bytes, same_objects, write_zip
from hypothesis import given, settings
from hypothesis import strategies as st

from retinaj.annotations import (
    Annotation,
    ObjectDetails,
    Reading,
    find_format,
    imagej_files,
    imagej_roi,
    losses,
    read_annotations,
    write_annotations,
)
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
    monkeypatch.setattr(imagej_files, "MAX_ROI_BYTES", 2**16)
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


@pytest.mark.usefixtures("no_garbage_collection")
def test_roi_names_cost_no_more_than_their_length():
    begin = time.thread_time()
    for name in ("_" * 100_000 + "x", "-1" * 50_000 + "x", "_.1" * 30_000 + "x", "x" + " " * 100_000 + "0.x", "1-" * 50_000):
        assert imagej_roi.parse_name(name) == (name, None)
    assert time.thread_time() - begin < 2


def test_what_single_rois_say_survives_writing_and_reading(tmp_path):
    boxes = Boxes([[0, 0, 5, 5]] * 4, [0, 1, 1, 0], ("RBC", "WBC")).on_plane(2, 1, 3)
    details = (
        ObjectDetails(name="RBC-2", group=3, colour=(1, 2, 3)),
        ObjectDetails(name="Jane's cell", group=1000, colour=(4, 5, 6), properties={"a:b\\": " µ\n🦠", "score": "high"}),
        ObjectDetails(name="0001-0002", group=-4, colour=(7, 8, 9)),
        ObjectDetails(colour=(7, 8, 9), properties={"group": "control"}),
    )
    one = Annotation(tmp_path, "a.png", boxes, details=details)
    assert losses([one], imagej_roi.FORMAT) is None
    write_annotations(tmp_path / "out", [one], imagej_roi.FORMAT)
    (read,) = read_annotations(tmp_path / "out")
    assert read.boxes.names == boxes.names
    assert read.boxes.plane.tolist() == boxes.plane.tolist()
    # a name that ImageJ makes itself says nothing
    assert read.details == (details[0], details[1], replace(details[2], name=""), details[3])
    assert read.places[1] == "ROI 2 (WBC)"


def test_scores_are_kept_in_full_until_a_person_renames_the_roi(tmp_path):
    path = tmp_path / "a.zip"
    imagej_roi.write_roi_set(path, Boxes([[0, 0, 5, 5]] * 2, [0, 0], ("RBC",), [0.9731, 0.5]))
    np.testing.assert_allclose(imagej_roi.read_roi_set(path).score, [0.9731, 0.5], atol=1e-6)
    with zipfile.ZipFile(path) as archive:
        rois = [roifile.ImagejRoi.frombytes(archive.read(name)) for name in archive.namelist()]
    rois[0].name = "WBC"
    write_zip(tmp_path / "b.zip", {f"{at}.roi": roi.tobytes() for at, roi in enumerate(rois)})
    read = imagej_roi.read_roi_set(tmp_path / "b.zip")
    assert (read.names, read.score) == (["WBC", "RBC"], None)


def class_from(path: Path, rule: str) -> list[str]:
    (read,) = read_annotations(path, Reading(class_from=rule))
    return [*read.boxes.names, *read.faults]


def test_the_class_is_taken_from_where_it_is_said_to_be(tmp_path):
    path = tmp_path / "a.zip"
    write_zip(
        path,
        {
            "1.roi": roi_bytes(name="plate1_RBC_07", group=2, props="type: red\ncell type: old one\n"),
            "2.roi": roi_bytes(name="plate1_WBC_08 0.50", group=9, props="type: white\n"),
            "3.roi": roi_bytes(name="0001-0002"),
        },
    )
    assert class_from(path, "name") == ["plate1_RBC_07", "plate1_WBC_08", "object"]
    group = class_from(path, "group")
    assert group[:2] == ["group 2", "group 9"]
    assert group[2].startswith("ROI 3 (3) is in no group")
    kind = class_from(path, "property:type")
    assert kind[:2] == ["red", "white"]
    assert kind[2] == "ROI 3 (3) has no property 'type', which should say its class; its properties: none."
    assert class_from(path, "property:cell type")[0] == "old one"
    expression = class_from(path, "_([A-Z]+)_")
    assert expression[:2] == ["RBC", "WBC"]
    assert expression[2] == "ROI 3 (3) has the name '0001-0002', in which the expression '_([A-Z]+)_' finds no class."


@pytest.mark.parametrize("rule", ["nmae", "(", "(a)(b)", "property:", "x" * 1001 + "()", "(?P<x>", ""])
def test_a_rule_that_is_none_is_refused(tmp_path, rule):
    (tmp_path / "a.roi").write_bytes(roi_bytes(name="a"))
    with pytest.raises(RetinaJError, match="class of ROIs"):
        class_from(tmp_path / "a.roi", rule)


@pytest.mark.usefixtures("no_garbage_collection")
def test_an_expression_that_would_take_for_ever_elsewhere_takes_no_time(tmp_path):
    (tmp_path / "a.roi").write_bytes(roi_bytes(name="a" * 200 + "!"))
    begin = time.thread_time()
    (fault,) = class_from(tmp_path / "a.roi", r"^((?:a|aa|a?a)+)$")
    assert "finds no class" in fault
    assert time.thread_time() - begin < 3


def overlaid(path: Path, shape: tuple[int, ...], axes: str, **metadata) -> None:
    tifffile.imwrite(path, np.zeros(shape, np.uint8), imagej=True, metadata={"axes": axes, **metadata})


def test_overlays_inside_tiffs_are_annotations_where_there_are_no_roi_files(tmp_path):
    overlaid(tmp_path / "a.tif", (20, 30), "YX", Overlays=[roi_bytes(name="RBC"), roi_bytes(name="WBC", position=1)])
    overlaid(tmp_path / "b.tiff", (6, 20, 30), "TYX", ROI=roi_bytes(name="WBC", position=5))
    overlaid(tmp_path / "c.tif", (20, 30), "YX")
    overlaid(tmp_path / "d.tif", (20, 30), "YX", Overlays=[roi_bytes(name="from the overlay")])
    assert find_format(tmp_path).name == "imagej"
    first, second, last = read_annotations(tmp_path)
    assert (first.image_name, first.size, first.boxes.names) == ("a.tif", (30, 20), ["RBC", "WBC"])
    assert first.notes == ("1 of its 2 ROIs have no position in the stack and count for its first plane",)
    assert first.places == ("ROI 1 (RBC)", "ROI 2 (WBC)")
    assert (second.image_name, second.boxes.plane.tolist()) == ("b.tiff", [[4, 0, 0]])
    assert last.stem == "d"
    write_zip(tmp_path / "d_RoiSet.zip", {"x.roi": roi_bytes(name="from the set")})
    assert [each.boxes.names for each in read_annotations(tmp_path)] == [["from the set"], ["RBC", "WBC"], ["WBC"]]
    assert imagej_roi.read_roi_set(tmp_path / "a.tif").names == ["RBC", "WBC"]


def test_images_without_overlays_are_no_annotations(tmp_path):
    overlaid(tmp_path / "c.tif", (20, 30), "YX")
    (tmp_path / "broken.tif").write_bytes(b"II*\0" + b"\xff" * 200)
    with pytest.raises(RetinaJError, match="has no annotations"):
        find_format(tmp_path)
    with pytest.raises(RetinaJError, match="no TIFF with an overlay"):
        read_annotations(tmp_path, Reading(format="imagej"))
    with pytest.raises(RetinaJError, match=r"broken\.tif"):
        imagej_roi.read_roi_set(tmp_path / "broken.tif")


def test_one_number_for_the_plane_means_what_the_image_has(tmp_path):
    for name, axes, plane in (("frames", "TYX", [4, 0, 0]), ("slices", "ZYX", [0, 0, 4]), ("both", "TCYX", [2, 0, 0])):
        folder = tmp_path / name
        folder.mkdir()
        shape = {"TYX": (6, 20, 30), "ZYX": (6, 20, 30), "TCYX": (3, 2, 20, 30)}[axes]
        overlaid(folder / "a.tif", shape, axes)
        write_zip(folder / "rois" / "a_RoiSet.zip", {"x.roi": roi_bytes(name="cell", position=5)})
        (read,) = read_annotations(folder / "rois", Reading(images=folder))
        assert read.boxes.plane.tolist() == [plane]
        write_annotations(folder / "out", [read], imagej_roi.FORMAT, images=folder)
        (roi,) = roifile.roiread(folder / "out" / "a_RoiSet.zip")
        assert (roi.position, roi.t_position) == ((0, 3) if axes == "TCYX" else (5, 0))
    (read,) = read_annotations(tmp_path / "frames" / "rois")
    assert read.boxes.plane.tolist() == [[0, 0, 4]]


def test_one_damaged_roi_does_not_hide_the_others(tmp_path):
    path = tmp_path / "a.zip"
    nan = roifile.ImagejRoi.frompoints([[0.5, 0], [5, 5], [9, 9]], name="nan")
    nan.subpixel_coordinates[2, 1] = np.nan
    unknown = bytearray(roi_bytes(name="unknown"))
    unknown[6] = 99
    points = roifile.ImagejRoi.frompoints([[0.5, 0], [5, 5]], name="points")
    points.roitype = roifile.ROI_TYPE.POINT
    entries = {"1.roi": b"Iout", "2.roi": nan.tobytes(), "3.roi": bytes(unknown), "4.roi": points.tobytes()}
    write_zip(path, {**entries, "__MACOSX/._4.roi": b"rubbish", "notes.txt": b"hello"})
    (read,) = read_annotations(path)
    assert read.boxes.names == ["points"]
    assert read.notes == ("ROI 4 (4) has 2 points and became one box around them",)
    damaged, absurd, strange = read.faults
    assert damaged.startswith("ROI 1 (1) is not an ImageJ ROI or is damaged")
    assert absurd.startswith("ROI 2 (2) has the corners")
    assert strange == "ROI 3 (3) is of the type 99, which is none of ImageJ's."
    with pytest.raises(RetinaJError, match=r"ROI 1 .*2 more"):
        imagej_roi.read_roi_set(path)


def test_a_zip_of_other_things_is_no_roi_set(tmp_path):
    write_zip(tmp_path / "a.zip", {"image.png": b"x"})
    with pytest.raises(RetinaJError, match="not a known annotation format"):
        find_format(tmp_path / "a.zip")
    with pytest.raises(RetinaJError, match=r"without any \.roi"):
        imagej_roi.read_roi_set(tmp_path / "a.zip")


@pytest.mark.usefixtures("no_garbage_collection")
def test_ten_thousand_rois_take_seconds(tmp_path):
    path = tmp_path / "a.zip"
    count = 10_000
    boxes = Boxes(np.tile(np.array([[1.5, 2, 9, 9]], np.float32), (count, 1)), [0] * count, ("cell",), [0.5] * count)
    begin = time.thread_time()
    imagej_roi.write_roi_set(path, boxes)
    assert len(imagej_roi.read_roi_set(path)) == count
    assert time.thread_time() - begin < 20  # about two


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
