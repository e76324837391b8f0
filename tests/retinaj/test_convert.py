"""`retinaj convert`: any format to any other and back, with everything said that is lost, and nothing of the user's touched."""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from retinaj.annotations import (
    FORMATS,
    Annotation,
    ObjectDetails,
    Reading,
    csv_reading,
    find_format,
    format_named,
    labelme,
    pascal_voc,
    read_annotations,
    text_files,
)
from retinaj.annotations.collecting import MAX_FAULTS
from retinaj.annotations.format import LIMITS, features
from retinaj.annotations.images_beside import plan_images
from retinaj.annotations.writing import losses, write_annotations
from retinaj.boxes import Boxes
from retinaj.cli import app
from retinaj.convert import convert
from retinaj.errors import RetinaJError

CLASSES = ("Living Cell", "RBC", "α")
SIZES = {"a.png": (64, 48), "b (2).png": (640, 480)}
CELLS = 4  # boxes lie in cells of a grid, so that formats of masks can hold them too
PRECISION = 0.01  # pixels; the coarsest format keeps float32
PAIRS = list(product(FORMATS, FORMATS))


def target_in(folder, chosen):
    return folder / (f"out{chosen.suffix}" if chosen.layout == "file" else "out")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for name, (width, height) in SIZES.items():
        Image.fromarray(np.zeros((height, width), np.uint8)).save(folder / name)
    return folder


