"""Annotations made by code for the tests of their formats."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import roifile
from hypothesis import strategies as st

from retinaj.boxes import Boxes

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


def roi_bytes(**fields) -> bytes:
    return roifile.ImagejRoi(roitype=roifile.ROI_TYPE.RECT, right=5, bottom=5, **fields).tobytes()


def write_zip(path: Path, entries: dict[str, bytes]) -> None:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
