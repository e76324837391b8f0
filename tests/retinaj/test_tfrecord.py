"""TFRecord files and label maps of the TF2 Object Detection API: against its own decoder, round trips, and files that lie."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tempfile
import time
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retinaj.annotations import (
    Annotation,
    ObjectDetails,
    Reading,
    find_format,
    format_named,
    label_map,
    read_annotations,
    record_file,
    tfrecord,
    write_annotations,
)
from retinaj.annotations.embedded_images import FileNames
from retinaj.annotations.record_file import read_records, write_records
from retinaj.annotations.tf_example import encode
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.images import read_image

TFRECORD = format_named("tfrecord")
# Made by benchmarks/tf2_api_records.py --fixture: records by the API and by RetinaJ, and what the API's decoder says of both.
FIXTURE = Path(__file__).parent / "data" / "tf2_api"


def png(width=32, height=24, mode="L") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (width, height)).save(stream, "PNG")
    return stream.getvalue()


def example(corners=((0.25, 0.5, 0.75, 1.0),), texts=("cell",), labels=(), image=None, **more) -> bytes:
    """A record of a 32 x 24 image; `more` are further lists of whole numbers, such as image/object/difficult."""
    columns = dict(zip(("xmin", "ymin", "xmax", "ymax"), np.array(corners, np.float32).reshape(-1, 4).T, strict=True))
    return encode(
        contents={
            "image/encoded": [png() if image is None else image],
            "image/filename": [b"a.png"],
            "image/object/class/text": [text.encode() for text in texts],
        },
        integers={"image/object/class/label": labels, **{f"image/object/{name}": values for name, values in more.items()}},
        floats={f"image/object/bbox/{name}": values for name, values in columns.items()},
    )


def record(path: Path, *examples: bytes) -> Path:
    write_records(path, examples)
    return path


# --- the real API


def fixture(writer: str) -> list[tuple[Annotation, dict]]:
    """Each annotation that RetinaJ reads, with what the API's decoder says about the same record."""
    decoded = json.loads((FIXTURE / writer / "decoded.json").read_text(encoding="utf-8"))
    return list(zip(read_annotations(FIXTURE / writer), decoded, strict=True))


@pytest.mark.parametrize("writer", ["by_api", "by_retinaj"])
def test_retinaj_reads_what_the_api_decodes(tmp_path, writer):
    numbers = {name: number for number, name in label_map.read(FIXTURE / writer / "label_map.pbtxt").names.items()}
    pairs = fixture(writer)
    assert sum(len(annotation.boxes) for annotation, _ in pairs) > 2
    assert any(len(annotation.boxes) == 0 for annotation, _ in pairs)
    for annotation, seen in pairs:
        height, width, _ = seen["shape"]
        shares = np.array(seen["boxes"], np.float64).reshape(-1, 4)[:, [1, 0, 3, 2]]
        np.testing.assert_allclose(annotation.boxes.xyxy, shares * (width, height, width, height), rtol=1e-6, atol=1e-6)
        assert [numbers[name] for name in annotation.boxes.names] == seen["classes"] == seen["labels"]
        assert (annotation.size, annotation.image_name) == ((width, height), seen["filename"])
        details = [annotation.detail(at) for at in range(len(annotation.boxes))]
        assert [int(detail.difficult) for detail in details] == seen["difficult"]
        assert [detail.crowd for detail in details] == (seen["is_crowd"] or [False] * len(details))
        assert annotation.encoded is not None
        content = annotation.encoded()
        assert hashlib.sha256(content).hexdigest() == seen["encoded_sha256"]
        path = tmp_path / annotation.image_name
        path.write_bytes(content)
        image = read_image(path)
        assert annotation.depth == image.sizes.get("c", 1)
        if path.suffix == ".png":
            pixels = image.transpose("y", "x", ...).to_numpy()
            pixels = pixels >> 8 if pixels.dtype == np.uint16 else pixels
            pixels = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
            assert hashlib.sha256(pixels.astype(np.uint8).tobytes()).hexdigest() == seen["pixels_sha256"]