@st.composite
def any_annotations(draw, holds=frozenset()):
    """Annotations of the images above, with whatever features are held."""
    made = []
    scored = "score" in holds and draw(st.booleans())
    for name, (width, height) in SIZES.items():
        fewest = 0 if made and "empty" in holds else 1
        cells = draw(st.lists(st.integers(0, CELLS * CELLS - 1), min_size=fewest, max_size=5, unique=True))
        corners = []
        for cell in cells:
            step = np.array([width, height]) / CELLS
            low = np.ceil(np.array([cell % CELLS, cell // CELLS]) * step)
            extent = [draw(st.integers(3, int(side) - 1)) for side in step]
            corners.append([*low, *(low + extent)])
            if "fraction" in holds:
                corners[-1] = [value + draw(st.sampled_from([0, 0.25, 0.371])) for value in corners[-1]]
        flags = [flag for flag in ("difficult", "truncated", "occluded", "crowd") if flag in holds]
        details = tuple(ObjectDetails(**{flag: draw(st.booleans()) for flag in flags}) for _ in cells)
        boxes = Boxes(
            corners,
            [draw(st.integers(0, len(CLASSES) - 1)) for _ in cells],
            CLASSES,
            [draw(st.integers(1, 99)) / 100 for _ in cells] if scored else None,
        )
        made.append(Annotation(Path("made"), name, boxes, SIZES[name], details=details))
    return made


def by_place(annotations, limits=frozenset(), details=()):
    """For each image its objects, sorted by their boxes: (name, corners, score, flags)."""
    images = {}
    for each in annotations:
        stem = Path(each.image_name).stem if each.image_name else each.stem
        names = [name.replace(" ", "_") if "blank" in limits else name for name in each.boxes.names]
        order = np.lexsort(each.boxes.xyxy.round().T)
        score = each.boxes.score
        images[stem] = [
            (
                names[at],
                each.boxes.xyxy[at].tolist(),
                None if score is None or "score" not in details else pytest.approx(float(score[at]), abs=0.0051),
                [getattr(each.detail(at), flag) for flag in details if flag not in ("score", "fraction", "empty", "plane")],
            )
            for at in order
        ]
    return images


def same(one, other, limits=frozenset(), details=(), precision=PRECISION):
    one, other = by_place(one, limits, details), by_place(other, limits, details)
    for stem in one.keys() | other.keys():
        first, second = one.get(stem, []), other.get(stem, [])
        assert [(name, flags) for name, _, _, flags in first] == [(name, flags) for name, _, _, flags in second]
        assert [score for _, _, score, _ in first] == [score for _, _, score, _ in second]
        if first:
            np.testing.assert_allclose(
                [box for _, box, _, _ in first], [box for _, box, _, _ in second], rtol=0, atol=precision
            )


@settings(max_examples=len(PAIRS), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_there_and_back_between_any_two_formats(data, images):
    first, second = data.draw(st.sampled_from(PAIRS), label="formats")
    held = first.holds & second.holds
    made = data.draw(any_annotations(held))
    limits = first.limits | second.limits
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name, part) for part in ("1", "2", "3")]
        start, middle, end = (target_in(folder, each) for folder, each in zip(folders, (first, second, first), strict=True))
        for folder in folders:
            folder.mkdir()
        write_annotations(start, made, first, images=images)
        reading = Reading(images=images)
        there = convert(start, middle, second.name, reading=reading)
        back = convert(middle, end, first.name, reading=reading)
        assert (there.read_as, back.read_as) == (first, second)
        assert there.objects == back.objects == sum(len(each.boxes) for each in made)
        result = read_annotations(end, reading)
        assert not any(each.faults for each in result)
        same(made, result, limits, sorted(held & {"score", "difficult", "truncated", "occluded", "crowd"}))
        said = " ".join((*there.notes, *back.notes))
        blanks = any(" " in name for each in made for name in each.boxes.names)
        assert ("written as _" in said) == (blanks and "blank" in second.limits - first.limits)
        # ImageJ's writer adds a colour, and the class as a property: those may go again.
        said_lost = re.sub(r" \([\d,]+\)", "", ", ".join(re.findall(r"cannot hold (.*?): left out", said)))
        lost = set(filter(None, said_lost.split(", ")))
        assert lost <= ({"colours", "properties of single objects"} if "imagej" in (first.name, second.name) else set())


# --- real files


def there_and_back(source, tmp_path, name, back, **options):
    chosen = format_named(name)
    middle, end = target_in(tmp_path, chosen), target_in(tmp_path / "back", format_named(back))
    done = convert(source, middle, name, **options)
    convert(middle, end, back, **options)
    return done, read_annotations(source), read_annotations(end, options.get("reading"))


@pytest.mark.parametrize("name", ["yolo", "labelme"])
def test_bccd_there_and_back(tmp_path, shared_data, name):
    reading = Reading(images=shared_data / "bccd/BCCD/JPEGImages")
    done, before, after = there_and_back(shared_data / "bccd/BCCD/Annotations", tmp_path, name, "voc", reading=reading)
    assert (done.images, done.objects, done.skipped) == (364, 4888, ())
    lost = [note for note in done.notes if "cannot hold" in note]
    assert len(lost) == (name == "yolo")
    assert not lost or "flags of truncated objects (1,131): left out." in lost[0]
    same(before, after, precision=0)  # to the last digit
    flagged = [sum(detail.truncated for each in read for detail in each.details) for read in (before, after)]
    assert flagged == [1131, 0 if lost else 1131]


@pytest.mark.parametrize("name", ["kitti", "csv", "coco"])
def test_nanowell_with_blanks_and_empty_images_there_and_back(tmp_path, shared_data, name):
    reading = Reading(images=shared_data / "nanowell/JPEGImages")
    done, before, after = there_and_back(shared_data / "nanowell/Annotations", tmp_path, name, "voc", reading=reading)
    assert (done.images, done.objects) == (343, 1167)
    assert any("blanks in names of classes" in note for note in done.notes) == (name == "kitti")
    same(before, after, format_named(name).limits, precision=0)
    assert sum(not len(each.boxes) for each in after) == 13


@pytest.mark.parametrize("name", ["yolo", "kitti", "csv", "labelme", "voc"])
def test_nuclei_there_and_back(tmp_path, shared_data, name):
    reading = Reading(images=shared_data / "nuclei_fluo/images")
    done, before, after = there_and_back(shared_data / "nuclei_fluo/val.json", tmp_path, name, "coco", reading=reading)
    assert (done.images, done.objects) == (71, 2386)
    names = [sorted(Path(each.image_name).name for each in read) for read in (before, after)]
    assert names[0] == names[1]
    same(before, after, precision=0)


@pytest.mark.parametrize("roi_set", ["blobs_RoiSet.zip", "xy_16bit__h2b_rois.zip"])
@pytest.mark.parametrize("name", ["csv", "kitti", "labelme"])
def test_roi_sets_there_and_back(tmp_path, shared_data, name, roi_set):
    done, before, after = there_and_back(shared_data / "imagej_roi" / roi_set, tmp_path, name, "imagej")
    assert done.objects == sum(len(each.boxes) for each in before) > 5
    same(before, after)


# --- what is said, and what is refused


VOC = "<annotation><filename>{}</filename><size><width>60</width><height>80</height></size>{}</annotation>"
OBJECT = (
    "<object><name>cell</name><difficult>1</difficult><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>30</xmax><ymax>{}</ymax>"
    "</bndbox></object>"
)


@pytest.fixture
def voc(tmp_path):
    folder = tmp_path / "voc"
    folder.mkdir()
    (folder / "a.xml").write_text(VOC.format("a.png", OBJECT.format(40) + OBJECT.format("x")))
    (folder / "b.xml").write_text(VOC.format("C:\\cells\\b.png", OBJECT.format("y")))
    (folder / "c.xml").write_text(VOC.format("c.png", ""))
    return folder


def test_faults_stop_the_conversion_unless_they_are_to_be_left_out(tmp_path, voc):
    with pytest.raises(
        RetinaJError, match=r"voc has 2 objects that cannot be read\. The first: a\.xml: object 2.*--skip-faults"
    ):
        convert(voc, tmp_path / "out", "kitti")
    assert not (tmp_path / "out").exists()
    done = convert(voc, tmp_path / "out", "kitti", skip_faults=True)
    assert (done.images, done.objects) == (2, 1)
    assert done.skipped == (
        "a.xml: object 2: <ymax> is 'x'; expected a number of pixels.",
        "b.xml: object 1: <ymax> is 'y'; expected a number of pixels.",
        "b.xml: all of its image 'C:\\\\cells\\\\b.png', which would seem to be without objects",
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "c.txt"]
    assert "flags of difficult objects (1): left out" in done.notes[0]


def test_what_is_wrong_with_the_target_is_said_before_anything_is_done(tmp_path, voc):
    (voc / "b.xml").unlink()
    (tmp_path / "there.json").write_text("mine")
    for target, name, reason in [
        ("there.json", "coco", "already exists"),
        ("voc/out.json", "coco", "is inside"),
        ("out.txt", "coco", r"would be a file of COCO .*ends in \.json"),
        ("out.csv", "kitti", "would be a folder, as KITTI"),
        ("out", "png", "'png' is not a known annotation format"),
    ]:
        with pytest.raises(RetinaJError, match=reason):
            convert(voc, tmp_path / target, name, skip_faults=True)
    with pytest.raises(RetinaJError, match="--copy-images needs to know where the images are"):
        convert(voc, tmp_path / "out", "kitti", copy_images=True)
    with pytest.raises(RetinaJError, match="nowhere does not exist"):
        convert(tmp_path / "nowhere", tmp_path / "out", "kitti")
    assert (tmp_path / "there.json").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there.json", "voc"]


def test_the_source_stays_as_it_is_and_subfolders_are_mentioned(tmp_path, voc):
    (voc / "more").mkdir()
    (voc / "more" / "d.xml").write_text(VOC.format("d.png", ""))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in voc.rglob("*.xml")}
    done = convert(voc, tmp_path / "out.csv", "csv", skip_faults=True)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in voc.rglob("*.*") if path.is_file()} == before
    assert any(note.startswith("1 file (.xml) in subfolders") for note in done.notes)


