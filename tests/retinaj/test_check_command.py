"""`retinaj check` as people run it: what it prints, writes and returns."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
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
    assert "0 errors and warnings are left for you to decide" in done.output
    assert run(folders[0], tmp_path / "fixed" / "annotations", "--quick").exit_code == 0


def test_parts_and_mistakes_in_the_options(folders, tmp_path):
    (tmp_path / "val.txt").write_text("f2\n")
    done = run(*folders, "--validation", tmp_path / "val.txt")
    assert "Checked 3 annotated images (training: 2, validation: 1) with 9 boxes." in done.output
    assert "compared 2 pairs across the parts" in done.output
    done = run(folders[0], tmp_path / "gone")
    assert (done.exit_code, "gone does not exist" in done.output) == (1, True)
    assert run(*folders, "--overlap", "0").exit_code == 1
