"""Many notes become few lines, and none is lost from the data set itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from typer.testing import CliRunner

from retinaj.checking.findings import Finding
from retinaj.checking.refusal import notes_and_warnings
from retinaj.cli import app
from retinaj.dataset import load_dataset
from retinaj.notes import shortly, summarised


def test_kinds_are_told_apart_by_what_is_said_not_by_names_and_numbers():
    boxes = [f"{name * 8}.xml: object {at} has no area" for at, name in enumerate("abcd")]
    few = ["e.xml: object 1 lies outside the image of 3 x 4 pixels", "f.xml: object 2 lies outside the image of 8 x 9 pixels"]
    classes = [f"no object of 'c{at}' is among the validation images: share them out" for at in range(250)]
    assert summarised([boxes[0], few[0], *boxes[1:], *classes, few[1]]) == [
        f"{boxes[0]} (and 3 more like this)",
        *few,
        f"{classes[0]} (and 249 more like this)",
    ]


def test_objects_that_touch_are_added_up():
    notes = [
        "a.tif: of its 1,200 objects 5 touch another, 1 has several parts and one box around them",
        "b.tif: RBC: of its 10 objects 3 have several parts and one box around them",
        "c.tif: frame 1, slice 2, of its 20 objects 2 touch another",
        "b.tif: WBC: of its 3 objects 2 touch another",
    ]
    assert summarised(notes) == [
        "a.tif and 2 more: of their 1,233 objects 9 touch another, 4 have several parts and one box around them"
    ]


def test_there_are_at_most_twenty_lines():
    lines = shortly([f"a.png: {'x' * length}" for length in range(1, 31)])
    assert (len(lines), lines[-1]) == (21, "and 10 more; `retinaj check` lists all.")


def test_the_most_serious_come_first():
    doubt = Finding("doubtful", Path("a.tif"), "of its 2 objects 2 touch another")
    empty = Finding("zero-area", Path("b.tif"), "has no area", "object 1")
    assert notes_and_warnings([doubt, empty])[0] == [str(empty), str(doubt)]


def test_a_folder_of_label_images_is_described_in_one_note(tmp_path):
    labels = np.zeros((40, 60), np.uint16)
    labels[2:12, 3:20], labels[12:20, 3:20], labels[30:38, 40:50] = 1, 2, 3
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name in "abcde":
        Image.fromarray(np.full((40, 60), ord(name), np.uint8)).save(tmp_path / "images" / f"{name}.png")
        tifffile.imwrite(tmp_path / "labels" / f"{name}_labels.tif", labels)
    data = tmp_path / "images", tmp_path / "labels"
    assert len(load_dataset(*data).notes) == 5
    result = CliRunner().invoke(app, ["describe", *map(str, data)])
    assert result.exit_code == 0, result.output
    notes = [line for line in result.output.splitlines() if line.startswith("Note: ")]
    assert len(notes) == 1
    assert notes[0].endswith(" and 4 more: of their 15 objects 10 touch another")