def test_retinaj_still_writes_the_bytes_that_the_api_has_decoded(tmp_path):
    write_annotations(tmp_path / "again", [annotation for annotation, _ in fixture("by_retinaj")], TFRECORD)
    written, proven = tmp_path / "again", FIXTURE / "by_retinaj"
    assert (written / "annotations.record").read_bytes() == (proven / "annotations.record").read_bytes()
    assert label_map.read(written / "label_map.pbtxt") == label_map.read(proven / "label_map.pbtxt")


# --- round trips


NAMES = st.lists(st.text("abcµ'\"\\{}#0:/", min_size=1, max_size=9) | st.just("two words"), min_size=1, max_size=4, unique=True)
SHARE = st.floats(-0.0625, 1.0625, width=32) | st.sampled_from([0, 0.25, 1])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_round_trip(data):
    names = data.draw(NAMES)
    width, height = data.draw(st.tuples(st.integers(1, 300), st.integers(1, 300)))
    shares = np.array(data.draw(st.lists(st.tuples(SHARE, SHARE, SHARE, SHARE), max_size=5)), np.float64).reshape(-1, 4)
    xyxy = shares * (width, height, width, height)
    xyxy = (np.trunc(xyxy) if data.draw(st.booleans(), "whole pixels") else xyxy).astype(np.float32)
    boxes = Boxes(xyxy, [data.draw(st.integers(0, len(names) - 1)) for _ in xyxy], tuple(names))
    flags = [data.draw(st.tuples(st.booleans(), st.booleans(), st.booleans())) for _ in xyxy]
    details = tuple(ObjectDetails(difficult=a, truncated=b, crowd=c) for a, b, c in flags)
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        (images / "a.png").write_bytes(png(width, height))
        one = Annotation(images, "a.png", boxes, (width, height), details=details)
        write_annotations(Path(folder) / "out", [one], TFRECORD, images=images)
        (read,) = read_annotations(Path(folder) / "out")
        assert read.encoded is not None
        assert read.encoded() == (images / "a.png").read_bytes()
    assert read.boxes.names == boxes.names
    assert [read.detail(at) for at in range(len(boxes))] == list(details)
    np.testing.assert_allclose(read.boxes.xyxy, xyxy, rtol=2e-7, atol=1e-30)
    whole = xyxy == np.rint(xyxy)
    np.testing.assert_array_equal(read.boxes.xyxy[whole], xyxy[whole])


def test_blood_cells_there_and_back(shared_data, tmp_path):
    images = shared_data / "bccd" / "BCCD" / "JPEGImages"
    every = read_annotations(shared_data / "bccd" / "BCCD" / "Annotations")
    voc = [each for each in every if "BloodImage_00330" <= each.source.stem < "BloodImage_00370"]
    assert any(min(each.boxes.width.min(), each.boxes.height.min()) <= 1 for each in voc)  # BloodImage_00338 and 00343
    write_annotations(tmp_path / "records", voc, TFRECORD, images=images)
    assert sorted(path.name for path in (tmp_path / "records").iterdir()) == ["annotations.record", "label_map.pbtxt"]
    read = read_annotations(tmp_path / "records")
    for one, other in zip(read, voc, strict=True):
        assert (one.image_name, one.size, one.depth) == (other.image_name, other.size, 3)
        assert one.boxes.names == other.boxes.names
        np.testing.assert_array_equal(one.boxes.xyxy, other.boxes.xyxy)
        assert one.encoded is not None
        assert one.encoded() == (images / one.image_name).read_bytes()
    # Records carry their images: they need no folder to be written again.
    write_annotations(tmp_path / "again", read, TFRECORD)
    for path in (tmp_path / "records").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


# --- images


GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (GREY, np.uint8),
        (np.stack([GREY, GREY, GREY + 1], 2), np.uint8),
        (GREY.astype(np.uint16) * 5000, np.uint16),
        (np.stack([GREY.astype(np.uint16) * 5000] * 3, 2), np.uint16),
        (GREY.astype(np.float32) * 300, np.uint16),
        (GREY.astype(np.int32), np.uint16),
    ],
    ids=["grey8", "rgb8", "grey16", "rgb16", "whole float", "int32"],
)
def test_tiff_goes_in_as_png_with_every_value(tmp_path, pixels, expected):
    colour = "rgb" if pixels.ndim == 3 else "minisblack"
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.tif", pixels, photometric=colour)
    one = Annotation(tmp_path, "a.tif", Boxes([[0, 0, 2, 3]], [0], ("cell",)))
    write_annotations(tmp_path / "out", [one], TFRECORD, images=tmp_path / "images")
    (read,) = read_annotations(tmp_path / "out")
    assert (read.image_name, read.size) == ("a.png", (4, 3))
    assert read.encoded is not None
    (tmp_path / "a.png").write_bytes(read.encoded())
    image = read_image(tmp_path / "a.png")
    assert image.dtype == expected
    np.testing.assert_array_equal(image.transpose("y", "x", ...), pixels)


@pytest.mark.parametrize(
    ("pixels", "metadata", "reason"),
    [
        (GREY / 7, {}, "values that PNG images do not hold"),
        (GREY.astype(np.int16) - 5, {}, "it has -5 to 6"),
        (np.full((3, 4), np.nan, np.float32), {}, "values that PNG images do not hold"),
        (np.stack([GREY] * 5), {"axes": "ZYX"}, "is a stack (z = 5)"),
        (np.stack([GREY] * 2), {"axes": "CYX"}, "has 2 channels"),
    ],
    ids=["fractions", "negative", "nan", "stack", "channels"],
)
def test_images_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path, pixels, metadata, reason):
    (tmp_path / "images").mkdir()
    imagej = bool(metadata)
    tifffile.imwrite(tmp_path / "images" / "a.tif", pixels, imagej=imagej, metadata=metadata or None, photometric="minisblack")
    one = Annotation(tmp_path, "a.tif", Boxes([[0, 0, 2, 3]], [0], ("cell",)))
    with pytest.raises(RetinaJError) as caught:
        write_annotations(tmp_path / "out", [one], TFRECORD, images=tmp_path / "images")
    assert reason in str(caught.value)
    assert str(tmp_path / "images" / "a.tif") in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_writing_needs_the_images_and_boxes_near_them(tmp_path):
    one = Annotation(tmp_path / "a.xml", "a.png", Boxes([[0, 0, 2, 3], [0, 0, 40, 20]], [0, 0], ("cell",)))
    with pytest.raises(RetinaJError, match=r"have the images in them; name their folder with --images"):
        write_annotations(tmp_path / "out", [one], TFRECORD)
    (tmp_path / "images").mkdir()
    with pytest.raises(RetinaJError, match=r"its image 'a\.png' is not in"):
        write_annotations(tmp_path / "out", [one], TFRECORD, images=tmp_path / "images")
    (tmp_path / "images" / "a.png").write_bytes(png(32, 24))
    with pytest.raises(RetinaJError, match=r"a\.xml: box 2 \(cell; 0, 0, 40, 20\) reaches far out of a\.png"):
        write_annotations(tmp_path / "out", [one], TFRECORD, images=tmp_path / "images")


def test_images_of_one_stem_get_different_names(tmp_path):
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.tif", GREY)
    (tmp_path / "images" / "a.png").write_bytes(png())
    both = [Annotation(tmp_path, name, Boxes([[0, 0, 2, 3]], [0], ("cell",))) for name in ("a.png", "a.tif")]
    write_annotations(tmp_path / "out", both, TFRECORD, images=tmp_path / "images")
    assert [each.image_name for each in read_annotations(tmp_path / "out")] == ["a.png", "a.tif.png"]


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("cell.png", "cell.png"),
        ("C:\\Users\\x\\cell.PNG", "cell.png"),
        ("../../etc/cell.jpg", "cell.png"),
        ("/", "image.png"),
        ("..", "image.png"),
        ("", "image.png"),
        (".hidden", "hidden.png"),
        ("a\0b\n?.png", "a_b__.png"),
        ("nul.tar.png", "_nul.tar.png"),
        ("2.5 um", "2.5 um.png"),
        ("é.png", "é.png"),
        ("µ" * 300 + ".png", "µ" * 100 + ".png"),
    ],
)
def test_file_names_are_safe_everywhere(wanted, given):
    assert FileNames().safe(wanted, "png") == given


