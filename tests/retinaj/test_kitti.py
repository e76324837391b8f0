"""KITTI: words in a line, regions that nobody marked, and names without blanks."""

from __future__ import annotations

import pytest

from retinaj.annotations import (
    Annotation,
    ObjectDetails,
    Reading,
    find_format,
    kitti,
    read_annotations,
    write_annotations,
    yolo,
)
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError

REST = "-1 -1 -1 -1000 -1000 -1000 -10"


def test_a_kitti_folder(tmp_path):
    (tmp_path / "000001.txt").write_text(
        "Truck 0.35 0 -1.57 599.41 156.4 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56\n\n"
        f"cell -1 -1 -10 0 1 2 3 {REST}\n"
        f"DontCare -1 -1 -10 5 6 7 8 {REST}\n"
        f"cell 0.00 2 -10 5 6 7 8 {REST}\n"
    )
    (tmp_path / "000002.txt").write_text("")
    (tmp_path / "classes.txt").write_text("Truck\ncell\n")
    assert find_format(tmp_path) is kitti.FORMAT
    first, second = read_annotations(tmp_path)
    assert first.boxes.names == ["Truck", "cell", "DontCare", "cell"]
    assert first.boxes.xyxy[1].tolist() == [0, 1, 2, 3]  # half open, from 0: as they stand
    assert [(each.truncated, each.occluded, each.crowd) for each in first.details] == [
        (True, False, False), (False, False, False), (False, False, True), (False, True, False),
    ]  # fmt: skip
    assert first.places == ("line 1", "line 3", "line 4", "line 5")
    assert "positions in space" in first.notes[0]
    assert (first.image_name, first.stem, len(second.boxes), second.notes) == ("", "000001", 0, ())


def test_scores_and_polygons_are_told_apart(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(f"0 0 0 -10 0 1 2 3 {REST} 0.75\n")
    assert find_format(path) is kitti.FORMAT
    assert read_annotations(path)[0].boxes.score.tolist() == [0.75]
    path.write_text("0 " + " ".join(["0.25 0.5"] * 7))  # as many words, but a YOLO polygon
    assert find_format(path) is yolo.FORMAT


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("cell 0 0 -10 0 1 2 3", "line 2 has 8 words; expected 15"),
        (f"cell x 0 -10 0 1 2 3 {REST}", "line 2: truncated is 'x'"),
        (f"cell 0 0 -10 0 1 nan 3 {REST}", "line 2: right is 'nan'"),
        (f"cell 0 0 -10 0 1 2 1e300 {REST}", "line 2: bottom is '1e300'"),
        (f"cell 0 0 -10 0 1 2 3 {REST} 17", "line 2: the score is '17'"),
        (f"ce\x07ll 0 0 -10 0 1 2 3 {REST}", "line 2: the name 'ce\\x07ll' contains the control character"),
    ],
)
def test_a_broken_line_is_a_fault_and_hides_no_other(tmp_path, line, reason):
    good = f"cell 0 0 -10 0 1 2 3 {REST}\n"
    (tmp_path / "a.txt").write_text(f"{good}{line}\n{good}")
    (read,) = read_annotations(tmp_path, Reading(format="kitti"))
    assert read.places == ("line 1", "line 3")
    assert len(read.faults) == 1
    assert read.faults[0].startswith(reason)


def test_what_is_written(tmp_path):
    boxes = Boxes([[0.1, 1, 2, 3], [4, 5, 6, 7]], [1, 0], ("Living Cell", "RBC"), [0.25, 0.5])
    details = (ObjectDetails(), ObjectDetails(truncated=True, occluded=True))
    write_annotations(tmp_path / "out", [Annotation(tmp_path / "x", "a.png", boxes, details=details)], kitti.FORMAT)
    assert (tmp_path / "out/a.txt").read_text() == (
        f"RBC 0.00 0 -10 0.100000001 1 2 3 {REST} 0.25\nLiving_Cell 1.00 1 -10 4 5 6 7 {REST} 0.5\n"
    )


def test_two_names_that_would_become_one_are_refused(tmp_path):
    boxes = Boxes([[0, 1, 2, 3]], [0], ("a b", "a_b"))
    with pytest.raises(RetinaJError, match=r"'a b' and 'a_b' would both be 'a_b' in KITTI"):
        write_annotations(tmp_path / "out", [Annotation(tmp_path / "x", "a.png", boxes)], kitti.FORMAT)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_lists_only_has_no_labels(tmp_path):
    (tmp_path / "classes.txt").write_text("cell\n")
    with pytest.raises(RetinaJError, match="has no labels in it"):
        read_annotations(tmp_path, Reading(format="kitti"))
