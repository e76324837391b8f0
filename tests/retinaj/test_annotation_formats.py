"""What all formats share: being recognised, being written whole or not at all, and saying what they cannot hold."""

import numpy as np
import pytest
from PIL import Image

from retinaj.annotations import (
    FORMATS,
    Annotation,
    ObjectDetails,
    Reading,
    find_format,
    format_named,
    losses,
    read_annotations,
    require_sound,
    write_annotations,
)
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError

CLASSES = ("cell", "debris")
SIZES = {"a.png": (64, 48), "b.png": (30, 20)}


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, (width, height) in SIZES.items():
        Image.fromarray(np.zeros((height, width), np.uint8)).save(folder / name)
    return folder


def annotations(source) -> list[Annotation]:
    first = Boxes([[0, 0, 10, 20], [5, 6, 64, 48]], [1, 0], CLASSES)
    second = Boxes([[1, 2, 3, 4]], [0], CLASSES)
    return [Annotation(source, "a.png", first, SIZES["a.png"]), Annotation(source, "b.png", second, SIZES["b.png"])]


def target_of(folder, chosen):
    return folder / (f"out{chosen.suffix}" if chosen.layout == "file" else "out")


@pytest.mark.parametrize("chosen", FORMATS, ids=lambda each: each.name)
def test_each_format_is_written_recognised_and_read_back(tmp_path, images, chosen):
    target = target_of(tmp_path, chosen)
    write_annotations(target, annotations(tmp_path / "x"), chosen, images=images)
    assert find_format(target) is chosen
    assert format_named(chosen.name.upper()) is chosen
    read = [require_sound(each) for each in read_annotations(target, Reading(images=images))]
    for one, other in zip(read, annotations(tmp_path / "x"), strict=True):
        order = np.lexsort(one.boxes.xyxy.T), np.lexsort(other.boxes.xyxy.T)
        assert [one.boxes.names[at] for at in order[0]] == [other.boxes.names[at] for at in order[1]]
        np.testing.assert_allclose(one.boxes.xyxy[order[0]], other.boxes.xyxy[order[1]], atol=0.01)
        assert one.size in (None, other.size)
        assert (one.image_name or one.stem).rsplit(".")[0] == other.image_name.rsplit(".")[0]


@pytest.mark.parametrize("chosen", FORMATS, ids=lambda each: each.name)
def test_nothing_is_written_over_and_a_failure_leaves_nothing(tmp_path, images, chosen):
    target = target_of(tmp_path, chosen)
    write_annotations(target, annotations(tmp_path / "x"), chosen, images=images)
    with pytest.raises(RetinaJError, match="exists"):
        write_annotations(target, annotations(tmp_path / "x"), chosen, images=images)
    other = tmp_path / "other"
    other.mkdir()
    unknown = [Annotation(tmp_path / "x", "a.png", Boxes([[0, 0, 1, 1]], [0], ("dust",)), (64, 48))]
    with pytest.raises(RetinaJError, match="dust"):
        write_annotations(target_of(other, chosen), unknown, chosen, class_names=CLASSES, images=images)
    assert not list(other.iterdir())


def test_an_unknown_format_is_named_with_those_that_there_are(tmp_path):
    with pytest.raises(RetinaJError, match=r"'png' is not a known annotation format; expected one of voc, coco"):
        format_named("png")
    (tmp_path / "a.xyz").write_text("hello")
    with pytest.raises(RetinaJError, match="not a known annotation format"):
        find_format(tmp_path / "a.xyz")
    with pytest.raises(RetinaJError, match="does not exist"):
        find_format(tmp_path / "b.xyz")


def test_what_a_format_cannot_hold_is_said_in_one_line(tmp_path):
    boxes = Boxes([[0, 0, 1.5, 1], [0, 0, 2, 2]], [0, 0], ("cell",), [0.5, 0.6])
    details = (ObjectDetails(difficult=True), ObjectDetails(difficult=True, crowd=True))
    one = Annotation(tmp_path / "x", "a.png", boxes, (9, 9), details=details)
    assert losses([one, one], format_named("voc")) == (
        "PASCAL VOC (one .xml per image) cannot hold scores (4), flags of crowds (2): left out."
    )
    assert losses([one], format_named("coco")) == (
        "COCO (one .json for all images) cannot hold flags of difficult objects (2): left out."
    )
    assert losses(annotations(tmp_path), format_named("voc")) is None


def test_details_and_places_follow_their_boxes(tmp_path):
    boxes = Boxes([[0, 0, 1, 1], [0, 0, 2, 2]], [0, 0], ("cell",))
    one = Annotation(
        tmp_path, "a", boxes, details=(ObjectDetails(name="x"), ObjectDetails(name="y")), places=("line 1", "line 9")
    )
    chosen = one.select([1])
    assert (chosen.detail(0).name, chosen.place(0), len(chosen.boxes)) == ("y", "line 9", 1)
    assert one.select(np.array([False, True])).places == ("line 9",)
    assert Annotation(tmp_path, "a", boxes).place(1) == "box 2"
    with pytest.raises(RetinaJError, match="2 boxes came with 1 places"):
        Annotation(tmp_path, "a", boxes, places=("line 1",))


def test_faults_are_collected_and_refused_on_demand(tmp_path):
    (tmp_path / "a.xml").write_text(
        "<annotation><object><name>a</name></object><object><name>b</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
        "<xmax>5</xmax><ymax>nan</ymax></bndbox></object></annotation>"
    )
    (read,) = read_annotations(tmp_path)
    assert read.faults == (
        "object 1: <xmin> is missing; expected a number of pixels.",
        "object 2: <ymax> is 'nan'; expected a number of pixels.",
    )
    with pytest.raises(RetinaJError, match=r"a\.xml: object 1: <xmin> is missing.*1 more"):
        require_sound(read)


# TFRecord's folder has one file for all images.
ONE_FILE_EACH = [each for each in FORMATS if each.layout == "folder" and not each.carries_images]


@pytest.mark.parametrize("chosen", ONE_FILE_EACH, ids=lambda each: each.name)
def test_a_broken_file_hides_no_other_from_who_wants_to_know_all(tmp_path, images, chosen):
    target = target_of(tmp_path, chosen)
    write_annotations(target, annotations(tmp_path / "x"), chosen, images=images)
    of_a = [path for path in target.rglob("*") if path.is_file() and _names(path.relative_to(target)) & {"a"}]
    assert of_a
    for file in of_a:
        file.write_bytes(b"\0\xff<" * 100)
    broken = []
    read = read_annotations(target, Reading(format=chosen.name, images=images, broken=lambda path, _: broken.append(path)))
    assert [(each.image_name or each.stem).rsplit(".")[0] for each in read if not each.faults and not each.notes] == ["b"]
    assert set(broken) & set(of_a) or any(each.faults for each in read)
    with pytest.raises(RetinaJError):
        [require_sound(each) for each in read_annotations(target, Reading(format=chosen.name, images=images))]


def _names(path) -> set[str]:
    return {path.stem.split("_")[0], *(each.name for each in path.parents)}
