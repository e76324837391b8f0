"""Images and annotations brought together: what fits, what is noted, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from retinaj.annotations import coco, imagej_roi, pascal_voc
from retinaj.boxes import Boxes
from retinaj.dataset import Dataset, Sample, load_dataset
from retinaj.errors import RetinaJError

CELL = Boxes([[1, 1, 9, 9]], [0], ("cell",))


def picture(path: Path, width: int = 20, height: int = 10, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width), np.uint8)).save(path, **options)


def voc(path: Path, boxes: Boxes = CELL, size: tuple[int, int] = (20, 10), image_name: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pascal_voc.write(path, boxes, image_name=image_name or f"{path.stem}.png", size=size)


@pytest.fixture
def folders(tmp_path):
    """Two annotated images, a and b; tests add what they are about."""
    images, annotations = tmp_path / "images", tmp_path / "annotations"
    for name, class_name in (("a", "debris"), ("b", "cell")):
        picture(images / f"{name}.png")
        voc(annotations / f"{name}.xml", Boxes([[1, 1, 9, 9]], [0], (class_name,)))
    return images, annotations


def test_classes_are_merged_and_sorted(folders):
    data = load_dataset(*folders)
    assert data.class_names == ("cell", "debris")
    assert [(sample.name, sample.boxes.names) for sample in data.samples] == [("a", ["debris"]), ("b", ["cell"])]
    assert data.counts() == {"cell": 1, "debris": 1}
    assert data.notes == ()


def test_class_names_of_a_model_are_kept_and_unknown_ones_refused(folders):
    data = load_dataset(*folders, class_names=["debris", "cell", "crystal"])
    assert data.class_names == ("debris", "cell", "crystal")
    assert [sample.boxes.label.tolist() for sample in data.samples] == [[0], [1]]
    with pytest.raises(RetinaJError, match=r"a\.xml \(a\.png\) has objects of the class 'debris'"):
        load_dataset(*folders, class_names=["cell"])


def test_image_without_annotation_is_noted_and_without_objects_is_kept(folders):
    images, annotations = folders
    picture(images / "unseen.png")
    picture(images / "empty.png")
    voc(annotations / "empty.xml", Boxes.empty([]))
    voc(annotations / "lost.xml")
    data = load_dataset(*folders)
    assert [sample.name for sample in data.samples] == ["a", "b", "empty"]
    assert len(data.samples[2].boxes) == 0
    assert len(data.notes) == 2
    assert data.notes[0].startswith("lost.xml: its image 'lost.png' is not in")
    assert data.notes[1].startswith("unseen.png: has no annotation")


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([5, 5, 5, 9], "has no area"),
        ([5, 5, 6, 6], "at most one pixel"),
        ([25, 2, 35, 9], "lies outside the image"),
        ([-9, 2, -4, 9], "lies outside the image"),
    ],
)
def test_unusable_boxes_are_dropped_and_noted(folders, box, reason):
    images, annotations = folders
    voc(annotations / "a.xml", Boxes([[1, 1, 9, 9], box], [0, 0], ("cell",)))
    data = load_dataset(images, annotations)
    assert data.samples[0].boxes.xyxy.tolist() == [[1, 1, 9, 9]]
    assert len(data.notes) == 1
    assert reason in data.notes[0]
    assert data.notes[0].startswith("a.png: object 2 (cell; ")


def test_errors_are_refused_all_at_once_and_warnings_are_told(folders):
    images, annotations = folders
    voc(annotations / "a.xml", Boxes([[9, 1, 2, 9]], [0], ("debris",)))
    with pytest.raises(
        RetinaJError, match=r"a\.xml \(a\.png\): object 1 \(debris; 9, 1, 2, 9\) has swapped corners\. `retinaj check"
    ):
        load_dataset(images, annotations)
    (annotations / "b.xml").write_text("<annotation><object><name>cell</name></object></annotation>")
    with pytest.raises(
        RetinaJError, match=r"(?s)The data have 2 errors:\n  .*a\.xml.*swapped.*\n  .*b\.xml.*object 1 <xmin> is missing"
    ):
        load_dataset(images, annotations)
    voc(annotations / "a.xml", Boxes([[1, 1, 9, 9], [1, 1, 9, 9]], [0, 0], ("debris",)))
    voc(annotations / "b.xml", CELL)
    data = load_dataset(images, annotations)
    assert data.notes == ()
    assert data.warnings == (
        "a.png: object 1 and object 2 (debris; 1, 1, 9, 9) are the same box",
        "b.png: object 1 is the only object of the class 'cell'",
    )
    assert len(data.samples[0].boxes) == 2


def test_boxes_over_the_border_are_cut(folders):
    images, annotations = folders
    voc(annotations / "a.xml", Boxes([[-5, 2, 9, 14], [0, 0, 20.5, 10.5]], [0, 0], ("cell",)))
    data = load_dataset(images, annotations)
    assert data.samples[0].boxes.xyxy.tolist() == [[0, 2, 9, 10], [0, 0, 20, 10]]
    # half a pixel beyond is rounding, not a mistake worth a line
    assert [note.split(")")[0] for note in data.notes] == ["a.png: object 1 (cell; -5, 2, 9, 14"]


def test_annotations_for_another_size(folders):
    images, annotations = folders
    voc(annotations / "a.xml", CELL, size=(40, 20))
    assert "the annotation is for 40 x 20 pixels, the image has 20 x 10" in load_dataset(images, annotations).notes[0]
    voc(annotations / "a.xml", Boxes([[30, 1, 38, 18]], [0], ("cell",)), size=(40, 20))
    with pytest.raises(RetinaJError, match="1 box does not fit"):
        load_dataset(images, annotations)


def test_annotations_that_follow_an_exif_rotation_are_explained(folders):
    images, annotations = folders
    exif = Image.Exif()
    exif[0x0112] = 6
    (images / "a.png").unlink()
    picture(images / "a.jpg", exif=exif)
    voc(annotations / "a.xml", Boxes([[1, 1, 9, 19]], [0], ("cell",)), size=(10, 20))
    with pytest.raises(RetinaJError, match="EXIF rotation"):
        load_dataset(images, annotations)


def test_names_limit_and_order(folders, tmp_path):
    picture(folders[0] / "unseen.png")
    names = tmp_path / "val.txt"
    names.write_text("\ufeffb\r\n\r\na.png\r\nunseen\r\n", encoding="utf-8")
    data = load_dataset(*folders, names=names)
    assert [sample.name for sample in data.samples] == ["b", "a"]
    assert data.notes == ("unseen: is listed in val.txt, but has no annotation and is left out",)
    names.write_text("b  1\n")
    limited = load_dataset(*folders, names=names)
    assert (limited.class_names, len(limited)) == (("cell",), 1)
    names.write_text("a\nmissing\n")
    with pytest.raises(RetinaJError, match=r"val\.txt lists images that are not in .*'missing'"):
        load_dataset(*folders, names=names)
    names.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RetinaJError, match="not a text file"):
        load_dataset(*folders, names=names)


def test_names_with_spaces_are_whole_names(tmp_path):
    picture(tmp_path / "images" / "cell 1.png")
    voc(tmp_path / "xml" / "cell 1.xml")
    names = tmp_path / "names.txt"
    names.write_text("cell 1\n")
    assert [sample.name for sample in load_dataset(tmp_path / "images", tmp_path / "xml", names=names).samples] == ["cell 1"]


def test_two_images_of_one_stem(folders):
    images, annotations = folders
    picture(images / "a.tif")
    data = load_dataset(images, annotations)  # <filename> says a.png
    assert data.samples[0].image_path.name == "a.png"
    assert [note.split(":")[0] for note in data.notes] == ["a.tif"]
    voc(annotations / "a.xml", image_name="other.png")
    with pytest.raises(RetinaJError, match=r"may belong to a\.png or a\.tif"):
        load_dataset(images, annotations)


def test_annotation_found_by_filename_inside(folders):
    images, annotations = folders
    (annotations / "b.xml").rename(annotations / "renamed.xml")
    assert [sample.name for sample in load_dataset(images, annotations).samples] == ["a", "b"]
    voc(annotations / "third.xml", image_name="b.png")
    with pytest.raises(RetinaJError, match=r"b\.png is annotated twice, in renamed\.xml and in third\.xml"):
        load_dataset(images, annotations)


def test_boxes_that_do_not_say_on_which_plane_they_lie_are_refused(folders):
    images, annotations = folders
    (images / "a.png").unlink()
    tifffile.imwrite(images / "a.tif", np.zeros((3, 10, 20), np.uint8), imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(RetinaJError, match=r"a\.tif: the image is a stack \(z = 3\)"):
        load_dataset(images, annotations)


def test_nothing_usable_is_an_error(tmp_path, folders):
    images, annotations = folders
    (tmp_path / "other").mkdir()
    with pytest.raises(RetinaJError, match=r"There are no images in .*other; expected PNG"):
        load_dataset(tmp_path / "other", annotations)
    with pytest.raises(RetinaJError, match=r"did you swap the two\?"):
        load_dataset(annotations, images)
    with pytest.raises(RetinaJError, match=r"one level below: did you mean .*images\?"):
        load_dataset(images.parent, annotations)
    with pytest.raises(RetinaJError, match=r"one level below: did you mean .*annotations\?"):
        load_dataset(images, annotations.parent)
    for name in "ab":
        voc(annotations / f"{name}.xml", Boxes.empty([]))
    with pytest.raises(RetinaJError, match="all are empty"):
        load_dataset(images, annotations)
    with pytest.raises(RetinaJError, match="does not exist; expected a folder of images"):
        load_dataset(tmp_path / "gone", annotations)


def test_unreadable_image_is_named(folders):
    images, annotations = folders
    (images / "a.png").write_bytes(b"text")
    with pytest.raises(RetinaJError, match=r"a\.png is not a PNG"):
        load_dataset(images, annotations)


def test_coco_names_with_folders(tmp_path):
    images = tmp_path / "images"
    for name in ("a.png", "sub/b.png", "c.png", "unlisted.png"):
        picture(images / name)
    path = tmp_path / "train.json"
    names = ["images/a.png", "sub\\b.png", "/home/somebody/c.png"]
    coco.write(path, [(name, (20, 10), CELL) for name in names])
    data = load_dataset(images, path)
    assert [sample.image_path.relative_to(images).as_posix() for sample in data.samples] == ["a.png", "sub/b.png", "c.png"]
    assert [sample.name for sample in data.samples] == ["a", "b", "c"]
    assert data.notes == ("1 images are not in train.json and are left out",)


def test_coco_names_never_lead_out_of_the_image_folder(tmp_path):
    picture(tmp_path / "images" / "a.png")
    picture(tmp_path / "secret.png")
    path = tmp_path / "a.json"
    names = ["a.png", "../secret.png", "images/../../secret.png", str(tmp_path / "secret.png"), "C:\\secret.png"]
    coco.write(path, [(name, (20, 10), CELL) for name in names])
    data = load_dataset(tmp_path / "images", path)
    assert [sample.name for sample in data.samples] == ["a"]
    assert len(data.notes) == 4


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "x/" * 5000 + "a b.png", "nul\0.png"])
def test_coco_names_that_no_file_can_have_are_noted(tmp_path, name):
    picture(tmp_path / "images" / "a.png")
    path = tmp_path / "a.json"
    coco.write(path, [(each, (20, 10), CELL) for each in ("a.png", name)])
    data = load_dataset(tmp_path / "images", path)
    assert [sample.name for sample in data.samples] == ["a"]
    assert len(data.notes) == 1


def test_equal_stems_in_folders_get_longer_names(tmp_path):
    for name in ("x/a.png", "y/a.png"):
        picture(tmp_path / "images" / name)
    path = tmp_path / "a.json"
    coco.write(path, [(name, (20, 10), CELL) for name in ("x/a.png", "y/a.png")])
    assert [sample.name for sample in load_dataset(tmp_path / "images", path).samples] == ["x/a", "y/a"]


def test_coco_class_order_is_by_id_and_unused_categories_go(tmp_path):
    picture(tmp_path / "images" / "a.png")
    path = tmp_path / "a.json"
    boxes = Boxes([[1, 1, 9, 9], [2, 2, 9, 9]], [2, 0], ("wbc", "unused", "rbc"))
    coco.write(path, [("a.png", (20, 10), boxes)])
    assert load_dataset(tmp_path / "images", path).class_names == ("wbc", "rbc")


def test_imagej_rois_as_annotations(tmp_path):
    for name in "ab":
        picture(tmp_path / "images" / f"{name}.tif")
    imagej_roi.write_roi_set(tmp_path / "rois" / "a_RoiSet.zip", CELL)
    imagej_roi.write_roi_set(tmp_path / "rois" / "b.zip", Boxes([[2, 2, 8.5, 8]], [0], ("debris",)))
    data = load_dataset(tmp_path / "images", tmp_path / "rois")
    assert data.class_names == ("cell", "debris")
    assert data.samples[1].boxes.xyxy.tolist() == [[2, 2, 8.5, 8]]


def many(count: int) -> Dataset:
    return Dataset(("cell",), tuple(Sample(f"s{at}", Path(f"s{at}.png"), CELL) for at in range(count)), ("a note",))


@pytest.mark.parametrize(("count", "fraction", "expected"), [(10, 0.2, 2), (3, 0.01, 1), (3, 0.99, 2), (2, 0.5, 1)])
def test_split_divides_without_loss(count, fraction, expected):
    data = many(count)
    training, validation = data.split(fraction, seed=1)
    names = [[sample.name for sample in part.samples] for part in (training, validation)]
    assert len(names[1]) == expected
    assert sorted(names[0] + names[1]) == sorted(sample.name for sample in data.samples)
    assert (training.notes, validation.notes) == (("a note",), ())


def test_split_depends_on_the_seed_but_not_on_the_order():
    data = many(30)
    turned = Dataset(data.class_names, data.samples[::-1])
    pick = [{sample.name for sample in each.split(0.3, seed)[1].samples} for each, seed in ((data, 1), (turned, 1), (data, 2))]
    assert pick[0] == pick[1]
    assert pick[0] != pick[2]
    # written down, because a split that changed between versions would make old results incomparable
    assert sorted(sample.name for sample in many(10).split(0.3, 0)[1].samples) == ["s2", "s3", "s5"]


def test_split_refuses_the_impossible():
    with pytest.raises(RetinaJError, match="between 0 and 1"):
        many(4).split(1.0, 0)
    with pytest.raises(RetinaJError, match="at least"):
        many(1).split(0.5, 0)


def test_subset():
    data = many(3)
    assert [sample.name for sample in data.subset(["s2", "s0.png"]).samples] == ["s2", "s0"]
    with pytest.raises(RetinaJError, match="no image 's9'"):
        data.subset(["s9"])
    with pytest.raises(RetinaJError, match="named twice"):
        data.subset(["s1", "s1.png"])


def test_real_data_sets(shared_data):
    bccd = shared_data / "bccd" / "BCCD"
    whole = load_dataset(bccd / "JPEGImages", bccd / "Annotations")
    assert whole.counts() == {"Platelets": 361, "RBC": 4153, "WBC": 372}
    assert [note.split(" (")[0] for note in whole.notes] == [
        "BloodImage_00338.jpg: object 13",
        "BloodImage_00343.jpg: object 4",
    ]
    lists = bccd / "ImageSets" / "Main"
    parts = [
        load_dataset(bccd / "JPEGImages", bccd / "Annotations", names=lists / f"{part}.txt")
        for part in ("train", "val", "test")
    ]
    assert [len(part) for part in parts] == [205, 87, 72]
    nuclei = load_dataset(shared_data / "nuclei_fluo" / "images", shared_data / "nuclei_fluo" / "test.json")
    assert (len(nuclei), nuclei.counts()) == (72, {"nucleus": 2264})
    wells = shared_data / "nanowell"
    data = load_dataset(wells / "JPEGImages", wells / "Annotations")
    assert (len(data), data.counts()) == (343, {"Dead Cell": 180, "Living Cell": 987})
    assert sum(len(sample.boxes) == 0 for sample in data.samples) == 13
