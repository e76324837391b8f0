"""`retinaj check` as people run it: what it prints, writes and returns."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import tifffile
from fields import field, save, write_fields
from typer.testing import CliRunner

from retinaj.annotations import pascal_voc
from retinaj.boxes import Boxes
from retinaj.checking.findings import CHECKS
from retinaj.cli import app

KEYS = {"check", "grade", "file", "place", "message", "advice", "image", "boxes", "other_image", "other_boxes"}


@pytest.fixture
def folders(tmp_path):
    return write_fields(tmp_path, 3)


def run(*arguments):
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def spoil(folders) -> None:
    """An error, a warning and a note."""
    boxes = Boxes([[30, 6, 5, 40], [5, 5, 5, 9], [5, 6, 30, 40], [40, 40, 80, 70]], [0] * 4, ("cell",))
    pascal_voc.write(folders[1] / "f1.xml", boxes, image_name="f1.png", size=(96, 96), channels=3)


def test_clean_data(folders):
    done = run(*folders)
    assert done.exit_code == 0
    assert "Checked 3 annotated images with 9 boxes." in done.output
    assert "Found nothing to complain about." in done.output


def test_findings_are_printed_errors_first_and_errors_fail(folders):
    spoil(folders)
    done = run(*folders, "--quick")
    assert done.exit_code == 1
    assert (
        "Error: Boxes with swapped corners\n  f1.png: object 1 (cell; 30, 6, 5, 40) has swapped corners\n  → If" in done.output
    )
    assert done.output.index("Error: ") < done.output.index("Warning: Boxes without an area")
    assert re.search(r"note +Annotations that state another number .* 1 *\n", done.output)
    assert "Found 1 error, 1 warning, 1 note." in done.output
    assert "The pixels were not looked at" in done.output
    pascal_voc.write(
        folders[1] / "f1.xml", Boxes([[5, 5, 5, 9]], [0], ("cell",)), image_name="f1.png", size=(96, 96), channels=1
    )
    assert run(*folders, "--quick").exit_code == 0


def test_the_report_has_a_page_and_json(folders, tmp_path):
    spoil(folders)
    save(folders[0] / "f2.png", field(0, 96))
    done = run(*folders, "--report", tmp_path / "report")
    assert f"Report: {tmp_path / 'report' / 'check.html'}" in done.output
    stored = json.loads((tmp_path / "report" / "check.json").read_text(encoding="utf-8"))
    assert set(stored) == {
        "format",
        "version",
        "retinaj",
        "images",
        "annotations",
        "parts",
        "boxes",
        "compared",
        "grades",
        "counts",
        "findings",
    }
    assert (stored["format"], stored["version"], stored["grades"]) == (
        "retinaj-check",
        1,
        {"error": 1, "warning": 2, "note": 1},
    )
    assert stored["counts"] == {"swapped-corners": 1, "identical-images": 1, "zero-area": 1, "depth-differs": 1}
    for each in stored["findings"]:
        assert set(each) == KEYS
        assert each["advice"] == CHECKS[each["check"]].advice
    assert stored["findings"][0]["boxes"] == [[30, 6, 5, 40]]
    assert stored["findings"][1]["other_image"] == str(folders[0] / "f2.png")
    page = (tmp_path / "report" / "check.html").read_text(encoding="utf-8")
    body = ElementTree.fromstring(page[page.index("<body>") : page.index("</body>") + 7])
    assert len(body.findall(".//image")) == 4  # the swapped box, the one without area, and two of the copies
    assert [each.get("id") for each in body.findall("section") if each.get("id")] == list(stored["counts"])
    assert "<code>--fix</code>" in page
    assert "http" not in page.replace("http-equiv", "")
    for name in ("one.html", "one.json"):
        run(*folders, "--report", tmp_path / name, "--quick")
    assert (tmp_path / "one.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))["compared"] is None
    done = run(*folders, "--report", tmp_path / "one.html")
    assert done.exit_code == 1
    assert "already exists" in done.output


def test_the_page_is_safe_against_names_and_boxes_far_outside(folders, tmp_path):
    names = ('<script>alert("1")</script>',)
    boxes = Boxes([[1e8, 5, 1.1e8, 40], [-500, -500, -400, -450], [5, 6, 30, 40]], [0, 0, 0], names)
    pascal_voc.write(folders[1] / "f1.xml", boxes, image_name="f1.png", size=(96, 96), channels=1)
    run(*folders, "--quick", "--report", tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert "<script" not in page
    views = [[float(value) for value in each.split()] for each in re.findall(r'viewBox="([^"]+)"', page)]
    assert len(views) == 2
    assert all(np.abs(view).max() < 1000 for view in views)


def test_fixing_says_what_was_done(folders, tmp_path):
    spoil(folders)
    done = run(*folders, "--quick", "--fix", tmp_path / "fixed")
    assert done.exit_code == 1
    assert f"Corrected copy: {tmp_path / 'fixed'}, with 4 changes." in done.output
    assert "for you to decide" not in done.output
    assert run(folders[0], tmp_path / "fixed" / "annotations", "--quick").exit_code == 0


def test_parts_and_mistakes_in_the_options(folders, tmp_path):
    (tmp_path / "val.txt").write_text("f2\n")
    done = run(*folders, "--validation", tmp_path / "val.txt")
    assert "Checked 3 annotated images (training: 2, validation: 1) with 9 boxes." in done.output
    assert "compared 2 pairs across the parts" in done.output
    done = run(folders[0], tmp_path / "gone")
    assert (done.exit_code, "gone does not exist" in done.output) == (1, True)
    assert run(*folders, "--overlap", "0").exit_code == 1


def test_nothing_to_correct_writes_nothing(folders, tmp_path):
    done = run(*folders, "--quick", "--fix", tmp_path / "fixed")
    assert (done.exit_code, (tmp_path / "fixed").exists()) == (0, False)
    assert "There is nothing that RetinaJ can correct by itself" in done.output
    assert "for you to decide" not in done.output


def test_one_of_each_is_said_in_the_singular(tmp_path):
    images, annotations = write_fields(tmp_path, 1)
    boxes = Boxes([[100, 5, 130, 40], [5, 6, 30, 40], [5, 6, 30, 40]], [0] * 3, ("cell",))
    pascal_voc.write(annotations / "f0.xml", boxes, image_name="f0.png", size=(96, 96), channels=1)
    done = run(images, annotations, "--fix", tmp_path / "fixed")
    assert "Checked 1 annotated image with 3 boxes. Read the pixels of 1 image." in " ".join(done.output.split())
    assert "fixed, with 1 change." in done.output
    assert "1 error or warning is left for you to decide" in done.output
    pascal_voc.write(annotations / "f0.xml", boxes.select([1]), image_name="f0.png", size=(96, 96), channels=1)
    assert "Checked 1 annotated image with 1 box." in run(images, annotations).output


def test_swapped_too_high_and_empty_folders(folders, tmp_path):
    images, annotations = folders
    for given, said in (
        ((annotations, images), f"There are no images in {annotations}, but there are some in {images}: did you swap the two?"),
        (
            (tmp_path, annotations),
            f"There are no images in {tmp_path} itself, but there are some one level below: did you mean",
        ),
        ((images, tmp_path), f"there are some one level below: did you mean {annotations}?"),
    ):
        done = run(*given, "--quick")
        assert done.exit_code == 1
        assert said in " ".join(done.output.split())
        assert "Export the annotations" not in done.output
        assert "Images without an annotation" not in done.output
    empty = tmp_path / "none"
    empty.mkdir()
    assert f"There are no images in {empty}; expected" in run(empty, annotations).output
    done = run(images, empty)
    assert "none is empty; expected a file or folder of annotations" in done.output
    assert "Export the annotations" not in done.output


def test_stacks_are_checked_as_training_takes_them(tmp_path):
    images, annotations = write_fields(tmp_path, 1)
    (images / "f0.png").unlink()
    pixels = np.stack([field(at, 96) for at in range(6)]).reshape(3, 2, 96, 96)
    tifffile.imwrite(images / "f0.tif", pixels, imagej=True, metadata={"axes": "ZCYX"})
    done = run(images, annotations)
    assert done.exit_code == 1
    assert "nothing says on which plane its 3 boxes lie" in done.output
    done = run(images, annotations, "--z", "mid", "--channels", "2")
    assert (done.exit_code, "Found 0 errors, 0 warnings, 1 note." in done.output) == (0, True)  # the number of channels
    assert "channel" in run(images, annotations, "--z", "mid", "--channels", "7").output
    assert run(images, annotations, "--z", "mid", "--channels", "7").exit_code == 1
    done = run(images, annotations, "--axes", "yx")
    assert done.exit_code == 1
    assert "Images that cannot be read" in done.output


def test_data_that_other_commands_refuse_are_not_praised(folders):
    images, annotations = folders
    (images / "f2.png").rename(images / "f\n2.png")
    (annotations / "f2.xml").rename(annotations / "f\n2.xml")
    done = run(*folders, "--quick")
    assert (done.exit_code, "Images with names that a list cannot hold" in done.output) == (0, True)
    for at in ("0", "1", "\n2"):
        nothing = Boxes.empty(("cell",))
        pascal_voc.write(annotations / f"f{at}.xml", nothing, image_name=f"f{at}.png", size=(96, 96), channels=1)
    done = run(*folders, "--quick")
    assert (done.exit_code, "has no usable object on any of the 3 images" in done.output) == (1, True)
    for at in ("0", "1", "\n2"):
        (annotations / f"f{at}.xml").rename(annotations / f"other{at}.xml")
        other = Boxes([[5, 6, 30, 40]], [0], ("cell",))
        pascal_voc.write(annotations / f"other{at}.xml", other, image_name="other.png", size=(96, 96), channels=1)
    done = run(*folders, "--quick")
    assert (done.exit_code, "annotates none of the images" in done.output) == (1, True)