def test_file_names_are_all_different_whatever_the_case():
    names = FileNames()
    given = [names.safe(name, "jpeg") for name in ("a.jpg", "A.JPEG", "a.png", "a-2.jpg", "é.jpg", "e\u0301.jpg")]
    assert given == ["a.jpg", "A-2.jpeg", "a-3.jpg", "a-2-2.jpg", "é.jpg", "é-2.jpg"]
    begin = time.perf_counter()
    many = {names.safe("a.jpg", "jpeg") for _ in range(50_000)}
    assert len(many) == 50_000
    assert time.perf_counter() - begin < 10


# --- records


def test_classes_come_from_the_text_the_label_map_or_both(tmp_path):
    path = record(tmp_path / "a.record", example(labels=[7]), example(texts=["Cell"], labels=[2]))
    assert [each.boxes.class_names for each in read_annotations(path)] == [("Cell", "cell")] * 2  # in the order of 2 and 7
    path = record(tmp_path / "numbers" / "a.record", example(texts=(), labels=[3]))
    with pytest.raises(RetinaJError, match=r"has only numbers for classes; put its label_map\.pbtxt beside it"):
        read_annotations(path)
    classes = tmp_path / "numbers" / "my_label_map.pbtxt"
    label_map.write(classes, ["a", "b", "c"])
    assert read_annotations(path)[0].boxes.names == ["c"]
    assert read_annotations(path, Reading(classes=classes))[0].boxes.names == ["c"]
    (tmp_path / "numbers" / "other_labels.pbtxt").write_text("item { id: 3 name: '/m/01' display_name: 'Red cell' }")
    with pytest.raises(RetinaJError, match=r"several label maps, my_label_map\.pbtxt and other_labels\.pbtxt"):
        read_annotations(path)
    other = Reading(classes=tmp_path / "numbers" / "other_labels.pbtxt")
    assert read_annotations(path, other)[0].boxes.names == ["Red cell"]
    path = record(tmp_path / "b.record", example(texts=["/m/01"]))
    assert read_annotations(path, other)[0].boxes.names == ["Red cell"]


def test_a_broken_object_does_not_hide_the_others(tmp_path):
    corners = [(0, 0, 0.5, 0.5), (0, 0, np.nan, 1), (0, 0, 153, 1), (0, 0, 1, 1), (0, 0, 1, 1)]
    broken = example(corners, ["a", "a", "a", "", "b"], difficult=[0, 1, 1, 1, 1])
    (read,) = read_annotations(record(tmp_path / "a.record", broken))
    assert read.boxes.xyxy.tolist() == [[0, 0, 16, 12], [0, 0, 32, 24]]
    assert read.places == ("record 1, object 1", "record 1, object 5")
    assert [detail.difficult for detail in read.details] == [False, True]
    assert read.faults == (
        "record 1, object 2: xmax is nan; expected a share of the image's width, from 0 to 1.",
        "record 1, object 3: xmax is 153; expected a share of the image's width, from 0 to 1.",
        "record 1, object 4 has no class; expected its name in class/text or its number in class/label.",
    )


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (example(texts=["a", "b"]), "record 1 has 1 boxes and 2 values of class/text; expected one for each."),
        (example(is_crowd=[0, 0]), "record 1 has 1 boxes and 2 values of is_crowd; expected one for each."),
        (example(texts=()), "record 1, object 1 has no class; expected its name in class/text or its number in class/label."),
        (
            example(texts=["a\0b"]),
            "record 1, object 1: the name 'a\\x00b' contains the control character '\\x00'; remove it.",
        ),
    ],
)
def test_faults_of_a_record(tmp_path, broken, fault):
    (read,) = read_annotations(record(tmp_path / "a.record", broken))
    assert read.faults == (fault,)
    assert len(read.boxes) == 0


