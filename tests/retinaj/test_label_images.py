"""Instance label images: what is an object, what is said about it, and pictures that are no label images."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retinaj.annotations import (
    Annotation,
    Reading,
    find_format,
    format_named,
    label_images,
    losses,
    read_annotations,
    require_sound,
    write_annotations,
)
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError

LABELS = format_named("labels")
FORCED = Reading(format="labels")


def picture(dtype=np.uint16, factor: int = 1) -> np.ndarray:
    """Three objects: one alone, and two that touch, of which one has two parts."""
    pixels = np.zeros((40, 60), dtype)
    pixels[2:12, 3:20] = 3 * factor
    pixels[20:30, 30:40] = 7 * factor
    pixels[20:30, 40:45] = 9 * factor
    pixels[35:37, 50:52] = 9 * factor
    return pixels


BOXES = [[3, 2, 20, 12], [30, 20, 40, 30], [40, 20, 52, 37]]


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("a.png", picture(np.uint8)),
        ("a.png", picture(np.uint16, 5000)),
        ("a.tif", picture(np.uint8)),
        ("a.tif", picture(np.uint16)),
        ("a.tif", picture(np.int32, 100_000)),
        ("a.tif", picture(np.uint32, 400_000_000)),
        ("a.tif", picture(np.float32)),
    ],
)
def test_objects_of_every_pixel_type(tmp_path, name, pixels):
    if name.endswith("png"):
        Image.fromarray(pixels).save(tmp_path / name)
    else:
        tifffile.imwrite(tmp_path / name, pixels)
    assert find_format(tmp_path) is LABELS
    (read,) = read_annotations(tmp_path)
    assert read.boxes.xyxy.tolist() == BOXES
    assert (read.boxes.names, read.size, read.stem) == (["object"] * 3, (60, 40), "a")
    assert read.notes == ("of its 3 objects 2 touch another, 1 has several parts and one box around them",)
    assert [place.startswith("label ") for place in read.places] == [True] * 3


def test_a_colour_for_each_object(tmp_path):
    colours = np.random.default_rng(0).integers(1, 256, (10, 3)).astype(np.uint8)
    colours[0] = 0
    Image.fromarray(colours[picture(np.uint8)]).save(tmp_path / "a.png")
    (read,) = read_annotations(tmp_path, FORCED)
    assert sorted(read.boxes.xyxy.tolist()) == BOXES


def test_stacks_give_the_boxes_of_each_plane(tmp_path):
    stack = np.stack([picture(), np.zeros_like(picture()), picture()])
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TYX"})
    (read,) = read_annotations(tmp_path, FORCED)
    assert read.boxes.xyxy.tolist() == BOXES * 2
    assert read.boxes.plane.tolist() == [[0, 0, 0]] * 3 + [[2, 0, 0]] * 3
    assert read.places[3] == "frame 3, slice 1, label 3"


def test_real_label_images_have_the_boxes_of_their_coco_files(shared_data):
    folder = shared_data / "nuclei_fluo"
    expected: dict[str, list[list[float]]] = {}
    for part in ("train", "val", "test"):
        for each in read_annotations(folder / f"{part}.json"):
            expected[Path(each.image_name).stem] = sorted(each.boxes.xyxy.tolist())
    assert find_format(folder / "masks") is LABELS
    found = {each.stem: sorted(each.boxes.xyxy.tolist()) for each in map(require_sound, read_annotations(folder / "masks"))}
    assert found == expected
    assert len(found) == 468


def test_a_real_label_tiff(shared_data):
    (read,) = read_annotations(shared_data / "stacks" / "xy_16bit_labels__nuclei.tif")
    assert len(read.boxes) == 10
    assert read.size == (423, 427)
    assert (read.boxes.area > 100).all()


@pytest.mark.parametrize("folder", ["nuclei_fluo/images", "nuclei_fluo", "bccd", "nanowell", "stacks", "imagej_roi"])
def test_real_images_are_not_taken_for_labels(shared_data, folder):
    for path in (shared_data / folder, *(each for each in (shared_data / folder).iterdir() if each.is_dir())):
        assert path.name == "masks" or not LABELS.recognises(path)


@pytest.mark.parametrize(
    "name",
    ["xy_16bit__h2b", "xy_16bit__nuclei_high_dynamic_range_with_offset", "xy_float__nuclei_probability", "xy_rgb__cells"],
)
def test_real_images_are_refused_as_labels(shared_data, name):
    with pytest.raises(RetinaJError, match=name):
        read_annotations(shared_data / "stacks" / f"{name}.tif", FORCED)


def test_ordinary_pictures_are_not_taken_for_labels(tmp_path):
    random = np.random.default_rng(0)
    y, x = np.mgrid[:200, :200]
    dark = np.where(random.random((200, 200)) < 0.02, random.poisson(3, (200, 200)), 0)
    smooth = 6 * np.exp(-((x - 80) ** 2 + (y - 90) ** 2) / 4000) + 5 * np.exp(-((x - 150) ** 2 + (y - 40) ** 2) / 500)
    noisy = random.poisson(smooth)
    mask = (smooth > 2) * 255
    for at, pixels in enumerate((dark, noisy, mask, np.zeros_like(mask))):
        folder = tmp_path / str(at)
        folder.mkdir()
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "a.png")
        with pytest.raises(RetinaJError, match="has no annotations"):
            find_format(folder)
    with pytest.raises(RetinaJError, match="ordinary image rather than a label image"):
        read_annotations(tmp_path / "1", FORCED)
    assert len(read_annotations(tmp_path / "3", FORCED)[0].boxes) == 0


def test_a_mask_of_all_objects_is_a_fault(tmp_path):
    Image.fromarray(((picture() > 0) * 255).astype(np.uint8)).save(tmp_path / "a.png")
    (read,) = read_annotations(tmp_path, FORCED)
    (fault,) = read.faults
    assert fault.startswith("label 255 is the only one and has 3 separate parts")
    assert len(read.boxes) == 0


def test_masks_beside_their_images_as_cellpose_puts_them(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60)).astype(np.uint8)
    for name in ("a", "b_masks"):
        Image.fromarray(noise).save(tmp_path / f"{name}.png")
    Image.fromarray(picture(np.uint8)).save(tmp_path / "a_cp_masks.png")
    assert find_format(tmp_path / "a_cp_masks.png") is LABELS
    folder = tmp_path / "only"
    folder.mkdir()
    for name in ("a_cp_masks", "b_masks", "c"):
        Image.fromarray(picture(np.uint8)).save(folder / f"{name}.png")
    assert [each.stem for each in read_annotations(folder)] == ["a", "b"]
    assert [each.stem for each in read_annotations(folder, Reading(images=tmp_path))] == ["a", "b_masks"]


def test_a_folder_for_each_class_or_a_file_with_the_one(tmp_path):
    for name in ("nucleus", "dead cell"):
        (tmp_path / name).mkdir()
        Image.fromarray(picture(np.uint8)).save(tmp_path / name / "a.png")
    Image.fromarray(picture(np.uint8)[:, :30]).save(tmp_path / "nucleus" / "b.png")
    Image.fromarray(picture(np.uint8)[:20]).save(tmp_path / "dead cell" / "b.png")
    assert find_format(tmp_path) is LABELS
    first, second = read_annotations(tmp_path)
    assert first.boxes.names == ["dead cell"] * 3 + ["nucleus"] * 3
    assert first.places[4] == "nucleus: label 7"
    assert second.faults == ("nucleus: b.png has 30 x 40 pixels, its others 60 x 20; they must agree.",)
    (tmp_path / "classes.txt").write_text("red cell\n")
    (read,) = read_annotations(tmp_path / "nucleus" / "a.png", Reading(classes=tmp_path / "classes.txt"))
    assert set(read.boxes.names) == {"red cell"}
    (tmp_path / "classes.txt").write_text("a\nb\n")
    with pytest.raises(RetinaJError, match="has 2 names"):
        read_annotations(tmp_path / "nucleus", Reading(classes=tmp_path / "classes.txt"))


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (picture(np.int16, -1), "values from -9 to 0"),
        (picture(np.float32) / 2, "values from 0 to 4.5"),
        (picture(np.float32) * np.nan, "values from nan"),
        (picture(np.float64) * 1e300, "values from 0"),
        (np.zeros((4, 40, 60, 2), np.uint8), "expected|labels|channels|axes"),
    ],
)
def test_numbers_that_are_no_labels(tmp_path, pixels, reason):
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    with pytest.raises(RetinaJError, match=reason):
        read_annotations(tmp_path, FORCED)


@pytest.mark.usefixtures("no_garbage_collection")
def test_hostile_pictures_cost_little(tmp_path, monkeypatch):
    # noise: every value all over the picture
    noise = np.random.default_rng(0).integers(0, 65536, (700, 700)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "noise.tif", noise)
    begin = time.thread_time()
    with pytest.raises(RetinaJError, match=r"noise\.tif is an ordinary image"):
        read_annotations(tmp_path / "noise.tif", FORCED)
    assert time.thread_time() - begin < 5
    (tmp_path / "huge.tif").write_bytes(huge_tiff(1_000_000))
    with pytest.raises(RetinaJError, match=r"huge\.tif"):
        read_annotations(tmp_path / "huge.tif", FORCED)
    assert not LABELS.recognises(tmp_path / "huge.tif")
    monkeypatch.setattr(label_images, "MAX_PIXELS", 1000)
    tifffile.imwrite(tmp_path / "large.tif", picture())
    with pytest.raises(RetinaJError, match=r"large\.tif has 2,400 pixels"):
        read_annotations(tmp_path / "large.tif", FORCED)
    Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "a.jpg")
    with pytest.raises(RetinaJError, match=r"a\.jpg has no pictures of objects; expected \.png"):
        read_annotations(tmp_path / "a.jpg", FORCED)


def huge_tiff(side: int) -> bytes:
    """The header of a TIFF of side x side pixels, without them."""
    entries = [(256, 4, side), (257, 4, side), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (279, 4, 10)]
    directory = len(entries).to_bytes(2, "little")
    for tag, kind, value in entries:
        directory += (
            tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
        )
    return b"II*\0" + (8).to_bytes(4, "little") + directory + bytes(4)


def test_objects_are_painted_as_rectangles_and_what_changes_is_said(tmp_path):
    boxes = Boxes([[0, 0, 30, 30], [10.4, 9.6, 20, 20], [-5, 25, 10, 60]], [0, 0, 0], ("object",))
    one = Annotation(tmp_path / "x", "a.png", boxes, (50, 40))
    write_annotations(tmp_path / "out", [one], LABELS)
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["a_labels.tif"]
    pixels = tifffile.imread(tmp_path / "out" / "a_labels.tif")
    assert (pixels.dtype, pixels.shape) == (np.uint16, (40, 50))
    assert (pixels[15, 15], pixels[5, 5], pixels[39, 9], pixels[35, 20]) == (2, 1, 3, 0)
    (read,) = read_annotations(tmp_path / "out")
    assert read.boxes.xyxy.tolist() == [[0, 0, 30, 30], [10, 10, 20, 20], [0, 25, 10, 40]]
    said = losses([one], LABELS)
    assert said is not None
    assert said.startswith(
        "label images (one .tif or .png per image, a value for each object) cannot hold fractions of pixels (1)"
    )
    assert said.endswith("small ones hide parts of larger ones.")


@pytest.mark.parametrize(
    ("corners", "reason"),
    [
        ([[1, 1, 5, 5], [1, 1, 5, 5]], "box 1 is covered by others"),
        ([[60, 1, 70, 5]], r"box 1 \(60, 1, 70, 5\) has no pixel in the image of 50 x 40"),
        ([[1, 1, 1, 5]], "has no pixel"),
        ([[5, 1, 1, 5]], "has no pixel"),
    ],
)
def test_an_object_that_would_vanish_is_an_error(tmp_path, corners, reason):
    one = Annotation(tmp_path / "x", "a.png", Boxes(corners, [0] * len(corners), ("cell",)), (50, 40))
    with pytest.raises(RetinaJError, match=reason):
        write_annotations(tmp_path / "out", [one], LABELS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "con", "a:b", "dot.", "x" * 300])
@pytest.mark.parametrize("kind", ["labels", "masks"])
def test_a_class_that_cannot_be_a_folder_is_refused(tmp_path, name, kind):
    one = Annotation(tmp_path / "x", "a.png", Boxes([[1, 1, 5, 5]], [0], (name,)), (50, 40))
    with pytest.raises(RetinaJError, match="cannot be the name of a folder"):
        write_annotations(tmp_path / "out", [one], format_named(kind))
    two = Annotation(tmp_path / "x", "a.png", Boxes([[1, 1, 5, 5]], [0], ("rbc", "RBC")), (50, 40))
    with pytest.raises(RetinaJError, match="differ in case only"):
        write_annotations(tmp_path / "out", [two], format_named(kind))


@st.composite
def separate_boxes(draw):
    """Whole-pixel boxes, each in a square of its own of a 5 x 5 grid, so that none hides another."""
    squares = draw(st.lists(st.integers(0, 24), unique=True, max_size=8))
    corners: list[list[int]] = []
    for square in squares:
        x, y = 20 * (square % 5), 20 * (square // 5)
        low, high = (
            draw(st.tuples(st.integers(0, 9), st.integers(0, 9))),
            draw(st.tuples(st.integers(10, 20), st.integers(10, 20))),
        )
        corners.append([x + low[0], y + low[1], x + high[0], y + high[1]])
    names = draw(st.sampled_from([("object",), ("dead cell", "µ-cell"), ("A",)]))
    return Boxes(np.array(corners, np.float32), [draw(st.integers(0, len(names) - 1)) for _ in corners], names)


@pytest.mark.parametrize("kind", ["labels", "masks"])
@settings(max_examples=15, deadline=None)
@given(boxes=separate_boxes())
def test_round_trip(kind, boxes):
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out"
        write_annotations(target, [Annotation(target, "a.png", boxes, (100, 100))], format_named(kind))
        (read,) = map(require_sound, read_annotations(target, Reading(format=kind)))
    assert sorted(zip(read.boxes.names, read.boxes.xyxy.tolist(), strict=True)) == sorted(
        zip(boxes.names, boxes.xyxy.tolist(), strict=True)
    )


def test_coco_goes_to_labels_and_back(shared_data, tmp_path):
    chosen = read_annotations(shared_data / "nuclei_fluo" / "val.json")[0]
    names = json.loads((shared_data / "nuclei_fluo" / "val.json").read_text())["categories"]
    write_annotations(tmp_path / "out", [chosen], LABELS)
    (read,) = read_annotations(tmp_path / "out")
    assert read.boxes.class_names == (names[0]["name"],)
    assert len(read.boxes) == len(chosen.boxes)