def test_names_of_images_are_completed_from_their_folder_and_missing_ones_said(tmp_path, images):
    (tmp_path / "kitti").mkdir()
    for stem in ("a", "b (2)", "gone"):
        (tmp_path / "kitti" / f"{stem}.txt").write_text(f"cell 0 0 -10 1 2 30 40 {'-1 ' * 3}{'-1000 ' * 3}-10\n")
    done = convert(tmp_path / "kitti", tmp_path / "bare.json", "coco")
    assert done.notes == ("a and 2 more: the name of the image has no ending; --images FOLDER finds the full names",)
    done = convert(tmp_path / "kitti", tmp_path / "full.json", "coco", reading=Reading(images=images))
    entries = json.loads((tmp_path / "full.json").read_text())["images"]
    assert [(each["file_name"], each.get("width")) for each in entries] == [("a.png", 64), ("b (2).png", 640), ("gone", None)]
    assert done.notes[0] == f"gone: not in {images}; the annotations are converted all the same"
    with pytest.raises(RetinaJError, match=r"gone\.txt: its image 'gone' is not in .*, but YOLO .* needs the sizes"):
        convert(tmp_path / "kitti", tmp_path / "yolo", "yolo", reading=Reading(images=images))
    with pytest.raises(RetinaJError, match=r"needs the sizes of the images; name their folder with --images"):
        convert(tmp_path / "kitti", tmp_path / "yolo", "yolo")


