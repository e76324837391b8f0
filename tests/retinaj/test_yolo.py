"""YOLO: the folders and files of its tools, and labels that lie."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from retinaj.annotations import Annotation, Reading, find_format, read_annotations, require_sound, write_annotations, yolo
from retinaj.annotations.class_files import read_class_file
from retinaj.boxes import Boxes
from retinaj.dataset import load_dataset
from retinaj.errors import RetinaJError


def picture(path, width=200, height=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width), np.uint8)).save(path)


def label(path, text="0 0.5 0.5 0.1 0.2\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


BOX = [[90, 40, 110, 60]]  # of the label above, in the picture above


@pytest.mark.parametrize(
    ("images", "labels", "classes", "name"),
    [
        ("images", "labels", "data.yaml", "a.png"),  # Ultralytics
        ("images/train", "labels/train", "data.yaml", "train/a.png"),
        ("train/images", "train/labels", "data.yaml", "train/a.png"),  # Roboflow
        ("obj_train_data", "obj_train_data", "obj.names", "obj_train_data/a.png"),  # Darknet, CVAT
        ("images", "labels", "classes.txt", "a.png"),  # Label Studio
        (".", ".", "classes.txt", "a.png"),  # LabelImg
    ],
)
def test_the_folders_of_yolos_tools_are_understood(tmp_path, images, labels, classes, name):
    picture(tmp_path / images / "a.png")
    label(tmp_path / labels / "a.txt")
    (tmp_path / "train.txt").write_text("data/obj_train_data/a.png\n")
    text = "train: nowhere\nnames: [cell, no]\n" if classes.endswith("yaml") else "cell\nno\n"
    (tmp_path / classes).write_text(text)
    assert find_format(tmp_path) is yolo.FORMAT
    for path in (tmp_path, tmp_path / labels):
        (read,) = read_annotations(path)
        assert read.boxes.names == ["cell"]
        assert read.boxes.class_names == ("cell", "no")
        assert read.boxes.xyxy.tolist() == BOX
        assert (read.size, read.stem, read.notes) == ((200, 100), "a", ())
        assert read.image_name.endswith("a.png")
    assert read_annotations(tmp_path)[0].image_name == name


def test_a_data_set_is_named_by_its_yaml_and_trains(tmp_path):
    picture(tmp_path / "images" / "a.png")
    label(tmp_path / "labels" / "a.txt", "1 0.5 0.5 0.1 0.2\n")
    (tmp_path / "cells.yaml").write_text("names:\n  0: debris\n  1: no\n")
    assert find_format(tmp_path / "cells.yaml") is yolo.FORMAT
    dataset = load_dataset(tmp_path / "images", tmp_path / "cells.yaml")
    assert dataset.class_names == ("no",)  # not the truth value that YAML makes of it
    assert dataset.samples[0].boxes.xyxy.tolist() == BOX


def test_outlines_scores_and_key_points(tmp_path):
    picture(tmp_path / "a.png")
    lines = {
        "0 0.5 0.5 0.1 0.2 0.75": ([90, 40, 110, 60], 0.75),
        "0.000000 0.1 0.1 0.4 0.2 0.3 0.9": ([20, 10, 80, 90], None),
        "0 0.1 0.1 0.4 0.2 0.3 0.9 0.5": ([20, 10, 80, 90], 0.5),
        "0 0.1 0.1 0.4 0.1 0.4 0.9 0.1 0.9": ([20, 10, 80, 90], None),
    }
    for line, (box, score) in lines.items():
        label(tmp_path / "a.txt", line)
        (read,) = read_annotations(tmp_path / "a.txt")
        np.testing.assert_allclose(read.boxes.xyxy, [box], atol=1e-5)
        assert (None if read.boxes.score is None else read.boxes.score.tolist()) == (None if score is None else [score])
    label(tmp_path / "a.txt", "\n".join(lines))
    (read,) = read_annotations(tmp_path / "a.txt")
    assert len(read.boxes) == 4
    assert read.boxes.score is None
    assert "only 2 of its 4 objects have a score" in " ".join(read.notes)
    (tmp_path / "data.yaml").write_text("names: [cell]\nkpt_shape: [2, 3]\n")
    label(tmp_path / "a.txt", "0 0.5 0.5 0.1 0.2 0.5 0.5 2 0.1 0.1 1")
    (read,) = read_annotations(tmp_path / "a.txt")
    assert (read.boxes.xyxy.tolist(), read.faults) == (BOX, ())


def test_without_names_classes_are_numbers_and_this_is_said_once(tmp_path):
    for name in ("a", "b", "c"):
        picture(tmp_path / f"{name}.png")
    label(tmp_path / "a.txt", "10 0.5 0.5 0.1 0.2\n")
    label(tmp_path / "b.txt", "2 0.5 0.5 0.1 0.2\n")
    label(tmp_path / "c.txt", "")
    read = read_annotations(tmp_path)
    assert {each.boxes.class_names for each in read} == {("2", "10")}
    assert [each.boxes.names for each in read] == [["10"], ["2"], []]
    assert sum("called by their numbers" in note for each in read for note in each.notes) == 1
    (tmp_path / "other.txt").write_text("\n".join("abcdefghijk"))
    named = read_annotations(tmp_path / "a.txt", Reading(classes=tmp_path / "other.txt"))
    assert named[0].boxes.names == ["k"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5 0.1", "line 2 has 4 words"),
        ("7 0.5 0.5 0.1 0.1", "line 2: the class is 7, but classes.txt has names for 2"),
        ("cell 0.5 0.5 0.1 0.1", "line 2: the class is 'cell'"),
        ("-1 0.5 0.5 0.1 0.1", "line 2: the class is '-1'"),
        ("0.5 0.5 0.5 0.1 0.1", "line 2: the class is '0.5'"),
        ("0 nan 0.5 0.1 0.1", "line 2: x_center is 'nan'"),
        ("0 0.5 0.5 0.1 inf", "line 2: height is 'inf'"),
        ("0 0.5 0.5 0.1 1e300", "line 2: height is '1e300'"),
        ("0 412 300 20 20", "line 2 has 412; expected shares of the image's size"),
        ("0 0.5 0.5 0.1 0.1 1.5", "line 2: the score is '1.5'"),
        ("0 0.5 0.5 0.1 x 0.2 0.3", "line 2: the outline is 'x'"),
    ],
)
def test_a_broken_line_is_a_fault_and_hides_no_other(tmp_path, line, reason):
    picture(tmp_path / "a.png")
    (tmp_path / "classes.txt").write_text("cell\ndebris\n")
    label(tmp_path / "a.txt", f"0 0.5 0.5 0.1 0.2\n{line}\n1 0.5 0.5 0.1 0.2\n")
    (read,) = read_annotations(tmp_path / "a.txt", Reading(format="yolo"))
    assert (read.boxes.names, read.places) == (["cell", "debris"], ("line 1", "line 3"))
    assert len(read.faults) == 1
    assert read.faults[0].startswith(reason)
    with pytest.raises(RetinaJError, match=r"a\.txt: line 2"):
        require_sound(read)


def test_labels_without_their_image_are_faults_and_with_none_at_all_an_error(tmp_path):
    label(tmp_path / "labels" / "a.txt")
    label(tmp_path / "labels" / "b.txt", "0 0.5 0.5 0.1 0.2\n0 0.5 0.5 0.1 0.2\n")
    label(tmp_path / "labels" / "c.txt", "")
    with pytest.raises(RetinaJError, match=r"its images are not in .*images or .*labels; name their folder with --images"):
        read_annotations(tmp_path)
    picture(tmp_path / "images" / "a.png")
    a, b, c = read_annotations(tmp_path)
    assert len(a.boxes) == 1
    assert b.faults[0].startswith("line 1 and all others: the image is missing")
    assert (len(b.boxes), len(c.boxes), c.faults) == (0, 0, ())
    picture(tmp_path / "elsewhere" / "b.tif")
    read = read_annotations(tmp_path, Reading(images=tmp_path / "elsewhere"))
    assert [len(each.boxes) for each in read] == [1, 2, 0]
    with pytest.raises(RetinaJError, match="does not exist"):
        read_annotations(tmp_path, Reading(images=tmp_path / "nowhere"))


def test_files_that_are_no_labels(tmp_path):
    picture(tmp_path / "a.png")
    path = tmp_path / "a.txt"
    path.write_bytes(b"\x89PNG\xff\xfe\0\0")
    with pytest.raises(RetinaJError, match=r"a\.txt is not text"):
        read_annotations(path, Reading(format="yolo"))
    path.write_text("what is this\n" * 5000)
    with pytest.raises(RetinaJError, match=r"more than 1,000 objects that cannot be read, the first: line 1 has 3 words"):
        read_annotations(path, Reading(format="yolo"))
    path.write_text("0 0.5 0.5 0.1 0.2\n", encoding="utf-16")  # as Notepad may save it
    assert read_annotations(path)[0].boxes.xyxy.tolist() == BOX
    path.unlink()
    (tmp_path / "classes.txt").write_text("cell\n")
    with pytest.raises(RetinaJError, match="no label files"):
        read_annotations(tmp_path, Reading(format="yolo"))


def test_labels_of_absurd_size_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("retinaj.annotations.text_files.MAX_FILE_BYTES", 2**20)
    label(tmp_path / "a.txt", "0 0.5 0.5 0.1 0.2\n" * 60_000)
    with pytest.raises(RetinaJError, match="larger than 1 MB"):
        read_annotations(tmp_path / "a.txt", Reading(format="yolo"))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("data.yaml", "nc: 2\n", 'has no "names"'),
        ("data.yaml", "- a\n", 'has no "names"'),
        ("data.yaml", "names: [a, {b: c}]\n", '"names" has'),
        ("data.yaml", "names: {one: a}\n", "expected a number and a name"),
        ("data.yaml", f"names: {{{'9' * 500}: a}}\n", "absurd"),
        ("data.yaml", "names: [a, '']\n", "class 1 has no name"),
        ("data.yaml", "names: [a\n", "not readable YAML"),
        ("data.yaml", "[" * 1_000, "not readable YAML"),
        ("data.yaml", "!!python/object/apply:os.system [ls]\n", 'has no "names"'),
        ("classes.txt", "a\n" * 100_001, "has 100,001 names"),
        ("classes.txt", "a\n\nb\n", "class 1 has no name"),
        ("classes.txt", "a\x07b\n", "control character"),
        ("classes.txt", "a\n" * 2**20, "larger than 1 MB"),
    ],
)
def test_broken_files_of_class_names(tmp_path, name, content, reason):
    (tmp_path / name).write_text(content)
    with pytest.raises(RetinaJError, match=name.replace(".", r"\.")) as caught:
        read_class_file(tmp_path / name)
    assert reason in str(caught.value)


@pytest.mark.usefixtures("no_garbage_collection")
def test_yaml_that_multiplies_itself_stays_small(tmp_path):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)]
    (tmp_path / "data.yaml").write_text("\n".join([*lines, "names: *i"]))
    started = time.thread_time()
    with pytest.raises(RetinaJError, match='"names" has a list or mapping'):
        read_class_file(tmp_path / "data.yaml")
    assert time.thread_time() - started < 2


def test_links_that_lead_out_are_refused_and_those_inside_followed(tmp_path):
    folder = tmp_path / "data"
    picture(folder / "images" / "a.png")
    label(folder / "labels" / "a.txt")
    label(tmp_path / "secret.txt")
    (folder / "labels" / "b.txt").symlink_to(folder / "labels" / "a.txt")
    picture(folder / "images" / "b.png")
    assert len(read_annotations(folder)) == 2
    (folder / "labels" / "c.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(RetinaJError, match=r"c\.txt is a link to a file outside"):
        read_annotations(folder)


def test_what_is_written_is_what_ultralytics_reads(tmp_path):
    boxes = Boxes([[-5, 10, 100, 120], [10.5, 20, 30, 40]], [1, 0], ("µ cell", "no"))
    write_annotations(tmp_path / "out", [Annotation(tmp_path / "x", "sub/a b.tif", boxes, (200, 100))], yolo.FORMAT)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")) == [
        "out/data.yaml", "out/labels/a b.txt",
    ]  # fmt: skip
    rows = [line.split() for line in (tmp_path / "out/labels/a b.txt").read_text().splitlines()]
    values = np.array([[float(word) for word in row] for row in rows])
    assert values[:, 0].tolist() == [1, 0]
    np.testing.assert_allclose(values[0, 1:], [0.25, 0.55, 0.5, 0.9])  # cut at the border, as Ultralytics wants it
    np.testing.assert_allclose(values[1, 1:], [0.10125, 0.3, 0.0975, 0.2])
    import yaml

    content = yaml.safe_load((tmp_path / "out/data.yaml").read_text("utf-8"))
    assert content == {"train": "images", "val": "images", "names": {0: "µ cell", 1: "no"}}


def test_yolo_cannot_hold_swapped_corners_and_two_images_of_one_stem(tmp_path):
    swapped = Annotation(tmp_path / "x.json", "a.png", Boxes([[9, 9, 3, 3]], [0], ("cell",)), (10, 10))
    with pytest.raises(RetinaJError, match=r"x\.json: box 1 has swapped corners"):
        write_annotations(tmp_path / "out", [swapped], yolo.FORMAT)
    good = Annotation(tmp_path / "x.json", "a.png", Boxes([[3, 3, 9, 9]], [0], ("cell",)), (10, 10))
    with pytest.raises(RetinaJError, match=r"two images of the name 'a' cannot both go to a\.txt"):
        write_annotations(tmp_path / "out", [good, Annotation(good.source, "b/a.jpg", good.boxes, good.size)], yolo.FORMAT)
    assert not list(tmp_path.iterdir())


def test_a_tree_of_very_many_folders_is_not_searched_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr("retinaj.annotations.yolo_folders._MAX_FOLDERS", 10)
    for at in range(20):
        (tmp_path / "data" / f"{at}").mkdir(parents=True)
    label(tmp_path / "data" / "labels" / "a.txt")
    with pytest.raises(RetinaJError, match="more than 10 folders"):
        read_annotations(tmp_path / "data", Reading(format="yolo"))
    with pytest.raises(RetinaJError, match="has no annotations in it"):
        find_format(tmp_path / "data")