def test_corners_that_are_not_as_many(tmp_path):
    uneven = encode(
        contents={"image/encoded": [png()]},
        floats={"image/object/bbox/xmin": np.zeros(2, np.float32), "image/object/bbox/xmax": np.ones(1, np.float32)},
    )
    (read,) = read_annotations(record(tmp_path / "a.record", uneven))
    assert read.faults == ("record 1 has 2 values of xmin and 0 of ymin; expected as many.",)


def test_groups_are_crowds(tmp_path):
    (read,) = read_annotations(record(tmp_path / "a.record", example(group_of=[1])))
    assert read.detail(0).crowd


def test_the_image_decides_about_the_size(tmp_path):
    sized = encode(contents={"image/encoded": [png(32, 24)]}, integers={"image/width": [640], "image/height": [480]})
    (read,) = read_annotations(record(tmp_path / "a.record", sized))
    assert read.size == (32, 24)
    assert read.notes == ("says that its image has 640 x 480 pixels, but it has 32 x 24, by which the boxes are placed",)


def test_records_without_images(tmp_path):
    sized = encode(contents={"image/filename": [b"a.png"]}, integers={"image/width": [640], "image/height": [480]})
    (read,) = read_annotations(record(tmp_path / "a.record", sized))
    assert (read.image_name, read.size, read.encoded) == ("a.png", (640, 480), None)
    bare = record(tmp_path / "b.record", encode(contents={"image/filename": [b"a.png"]}))
    with pytest.raises(RetinaJError, match="neither images nor their sizes; name their folder with --images"):
        read_annotations(bare)
    (tmp_path / "a.png").write_bytes(png(32, 24))
    assert read_annotations(bare, Reading(images=tmp_path))[0].size == (32, 24)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no message", "is not a tf.train.Example"),
        (b"", "has neither an image (image/encoded) nor the name of one"),
        (encode(integers={"label": [1]}), "Its features are: label."),
        (encode(contents={"image/encoded": [b"GIF89a"]}), "its image is neither PNG nor JPEG"),
        (encode(contents={"image/encoded": [png()[:20]]}), "its image is damaged"),
        (encode(contents={"image/encoded": [png()], "image/filename": [b"\xff"]}), "image/filename is not UTF-8 text"),
        (encode(integers={"image/encoded": [1]}), "image/encoded is stored as whole numbers; expected texts or bytes"),
        (
            encode(contents={"image/encoded": [png()]}, integers={"image/object/bbox/xmin": [1]}),
            "image/object/bbox/xmin is stored as whole numbers; expected numbers",
        ),
    ],
)
def test_records_of_something_else(tmp_path, data, reason):
    path = record(tmp_path / "a.record", example(), data)
    with pytest.raises(RetinaJError, match=r"a\.record: record 2 ?") as caught:
        read_annotations(path)
    assert reason in str(caught.value)


def test_an_image_that_claims_to_be_huge_is_not_decoded(tmp_path):
    header = struct.pack(">II5B", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)
    huge = png()[:16] + header + png()[29:]
    with pytest.raises(RetinaJError, match="larger than RetinaJ decodes"):
        read_annotations(record(tmp_path / "a.record", example(image=huge)))


# --- files