def test_what_is_cut_is_said_also_where_only_the_image_tells(tmp_path, images):
    (tmp_path / "a.csv").write_text(
        "image,x1,y1,x2,y2,class\na.png,-3,0,5,5,cell\na.png,60,40,64,49,cell\na.png,0,0,64,48,cell\n"
    )
    done = convert(tmp_path / "a.csv", tmp_path / "out", "yolo", reading=Reading(images=images))
    assert "parts of boxes outside the image (2): cut at its border" in done.notes[0]
    (read,) = read_annotations(tmp_path / "out", Reading(images=images))
    assert read.boxes.xyxy.tolist() == [[0, 0, 5, 5], [60, 40, 64, 48], [0, 0, 64, 48]]


def test_images_of_several_folders_and_doubles(tmp_path):
    content = {
        "images": [
            {"id": at, "file_name": name, "width": 9, "height": 9} for at, name in enumerate(("x/1.png", "y/1.png", "y/1.png"))
        ],
        "annotations": [{"image_id": at, "category_id": 1, "bbox": [1, 1, 5, 5]} for at in range(3)],
        "categories": [{"id": 1, "name": "cell"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    done = convert(tmp_path / "a.json", tmp_path / "b.json", "coco")
    assert done.notes == ("y/1.png: is annotated more than once; all are kept",)
    with pytest.raises(RetinaJError, match="two images of the name '1' cannot both go to"):
        convert(tmp_path / "a.json", tmp_path / "b", "labelme")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("to", "target", "folder"), [("yolo", "out", "out/images"), ("labelme", "out", "out"), ("coco", "out.json", "out_images")]
)
def test_images_are_copied_on_demand(tmp_path, images, to, target, folder):
    made = [Annotation(Path("made"), name, Boxes([[0, 0, 5, 5]], [0], ("cell",)), SIZES[name]) for name in SIZES]
    write_annotations(tmp_path / "voc", made, format_named("voc"))
    before = {path.name: path.read_bytes() for path in images.iterdir()}
    done = convert(tmp_path / "voc", tmp_path / target, to, reading=Reading(images=images), copy_images=True)
    assert done.image_folder == tmp_path / folder
    assert {path.name: path.read_bytes() for path in done.image_folder.glob("*.png")} == before
    assert {path.name: path.read_bytes() for path in images.iterdir()} == before
    again = read_annotations(tmp_path / target, Reading(images=done.image_folder))
    same(made, again)
    if to == "coco":  # an existing folder of images is not written over either
        (tmp_path / "out.json").unlink()
        with pytest.raises(RetinaJError, match="out_images already exists"):
            convert(tmp_path / "voc", tmp_path / target, to, reading=Reading(images=images), copy_images=True)
        assert not (tmp_path / "out.json").exists()


@pytest.mark.usefixtures("no_garbage_collection")
def test_very_many_images_of_one_name_are_numbered_in_no_time():
    made = [Annotation(Path("a"), "a.png", Boxes.empty(()), encoded=lambda: b"\xff\xd8\xff")] * 5000
    started = time.thread_time()
    planned, images = plan_images(made, [None] * len(made), None)
    assert time.thread_time() - started < 2
    assert [each.image_name for each in planned] == ["a.jpg", *(f"a_{at}.jpg" for at in range(2, 5001))]
    assert len(images) == 5000


def encoded(kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(stream, kind)
    return stream.getvalue()


def carrying(monkeypatch, names, content=None):
    """A reader whose annotations carry their images, as TFRecord's."""
    boxes = Boxes([[1, 2, 3, 4]], [0], ("cell",))
    made = [Annotation(Path("a.csv"), name, boxes, (30, 20), encoded=lambda: content or encoded()) for name in names]
    chosen = replace(format_named("csv"), read=lambda path, reading: made)
    monkeypatch.setattr("retinaj.convert.find_format", lambda path: chosen)


NAMES = ("../../up.png", "C:\\x\\up.png", "/etc/up.png", "up", "nul.png", "a\nb:c?.jpg", "", ".hidden.png", "x" * 400 + ".png")


@pytest.mark.parametrize("to", ["voc", "coco"])
def test_images_that_are_carried_are_written_under_safe_names(tmp_path, monkeypatch, to):
    carrying(monkeypatch, NAMES)
    target = target_in(tmp_path, format_named(to)) if to == "coco" else tmp_path / "out"
    if to == "voc":
        carrying(monkeypatch, NAMES[:1] + NAMES[4:])
    done = convert(tmp_path, tmp_path.parent / f"{tmp_path.name}-{target.name}", to)
    written = sorted(path.name for path in done.image_folder.rglob("*"))
    expected = ["_nul.png", "a_b_c_.png", "hidden.png", "image.png", "up.png", "x" * 60 + ".png"]
    assert written == sorted(expected + (["up_2.png", "up_3.png", "up_4.png"] if to == "coco" else []))
    assert all((done.image_folder / name).read_bytes() == encoded() for name in written)
    read = read_annotations(tmp_path.parent / f"{tmp_path.name}-{target.name}")
    assert sorted(each.image_name for each in read) == written
    carrying(monkeypatch, ["a.png"], b"no image")
    with pytest.raises(RetinaJError, match=r"the image 'a\.png' in it is neither PNG, JPEG nor TIFF"):
        convert(tmp_path, tmp_path.parent / f"{tmp_path.name}-new{target.suffix}", to)


def test_losses_name_what_most_formats_hold_but_this_one_not(tmp_path):
    boxes = Boxes([[-3, 0, 5, 5], [0, 0, 5, 5]], [0, 0], ("Living Cell",), [0.5, 0.5])
    one = Annotation(tmp_path / "x", "a.png", boxes, (9, 9))
    assert features(one) == {"score": 2, "outside": 1, "blank": 2}
    assert losses([one], format_named("kitti")) == (
        "KITTI (one .txt per image) cannot hold blanks in names of classes (2): written as _."
    )
    assert losses([one], format_named("yolo")) == (
        "YOLO (one .txt per image, with data.yaml or classes.txt) cannot hold scores (2): left out; "
        "parts of boxes outside the image (1): cut at its border."
    )
    assert all(each.limits <= LIMITS.keys() for each in FORMATS)


# --- the command


def test_the_command(tmp_path, voc):
    shutil.copy(voc / "a.xml", tmp_path / "a.xml")
    refused = CliRunner().invoke(app, ["convert", str(tmp_path / "a.xml"), str(tmp_path / "out"), "--to", "labelme"])
    assert refused.exit_code == 1
    assert "object 2: <ymax> is 'x'" in refused.output
    words = ["convert", str(tmp_path / "a.xml"), str(tmp_path / "out"), "--to", "yolo", "--skip-faults"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    lines = done.output.strip().splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["Note", "Left out"]
    assert lines[2] == f"1 object on 1 image, read as PASCAL VOC (one .xml per image), is in {tmp_path / 'out'}."
    assert "--copy-images" in lines[3]
    assert find_format(tmp_path / "out").name == "yolo"
    assert Counter(path.suffix for path in (tmp_path / "out").rglob("*.*")) == {".txt": 1, ".yaml": 1}


def test_the_guide_knows_the_formats_and_their_limits(repository):
    guide = (repository / "docs" / "data.md").read_text(encoding="utf-8")
    for name, limit in (
        ("`voc`", pascal_voc.MAX_FILE_BYTES),
        ("`labelme`", labelme.MAX_FILE_BYTES),
        ("`kitti`, `yolo`", text_files.MAX_FILE_BYTES),
        ("`csv`", csv_reading.MAX_FILE_BYTES),
    ):
        assert f"| {name} | {limit // 2**20} MB" in guide
    assert f"and {csv_reading.MAX_IMAGES:,} images" in guide
    assert f"more than {MAX_FAULTS:,} objects" in guide
    for name in ("voc", "coco", "labelme", "imagej", "kitti", "yolo", "csv"):
        (row,) = [line for line in guide.splitlines() if line.startswith(f"| `{name}` |") and line.count("|") == 5]
        held = format_named(name).holds
        for flag in ("difficult", "truncated", "occluded"):
            assert (flag in row or "flags" in row) == (flag in held)
        assert ("scores" in row) == ("score" in held)
        assert ("positions in a stack" in row) == ("plane" in held)


@pytest.mark.parametrize("name", ["labels", "masks"])
def test_what_is_in_folders_of_classes_was_read_and_images_keep_their_names(tmp_path, images, name):
    boxes = Boxes([[2, 2, 10, 10], [10, 2, 20, 10]], [0, 1], ("RBC", "WBC"))
    entries = [Annotation(tmp_path / "x", image, boxes, size) for image, size in SIZES.items()]
    write_annotations(tmp_path / "first.csv", entries, format_named("csv"))
    convert(tmp_path / "first.csv", tmp_path / name, name, reading=Reading(images=images))
    done = convert(tmp_path / name, tmp_path / "back.csv", "csv")
    assert not [note for note in done.notes if "not read" in note]
    stems = sorted(Path(image).stem for image in SIZES)
    names = {entry.image_name for entry in read_annotations(tmp_path / "back.csv")}
    assert names == (set(SIZES) if name == "masks" else set(stems))  # masks have the images beside them
    if name == "masks":
        assert "a and 1 more: of their 4 objects 4 touch another" in done.notes


def test_files_that_cannot_be_read_are_not_left_out_as_objects_are(tmp_path, voc):
    (voc / "b.xml").write_text("<annotation")
    with pytest.raises(RetinaJError, match=r"b\.xml.*not whole files: correct b\.xml, or move it to another folder\.$"):
        convert(voc, tmp_path / "out.csv", "csv", skip_faults=True)
    assert not (tmp_path / "out.csv").exists()


def test_a_roi_set_gives_back_no_colours_that_the_source_had_not(tmp_path):
    boxes = Boxes([[1, 1, 5, 5], [2, 2, 7, 7]], [0, 1], ("RBC", "WBC"))
    orange = (230, 159, 0)  # also that of the first class
    for details in ((), (ObjectDetails(), ObjectDetails(colour=orange)), (ObjectDetails(), ObjectDetails(colour=(1, 2, 3)))):
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            first, rois, back = (Path(folder, name) for name in ("first.csv", "rois", "back.csv"))
            write_annotations(first, [Annotation(tmp_path / "x", "a", boxes, details=details)], format_named("csv"))
            convert(first, rois, "imagej")
            convert(rois, back, "csv")
            assert back.read_text() == first.read_text()
