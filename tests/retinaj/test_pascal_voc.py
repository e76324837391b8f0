"""PASCAL VOC: the round trip, the conventions, and files that lie."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from annotation_files import any_boxes, same_objects, voc, voc_object
from hypothesis import given, settings

from retinaj.annotations import pascal_voc, require_sound
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError


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
