"""COCO: the round trip, the conventions, and files that lie."""

from __future__ import annotations

import json
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from annotation_files import NAMES, any_boxes, coco_content, same_objects
from faster_coco_eval.core import mask as coco_masks
from hypothesis import given, settings
from hypothesis import strategies as st

from retinaj.annotations import Annotation, coco, require_sound
from retinaj.annotations.segmentation import segmentation_corners
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
        (json.dumps([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}]), "a list of COCO results"),
        ("[" * 100_000, "not a COCO annotation"),
        ('{"images": [], "annotations": [], "info": ' + "[" * 10_000, "not a COCO annotation"),
        ('{"images": [], "annotations": [], "categories": 1' + "0" * 100_000 + "}", "not a COCO annotation"),
        ('{"images": []}', "annotations: Field required"),
        (json.dumps(coco_content(categories=[])), "categories"),
        (json.dumps(coco_content(images=[{"id": 1}])), "images.0.file_name"),
        (json.dumps(coco_content(images=[{"id": 7, "file_name": "a"}, {"id": 7, "file_name": "b"}])), "two image entries"),
        (json.dumps(coco_content(annotations=[{"image_id": 8, "category_id": 3, "bbox": [0, 0, 1, 1]}])), "has the image 8"),
        (json.dumps(coco_content(annotations=[{"image_id": 7, "category_id": 8, "bbox": [0, 0, 1, 1]}])), "has the category 8"),
        (json.dumps(coco_content(annotations=[{"image_id": 7, "category_id": 3, "bbox": [0, 0, 1]}])), "expected [x, y, width"),
        (json.dumps(coco_content(annotations=[{"image_id": 7, "category_id": 3}])), "neither a bbox nor a segmentation"),
        (
            json.dumps(coco_content(annotations=[{"image_id": 7, "category_id": 3, "bbox": [0, 0, 1, float("nan")]}])),
            "has the bbox [0, 0, 1, nan]",
        ),
        (
            json.dumps(coco_content(annotations=[{"image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 1e300]}])),
            "has the bbox [0, 0, 1, 1e+300]",
        ),
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


def segmented(segmentation, **changes) -> dict:
    item = {"image_id": 7, "category_id": 3, "segmentation": segmentation}
    return coco_content(annotations=[item | changes, {"image_id": 7, "category_id": 90, "bbox": [1, 1, 2, 2]}])


def read_one(tmp_path, content: dict):
    path = tmp_path / "a.json"
    path.unlink(missing_ok=True)
    path.write_text(json.dumps(content))
    return coco.read(path)[0]


@pytest.mark.parametrize("bbox", [{}, {"bbox": []}, {"bbox": None}])
def test_an_object_without_a_bbox_gets_the_box_of_its_segmentation(tmp_path, bbox):
    first = read_one(tmp_path, segmented([[1, 2, 9, 2, 9, 5.5], [0.5, 3, 2, 3, 2, 4]], **bbox))
    assert first.boxes.xyxy.tolist() == [[0.5, 2, 9, 5.5], [1, 1, 3, 3]]
    assert (first.faults, first.boxes.names) == ((), ["debris", "cell"])
    assert read_one(tmp_path, segmented([1, 2, 9, 2, 9, 5.5], **bbox)).boxes.xyxy[0].tolist() == [1, 2, 9, 5.5]


def masks() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    found = [random.random((random.integers(1, 40), random.integers(1, 40))) < share for share in (0.001, 0.01, 0.1, 0.9) * 8]
    large = np.zeros((3000, 2000), np.bool_)
    large[500:2900, 700:1999] = True
    return [mask for mask in (*found, large, np.ones((7, 5), np.bool_), np.eye(9, dtype=np.bool_)) if mask.any()]


def test_masks_in_run_lengths_have_the_box_of_their_pixels():
    for mask in masks():
        y, x = np.nonzero(mask)
        expected = (x.min(), y.min(), x.max() + 1, y.max() + 1)
        compressed = coco_masks.encode(np.asfortranarray(mask, np.uint8))
        text = compressed["counts"].decode() if isinstance(compressed["counts"], bytes) else compressed["counts"]
        size = list(mask.shape)
        assert segmentation_corners({"size": size, "counts": text}) == expected
        flat = mask.ravel(order="F")
        edges = np.flatnonzero(np.diff(flat)) + 1
        counts = np.diff([0, *([0] if flat[0] else []), *edges, flat.size]).tolist()
        assert segmentation_corners({"size": size, "counts": counts}) == expected


HUGE = 10**9 - 1


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([[1, 2, 3]], "a polygon that is no list"),
        ([[]], "a polygon that is no list"),
        ([[1, 2], "ab"], "a polygon that is no list"),
        ([[1, 2, 3, float("inf")]], "a polygon that is no list"),
        ("1 2 3", "no polygon and no mask"),
        (5, "no polygon and no mask"),
        ({"counts": [1]}, "whose size"),
        ({"size": [0, 5], "counts": [0]}, "whose size"),
        ({"size": [10**12, 10**12], "counts": [1]}, "whose size"),
        ({"size": [2, 2]}, "no run lengths"),
        ({"size": [2, 2], "counts": [1, -1, 4]}, "no run lengths"),
        ({"size": [2, 2], "counts": [1, 2.5]}, "no run lengths"),
        ({"size": [2, 2], "counts": [1, 10**40]}, "no run lengths"),
        ({"size": [2, 2], "counts": [1, 1]}, "do not add up to its 2 x 2 pixels"),
        ({"size": [HUGE, HUGE], "counts": [HUGE * HUGE] * 19}, "do not add up"),
        ({"size": [2, 2], "counts": []}, "do not add up"),
        ({"size": [2, 2], "counts": [4]}, "without a pixel"),
        ({"size": [2, 2], "counts": ""}, "COCO's compressed text"),
        ({"size": [2, 2], "counts": "ä"}, "COCO's compressed text"),
        ({"size": [2, 2], "counts": " 1"}, "COCO's compressed text"),
        ({"size": [2, 2], "counts": "oooo"}, "COCO's compressed text"),
        ({"size": [2, 2], "counts": "o" * 100 + "0"}, "absurd run length"),
        ({"size": [HUGE, HUGE], "counts": "oooooo0" * 1000}, "do not add up"),
    ],
)
def test_a_bad_segmentation_is_a_fault_of_its_object_alone(tmp_path, segmentation, reason):
    first = read_one(tmp_path, segmented(segmentation))
    assert len(first.boxes) == 1
    assert len(first.faults) == 1
    assert first.faults[0].startswith("annotation 1 has no bbox, and as segmentation")
    assert reason in first.faults[0]


@pytest.mark.usefixtures("no_garbage_collection")
def test_a_mask_of_absurd_size_costs_nothing(tmp_path):
    side = 10**7
    begin = time.thread_time()
    tracemalloc.start()
    first = read_one(tmp_path, segmented({"size": [side, side], "counts": [side * side - 10, 10]}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert first.boxes.xyxy[0].tolist() == [side - 1, side - 10, side, side]
    assert (peak < 10e6, time.thread_time() - begin < 1) == (True, True)


def test_one_bad_object_does_not_hide_the_others(tmp_path):
    bad = [
        {"image_id": 7, "category_id": 3, "bbox": [0, 0, float("nan"), 1]},
        {"image_id": 7, "category_id": 3, "bbox": "x" * 10_000},
        {"image_id": 7, "category_id": 3, "bbox": [0, 0, "1", 1]},
        {"image_id": 7, "category_id": [3], "bbox": [0, 0, 1, 1]},
        {"image_id": 7, "bbox": [0, 0, 1, 1]},
    ]
    good = {"image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 1], "iscrowd": None, "extra": {"deep": [[[{}]]]}}
    first = read_one(tmp_path, coco_content(annotations=[*bad, good]) | {"info": {"year": 2026}, "licenses": None})
    assert first.boxes.names == ["debris"]
    assert first.places == ("annotation 6",)
    assert [fault.split(" has ")[0] for fault in first.faults] == [f"annotation {at}" for at in range(1, 6)]
    assert all(len(fault) < 200 for fault in first.faults)


def test_scores_are_read_back_where_each_object_has_one(tmp_path):
    boxes = Boxes([[0, 0, 5, 5], [1, 1, 4, 4]], [0, 0], ("cell",), [0.25, 0.75])
    coco.write(tmp_path / "a.json", [("a.png", (9, 9), boxes), ("b.png", (9, 9), Boxes.empty(["cell"], scored=True))])
    first, second = coco.read(tmp_path / "a.json")
    assert first.boxes.score.tolist() == [0.25, 0.75]
    assert second.boxes.score.tolist() == []
    (tmp_path / "a.json").write_text((tmp_path / "a.json").read_text().replace('"score": 0.75', '"score": 7'))
    assert coco.read(tmp_path / "a.json")[0].boxes.score is None


@pytest.mark.usefixtures("no_garbage_collection")
def test_a_file_of_fifty_megabytes_is_read_in_bounded_time(tmp_path):
    outline = "[[" + ", ".join(["123.25"] * 300) + "]]"
    item = '{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "segmentation": ' + outline + "}"
    content = json.dumps(coco_content(annotations=[])).replace(
        '"annotations": []', f'"annotations": [{", ".join([item] * 22_000)}]'
    )
    path = tmp_path / "a.json"
    path.write_text(content)
    assert path.stat().st_size > 50e6
    begin = time.thread_time()
    assert len(coco.read(path)[0].boxes) == 22_000
    assert time.thread_time() - begin < 20  # about one second


def test_writing_takes_no_more_memory_for_more_objects(tmp_path):
    boxes = Boxes(np.tile(np.array([[1.5, 2.5, 30, 40]], np.float32), (500, 1)), [0] * 500, ("cell",))

    def annotations(count: int):
        return (Annotation(tmp_path, f"{at}.png", boxes, (64, 64)) for at in range(count))

    peaks: list[int] = []
    for count in (2, 40):
        tracemalloc.start()
        coco.FORMAT.write(tmp_path / f"{count}.json", annotations(count), ("cell",), None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (tmp_path / "40.json").stat().st_size > 2e6
    assert peaks[1] < peaks[0] + 300_000


def test_coco_refuses_to_mix_classes(tmp_path):
    mixed = [("a", (1, 1), Boxes.empty(["a"])), ("b", (1, 1), Boxes.empty(["b"]))]
    with pytest.raises(RetinaJError, match="The boxes of b"):
        coco.write(tmp_path / "a.json", mixed)