def checksum(data: bytes) -> bytes:
    value = google_crc32c.value(data)
    return struct.pack("<I", (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def claim(length: int, data: bytes) -> bytes:
    size = struct.pack("<Q", length)
    return size + checksum(size) + data + checksum(data)


GOOD = claim(4, b"data")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello, I am no record file", "is not a TFRecord file"),
        (GOOD[:7], "is not a TFRecord file"),
        (b"\x1f\x8b" + bytes(20), "is compressed with gzip"),
        (GOOD[:-1], "record 1 says that it has 4 bytes, but only 3 are left"),
        (GOOD + GOOD[:5], "is cut short within record 2"),
        (GOOD + claim(2**60, b"data"), "record 2 says that it has 1,152,921,504,606,846,976 bytes, but only 4 are left"),
        (GOOD + claim(2**64 - 1, b""), "record 2 says that it has 18,446,744,073,709,551,615 bytes, but only 0 are left"),
        (GOOD + b"x" + GOOD[1:], "the length of record 2 contradicts its checksum"),
        (GOOD + GOOD[:12] + b"dato" + GOOD[16:], "record 2 contradicts its checksum"),
    ],
)
def test_damaged_files_give_one_clear_error(tmp_path, content, reason):
    path = tmp_path / "a.record"
    path.write_bytes(content)
    assert find_format(path) is TFRECORD
    with pytest.raises(RetinaJError, match=r"a\.record") as caught:
        list(read_records(path))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_records_of_absurd_size_are_neither_read_nor_written(tmp_path, monkeypatch):
    path = record(tmp_path / "a.record", bytes(2**20 + 1))
    monkeypatch.setattr(record_file, "MAX_RECORD_BYTES", 2**20)
    with pytest.raises(RetinaJError, match=r"record 1 has 1,048,577 bytes; RetinaJ reads up to 1 MB"):
        list(read_records(path))
    with pytest.raises(RetinaJError, match=r"Record 1 for .* would have 1,048,577 bytes"):
        record(tmp_path / "b.record", bytes(2**20 + 1))
    assert [each.name for each in tmp_path.iterdir()] == ["a.record"]


def test_too_many_objects_end_the_reading(tmp_path):
    path = record(tmp_path / "a.record", example(corners=np.zeros((100_001, 4)), texts=["a"] * 100_001))
    begin = time.perf_counter()
    with pytest.raises(RetinaJError, match=r"record 1: image/object/bbox/xmin has 100,001 values; RetinaJ reads up to 100,000"):
        read_annotations(path)
    assert time.perf_counter() - begin < 10


def test_too_many_images_or_classes_end_the_reading(tmp_path, monkeypatch):
    path = record(tmp_path / "a.record", *(example(texts=[f"class {at}"]) for at in range(4)))
    monkeypatch.setattr(tfrecord, "MAX_CLASSES", 3)
    with pytest.raises(RetinaJError, match="has 4 classes; RetinaJ reads up to 3"):
        read_annotations(path)
    monkeypatch.setattr(tfrecord, "MAX_IMAGES", 3)
    with pytest.raises(RetinaJError, match="has more than 3 records"):
        read_annotations(path)


def test_sets_in_many_files(tmp_path):
    for at in range(3):
        record(tmp_path / f"train.tfrecord-{at:05}-of-00003", *[example()] * (2 - at))  # the last has none, as may happen
    record(tmp_path / "val.record", example())
    (tmp_path / "notes.txt").write_text("other files may lie there")
    assert find_format(tmp_path) is TFRECORD
    read = read_annotations(tmp_path)
    assert [each.source.name[:5] for each in read] == ["train", "train", "train", "val.r"]
    assert [each.image_name for each in read] == ["a.png", "a-2.png", "a-3.png", "a-4.png"]
    (one,) = read_annotations(tmp_path / "train.tfrecord-00001-of-00003")
    assert one.notes == ("is from one of 3 files; name their folder to read all",)
    (tmp_path / "train.tfrecord-00001-of-00003").unlink()
    with pytest.raises(RetinaJError, match=r"has 2 of the 3 files .*: train\.tfrecord-00001-of-00003 is missing"):
        read_annotations(tmp_path)


def test_nothing_to_read(tmp_path):
    with pytest.raises(RetinaJError, match="has no TFRecord files in it"):
        read_annotations(tmp_path, Reading(format="tfrecord"))
    with pytest.raises(RetinaJError, match=r"a\.record has no records in it"):
        read_annotations(record(tmp_path / "a.record"))
    with pytest.raises(RetinaJError, match=r"b\.record does not exist"):
        read_annotations(tmp_path / "b.record", Reading(format="tfrecord"))


def test_the_content_tells_whatever_the_name(tmp_path):
    path = record(tmp_path / "cells.dat", example())
    assert find_format(path) is TFRECORD
    assert len(read_annotations(path)) == 1
    assert not TFRECORD.recognises(tmp_path)
