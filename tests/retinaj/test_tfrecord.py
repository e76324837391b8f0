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
    for name in ("annotations.record", "label_map.pbtxt"):
        assert (tmp_path / "again" / name).read_bytes() == (FIXTURE / "by_retinaj" / name).read_bytes()


# --- round trips


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_round_trip(data):
    width, height = data.draw(st.tuples(st.integers(1, 5000), st.integers(1, 5000)))
    names = data.draw(st.lists(st.text("abcµ '\"\\{}#0", min_size=1).filter(lambda t: " ".join(t.split()) == t), min_size=1, unique=True))
    share = st.one_of(st.floats(-0.1, 1.1, width=32), st.integers(0, 1))
    corners = data.draw(st.lists(st.tuples(share, share, share, share), max_size=5))
    xyxy = np.array(corners, np.float32).reshape(-1, 4) * np.float32([width, height, width, height])
    xyxy = np.rint(xyxy) if data.draw(st.booleans()) else xyxy
    inside = (xyxy >= np.float32(-0.09) * max(1, 0)) | (xyxy < 0)
    assert inside.all()
    xyxy = np.clip(xyxy, -0.1 * min(width, height), [1.09 * width, 1.09 * height, 1.09 * width, 1.09 * height]).astype(np.float32)
    label = [data.draw(st.integers(0, len(names) - 1)) for _ in corners]
    details = tuple(ObjectDetails(*(data.draw(st.booleans()) for _ in range(2)), crowd=data.draw(st.booleans())) for _ in corners)
    boxes = Boxes(xyxy, label, names)
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
    # 32-bit shares of 5,000 pixels; whole numbers come back exactly
    np.testing.assert_allclose(read.boxes.xyxy, boxes.xyxy, rtol=3e-7, atol=1e-7)
    whole = boxes.xyxy == np.rint(boxes.xyxy)
    assert (read.boxes.xyxy[whole] == boxes.xyxy[whole]).all()
    assert [read.detail(at) for at in range(len(boxes))] == list(details)
