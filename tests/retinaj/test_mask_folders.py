"""One mask per object, as the 2018 Data Science Bowl has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from retinaj.annotations import Annotation, Reading, find_format, format_named, read_annotations, write_annotations
from retinaj.boxes import Boxes
from retinaj.dataset import load_dataset
from retinaj.errors import RetinaJError
from retinaj.images import read_image

MASKS = format_named("masks")


def mask(*rectangles: tuple[int, int, int, int], size: tuple[int, int] = (60, 40)) -> Image.Image:
    picture = Image.new("L", size)
    for rectangle in rectangles:
        picture.paste(255, rectangle)
    return picture


def save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


@pytest.fixture
def bowl(tmp_path) -> Path:
    """Two images in the layout, and one that nobody annotated."""
    root = tmp_path / "stage1_train"
    save(mask((3, 2, 20, 12)), root / "a" / "masks" / "1.png")
    save(mask((20, 12, 30, 20), (35, 2, 36, 3)), root / "a" / "masks" / "2.png")
    save(mask((40, 30, 60, 40)).convert("RGBA"), root / "a" / "masks" / "10.png")
    save(mask((40, 30, 50, 40)), root / "b 2" / "masks" / "x.tif")
    for name in ("a", "b 2", "c"):
        save(Image.new("RGB", (60, 40), (9, 8, 7)), root / name / "images" / f"{name}.png")
    return root


def test_each_mask_is_an_object(bowl):
    assert find_format(bowl) is MASKS
    first, second = read_annotations(bowl)
    assert first.boxes.xyxy.tolist() == [[3, 2, 20, 12], [20, 2, 36, 20], [40, 30, 60, 40]]
    assert first.places == ("masks/1.png", "masks/2.png", "masks/10.png")
    assert (first.image_name, first.size, first.boxes.class_names) == ("a.png", (60, 40), ("object",))
    # they meet at a corner
    assert first.notes == ("of its 3 objects 2 touch another, 1 has several parts and one box around them",)
    assert (second.image_name, second.notes) == ("b 2.png", ())


def test_images_are_found_in_the_layout_or_in_one_folder(bowl, tmp_path):
    assert [sample.image_path.name for sample in load_dataset(bowl, bowl).samples] == ["a.png", "b 2.png"]
    flat = tmp_path / "flat"
    for name in ("a", "b 2"):
        save(Image.new("L", (60, 40)), flat / f"{name}.tif")
    assert [sample.image_path for sample in load_dataset(flat, bowl).samples] == [flat / "a.tif", flat / "b 2.tif"]


def test_bad_masks_are_faults_and_hide_no_others(bowl):
    folder = bowl / "a" / "masks"
    save(mask(), folder / "20.png")
    save(mask((0, 0, 5, 5), size=(61, 40)), folder / "21.png")
    (folder / "22.png").write_bytes((folder / "1.png").read_bytes()[:60])
    (folder / "23.png").write_bytes(b"hello")
    tifffile.imwrite(folder / "24.tif", np.ones((3, 40, 60), np.uint8), imagej=True, metadata={"axes": "ZYX"})
    (folder / "Thumbs.db").write_bytes(b"")
    first, _ = read_annotations(bowl)
    assert len(first.boxes) == 3
    assert [fault.split(".")[0] for fault in first.faults] == [f"masks/{at}" for at in range(20, 25)]
    empty, size, cut, other, stack = first.faults
    assert "is empty" in empty
    assert "it has 61 x 40 pixels, the image 60 x 40" in size
    assert "cut short" in cut
    assert "is not a PNG" in other
    assert "60 x 40 x 3 pixels" in stack


def test_classes_are_folders_and_an_image_may_be_empty(bowl):
    save(mask((0, 0, 5, 5)), bowl / "d" / "masks" / "red cell" / "1.png")
    save(mask((6, 0, 9, 5)), bowl / "d" / "masks" / "WBC" / "1.png")
    (bowl / "e" / "masks").mkdir(parents=True)
    *_, inner, empty = read_annotations(bowl)
    assert inner.boxes.names == ["red cell", "WBC"]
    assert (inner.stem, inner.image_name, inner.places[1]) == ("d", "", "WBC/1.png")
    assert (len(empty.boxes), empty.size, empty.faults) == (0, None, ())
    (bowl.parent / "classes.txt").write_text("nucleus")
    assert set(read_annotations(bowl, Reading(classes=bowl.parent / "classes.txt"))[0].boxes.names) == {"nucleus"}


def test_folders_of_other_things_are_not_this_layout(bowl, shared_data):
    for path in (bowl / "c", bowl / "c" / "images", shared_data / "nuclei_fluo", shared_data / "bccd"):
        assert not MASKS.recognises(path)
    with pytest.raises(RetinaJError, match="no folder per image with masks"):
        read_annotations(bowl / "c", Reading(format="masks"))


def test_boxes_are_written_as_masks_with_their_images(tmp_path):
    images = tmp_path / "images"
    save(Image.new("RGB", (50, 40), (1, 2, 3)), images / "a.png")
    # boxes that are covered by others are no trouble here
    boxes = Boxes([[1, 1, 5, 5], [1, 1, 5, 5], [2.6, 2, 60, 4]], [0, 0, 0], ("object",))
    write_annotations(tmp_path / "out", [Annotation(tmp_path, "a.png", boxes, (50, 40))], MASKS, images=images)
    assert np.unique(read_image(tmp_path / "out" / "a" / "masks" / "0003_mask.png")).tolist() == [0, 255]
    assert (tmp_path / "out" / "a" / "images" / "a.png").read_bytes() == (images / "a.png").read_bytes()
    (read,) = read_annotations(tmp_path / "out")
    assert read.boxes.xyxy.tolist() == [[1, 1, 5, 5], [1, 1, 5, 5], [3, 2, 50, 4]]
    with pytest.raises(RetinaJError, match="has no pixel"):
        write_annotations(tmp_path / "b", [Annotation(tmp_path, "a", Boxes([[0, 0, 0, 0]], [0], ("x",)), (9, 9))], MASKS)


def test_real_label_images_go_to_masks_and_back(shared_data, tmp_path):
    files = sorted((shared_data / "nuclei_fluo" / "masks").iterdir())[:3]
    annotations = [read_annotations(file)[0] for file in files]
    write_annotations(tmp_path / "out", annotations, MASKS, images=shared_data / "nuclei_fluo" / "images")
    read = {Path(each.image_name).stem: each.boxes.xyxy.tolist() for each in read_annotations(tmp_path / "out")}
    assert read == {each.stem: each.boxes.xyxy.tolist() for each in annotations}
    assert len(load_dataset(tmp_path / "out", tmp_path / "out")) == 3
