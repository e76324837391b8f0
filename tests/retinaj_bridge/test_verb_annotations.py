"""ROIs that become annotations of a growing data set, by the verbs that the plugin calls."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_detector import patches
from numpy.typing import NDArray

from retinaj.annotations import coco, pascal_voc
from retinaj.dataset import load_dataset
from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj_bridge.growing_dataset import GrowingDataset
from retinaj_bridge.server import Call
from retinaj_bridge.verbs.annotations import annotate, check_annotations

BOXES = [[1.25, 2, 20, 30.5], [40, 10, 55, 22], [-5, 50, 10, 70]]
NAMES = ["RBC 0.97", "Living Cell", "RBC"]


def request(
    dataset: Path,
    pixels: NDArray[Any] | None = None,
    *,
    boxes: Sequence[Sequence[float]] = BOXES,
    names: Sequence[str] = NAMES,
    groups: Sequence[int] | None = None,
    properties: Sequence[str] | None = None,
    **fields: str,
) -> dict[str, bytes]:
    sent = {
        "dataset": str(dataset).encode(),
        "names": "\0".join(names).encode(),
        "groups": np.array([0] * len(names) if groups is None else groups, "<i4").tobytes(),
        "properties": "\0".join([""] * len(names) if properties is None else properties).encode(),
        "xyxy": np.array(boxes, "<f8").tobytes(),
    }
    if pixels is not None:
        sent |= {
            "type": pixels.dtype.name.encode(),
            "shape": ",".join(map(str, pixels.shape)).encode(),
            "pixels": pixels.tobytes(),
            "title": b"cell 1.tif",
        }
    return sent | {name: value.encode() for name, value in fields.items()}


def add(dataset: Path, pixels: NDArray[Any], **changes: Any) -> dict[str, Any]:
    return dict(annotate(request(dataset, pixels, **changes), Call()))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("kind", ["voc", "coco"])
def test_what_was_added_is_what_training_reads(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "my dätaset [1]"
    first = add(folder, patches(0), format=kind)
    assert first == {"image": "cell 1.tif", "outcome": "added", "objects": "3", "left_out": "0", "images": "1"}
    add(folder, patches(1), names=["debris"] * 3, title="sub/folder:2.png")
    dataset = GrowingDataset(folder)
    loaded = load_dataset(dataset.images, dataset.annotations)
    assert set(loaded.class_names) == {"RBC", "Living Cell", "debris"}
    assert [sample.image_path.name for sample in loaded.samples] == ["cell 1.tif", "sub_folder_2.png"]
    np.testing.assert_array_equal(loaded.samples[0].read().to_numpy(), patches(0))
    found = loaded.samples[0].boxes
    assert found.names == ["RBC", "Living Cell", "RBC"]
    np.testing.assert_allclose(found.xyxy, [*BOXES[:2], [0, 50, 10, 60]])  # cut at the border of 80 x 60 pixels


@pytest.mark.parametrize(
    ("pixels", "attrs"),
    [
        (np.arange(24, dtype=np.uint16).reshape(4, 6) * 1000, {"pixel_width": "0.25", "pixel_height": "0.5", "unit": "µm"}),
        (np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6), {}),
        (np.arange(48, dtype=np.uint8).reshape(2, 4, 6), {}),
        (np.arange(72, dtype=np.uint8).reshape(3, 4, 6), {"rgb": "1"}),
    ],
)
def test_images_keep_type_channels_colours_and_scale(tmp_path: Path, pixels: NDArray[Any], attrs: dict[str, str]) -> None:
    answer = add(tmp_path / "set", pixels, boxes=[[0, 0, 3, 3]], names=["a"], **attrs)
    image = read_image(tmp_path / "set" / "images" / answer["image"])
    assert image.dtype == pixels.dtype
    np.testing.assert_array_equal(image.to_numpy(), pixels)
    assert bool(image.attrs.get("rgb")) == ("rgb" in attrs)
    if "unit" in attrs:
        size = image.attrs["physical_size"]
        assert (size["x"], size["y"], size["unit"]) == (pytest.approx(0.25), pytest.approx(0.5), "µm")


@pytest.mark.parametrize(
    ("rule", "changes", "classes"),
    [
        ("name", {}, {"RBC", "Living Cell"}),
        ("group", {"groups": [1, 2, 1]}, {"group 1", "group 2"}),
        ("property:type", {"properties": ["type: a b", "type: c", "x: y\ntype: c\n"]}, {"a b", "c"}),
    ],
)
def test_classes_by_name_group_or_property(tmp_path: Path, rule: str, changes: dict[str, Any], classes: set[str]) -> None:
    answer = check_annotations(request(tmp_path / "set", classes=rule, **changes), Call())
    assert {text.rpartition(": ")[0] for text in answer["classes"]} == classes
    assert not (tmp_path / "set").exists()
    add(tmp_path / "set", patches(), classes=rule, **changes)
    assert set(pascal_voc.read(tmp_path / "set" / "annotations" / "cell 1.xml").boxes.names) == classes


@pytest.mark.parametrize("kind", ["voc", "coco"])
def test_the_same_image_again(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "set"
    add(folder, patches(0), format=kind)
    add(folder, patches(1), title="other.tif")
    before = files(folder)
    assert add(folder, patches(0), boxes=BOXES[::-1], names=NAMES[::-1], title="renamed.tif")["outcome"] == "unchanged"
    assert files(folder) == before
    with pytest.raises(RetinaJError, match=r"already, as cell 1\.tif, with 3 other boxes.*the option replace"):
        add(folder, patches(0), boxes=BOXES[:1], names=["new class"])
    assert files(folder) == before
    answer = add(folder, patches(0), boxes=BOXES[:1], names=["new class"], replace="1")
    assert (answer["image"], answer["outcome"], answer["images"]) == ("cell 1.tif", "replaced", "2")
    dataset = GrowingDataset(folder)
    loaded = load_dataset(dataset.images, dataset.annotations)
    assert {sample.name: sample.boxes.names for sample in loaded.samples} == {
        "cell 1": ["new class"],
        "other": ["RBC", "Living Cell", "RBC"],
    }
    # What was replaced is kept.
    (kept,) = (folder / "earlier").iterdir()
    assert kept.read_bytes() in before.values()
    assert kept.name == {"voc": "cell 1-1.xml", "coco": "annotations-1.json"}[kind]


def test_another_image_of_the_same_name_gets_a_number(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    names = [add(folder, patches(seed), title=title)["image"] for seed, title in enumerate(["a.tif", "A.png", "a.ome.tif"])]
    assert names == ["a.tif", "A-2.png", "a-3.tif"]
    (folder / "images" / "b.png").write_bytes(b"the user's own")
    assert add(folder, patches(5), title="b")["image"] == "b-2.png"
    assert (folder / "images" / "b.png").read_bytes() == b"the user's own"


def test_planes_of_a_stack_are_named_as_everywhere(tmp_path: Path) -> None:
    def name(seed: int, position: str, of: str) -> str:
        return add(tmp_path / "set", patches(seed), title="stack.tif", position=position, of=of)["image"]

    assert name(0, "1,7", "1,12") == "stack_z07.tif"
    assert name(1, "3,7", "10,12") == "stack_t03_z07.tif"
    assert name(2, "1,1", "1,1") == "stack.tif"
    assert name(3, "1,7", "1,12") == "stack-2_z07.tif"


def test_an_image_without_objects_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    add(folder, patches(0))
    assert add(folder, patches(1), boxes=[], names=[], title="empty.tif")["objects"] == "0"
    dataset = GrowingDataset(folder)
    assert [len(sample.boxes) for sample in load_dataset(dataset.images, dataset.annotations).samples] == [3, 0]
    with pytest.raises(RetinaJError, match="cannot be the first of a COCO data set"):
        add(tmp_path / "coco", patches(1), boxes=[], names=[], format="coco")
    assert not list((tmp_path / "coco" / "images").iterdir())
    assert add(tmp_path / "coco", patches(1))["image"] != ""
    assert add(tmp_path / "coco", patches(2), boxes=[], names=[])["outcome"] == "added"
    assert [len(each.boxes) for each in coco.read(tmp_path / "coco" / "annotations.json")] == [3, 0]


def test_rois_that_are_no_boxes_are_left_out_and_counted(tmp_path: Path) -> None:
    boxes = [[3, 3, 9, 9], [5, 5, 5, 5], [200, 200, 220, 220], [1, 1, 1, 30]]
    answer = add(tmp_path / "set", patches(), boxes=boxes, names=["a", "b", "c", "d"])
    assert (answer["objects"], answer["left_out"]) == ("1", "3")
    assert pascal_voc.read(tmp_path / "set" / "annotations" / "cell 1.xml").boxes.class_names == ("a",)
    with pytest.raises(RetinaJError, match="None of the 3 ROIs is a box on the image"):
        add(tmp_path / "set", patches(1), boxes=boxes[1:], names=["a"] * 3)


def test_a_failure_in_the_middle_leaves_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "set"
    add(folder, patches(0))

    def fail(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("retinaj_bridge.growing_dataset.pascal_voc.write", fail)
        with pytest.raises(RetinaJError, match=f"The data set {folder} cannot be written: No space left on device"):
            add(folder, patches(1), title="b.tif")
        with pytest.raises(RetinaJError, match=f"The data set {folder} cannot be written: No space left on device"):
            add(folder, patches(0), names=["x"] * 3, replace="1")
    assert set(files(folder)) == {"retinaj-dataset.json", "images/cell 1.tif", "annotations/cell 1.xml"}
    assert add(folder, patches(1), title="b.tif")["images"] == "2"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"classes": "group"}, "ROI 1 ('RBC 0.97') is in no group, which should say its class"),
        ({"classes": "property:type"}, "ROI 1 ('RBC 0.97') has no property 'type'"),
        ({"classes": "property:"}, '"property:" without a key'),
        ({"classes": "(x)"}, "classes is '(x)'; expected name, group or property:KEY"),
        ({"names": ["a", "\x07b", "c"]}, "ROI 2 ('\\x07b'): the name"),
        ({"names": ["a" * 2000, "b", "c"]}, "has 2,000 characters"),
        ({"names": ["a", "b"]}, "The ROIs that came from ImageJ are not all there"),
        ({"boxes": BOXES[:2]}, "The ROIs that came from ImageJ are not all there"),
        ({"boxes": [*BOXES[:2], [np.nan, 0, 1, 1]]}, "a coordinate that is not a number"),
        ({"groups": [1]}, "The ROIs that came from ImageJ are not all there"),
        ({"type": "uint64"}, "are not an image"),
        ({"shape": "60,80,1,1"}, "are not an image"),
        ({"shape": "-60,80"}, "are not an image"),
        ({"shape": "9999999999,9999999999"}, "are not all there"),
        ({"shape": "61,80"}, "are not all there"),
        ({"format": "yolo"}, "format is 'yolo'; expected one of"),
        ({"pixel_width": "wide"}, "pixel_width is 'wide'; expected a number"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(RetinaJError, match=re.escape(expected)):
        add(tmp_path / "set", patches(), **changes)
    assert not (tmp_path / "set").exists()


def test_a_data_set_must_be_named() -> None:
    sent = request(Path("set"), patches()) | {"dataset": b" "}
    with pytest.raises(RetinaJError, match="The folder of the data set is missing: give the option dataset"):
        annotate(sent, Call())


def test_folders_of_others_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(RetinaJError, match=r"mine is not a data set that RetinaJ made in ImageJ"):
        add(tmp_path / "mine", patches())
    (tmp_path / "file").write_text("")
    with pytest.raises(RetinaJError, match=r"file is not a data set"):
        add(tmp_path / "file", patches())
    assert set(files(tmp_path)) == {"mine/notes.txt", "file"}


@pytest.mark.parametrize(
    "content",
    ['{"annotations": "voc", "images": {"../../out.tif": "a"}}', '{"annotations": "yolo"}', "no JSON", "[" * 100_000],
)
def test_a_hostile_or_damaged_index_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "retinaj-dataset.json").write_text(content)
    with pytest.raises(RetinaJError, match=r"retinaj-dataset\.json is damaged"):
        add(tmp_path, patches())


def test_a_data_set_keeps_its_format(tmp_path: Path) -> None:
    add(tmp_path / "set", patches(), format="coco")
    with pytest.raises(RetinaJError, match="has annotations in the format coco, not voc"):
        add(tmp_path / "set", patches(1), format="voc")
    assert json.loads((tmp_path / "set" / "retinaj-dataset.json").read_text())["annotations"] == "coco"


def test_images_that_the_user_deleted_can_be_added_again(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    add(folder, patches(0))
    (folder / "images" / "cell 1.tif").unlink()
    (folder / "annotations" / "cell 1.xml").unlink()
    answer = add(folder, patches(0))
    assert (answer["outcome"], answer["images"]) == ("added", "1")
    (folder / "annotations" / f"{Path(answer['image']).stem}.xml").unlink()
    assert add(folder, patches(0))["outcome"] == "added"
