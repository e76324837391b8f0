"""label_map.pbtxt of the TF2 Object Detection API: what it may look like, and files that lie."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retinaj.annotations import label_map
from retinaj.errors import RetinaJError

NAME = st.text("abcµé漢🔬'\"\\{}<>[]#0:;,/-%\u0301", min_size=1, max_size=12) | st.just("two words")


def read(folder: Path, text: str | bytes) -> label_map.LabelMap:
    path = folder / "label_map.pbtxt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return label_map.read(path)


@settings(max_examples=25, deadline=None)
@given(st.lists(NAME, min_size=1, max_size=5, unique=True))
def test_round_trip(names):
    with tempfile.TemporaryDirectory() as folder:
        label_map.write(Path(folder) / "a.pbtxt", names)
        found = label_map.read(Path(folder) / "a.pbtxt")
    assert list(found.names.items()) == list(enumerate(names, 1))
    assert found.aliases == {name: name for name in names}


def test_what_people_and_tools_write(tmp_path):
    found = read(
        tmp_path,
        """\ufeff# made by hand
        item { id: 90 name: 'it\\'s' }  # trailing comment
        item {
          name: "/m/01g317"
          id: 2
          display_name: "Red \\303\\251 cell"
          keypoints { id: 1 label: 'centre' }
          ancestor_ids: [7, 8]
          frequency: FREQUENT
        }
        item: < id: 3, name: "a" 'b'; >
        item { id: 0 name: 'background' }
        """,
    )
    assert found.names == {2: "Red é cell", 3: "ab", 90: "it's"}
    assert list(found.names) == [2, 3, 90]
    assert found.aliases == {"it's": "it's", "/m/01g317": "Red é cell", "ab": "ab"}


def test_finding_one(tmp_path):
    assert label_map.find(tmp_path) is None
    (tmp_path / "graph.pbtxt").touch()
    (tmp_path / "pascal_label_map.pbtxt").touch()
    assert label_map.find(tmp_path) == tmp_path / "pascal_label_map.pbtxt"
    (tmp_path / "label_map.pbtxt").touch()
    assert label_map.find(tmp_path) == tmp_path / "label_map.pbtxt"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no classes"),
        ("item { id: 0 name: 'background' }", "has no classes"),
        ("cell\ndebris\n", "is not a label map: 2:1"),
        ("item { id: 1 name: 'a'", "is not a label map"),
        ("item { id: 1 name: 'a }", "is not a label map"),
        ("item { id: one name: 'a' }", "is not a label map"),
        ("item { id: 99999999999 name: 'a' }", "Value out of range"),
        (b"item { id: 1 name: '\xff' }", "it is not UTF-8 text"),
        ("item { id: 1 name: '\\377' }", "is not a label map"),
        ("item { id: 1 }", "item 1 has no name"),
        ("item { name: 'a' }", "item 1, 'a', has no id"),
        ("item { id: 0 name: 'a' }", "has the id 0; expected a whole number from 1"),
        ("item { id: -1 name: 'a' }", "has the id -1"),
        ("item { id: 1 name: 'a' } item { id: 1 name: 'b' }", "'a' and 'b' have the same id, 1"),
        ("item { id: 1 name: 'a\\033[1m' }", "contains the control character '\\x1b'"),
        ("item { id: 1 name: '" + "x" * 1001 + "' }", "has 1,001 characters"),
        ("x {" * 3000, "nested too deep"),
        ("k: 1 " * 3000, "has a line of more than 10,000 characters"),
        ("item { id: 1 name: '" + "\\" * 64 + "' }", "64 backslashes in a row"),
        ("#" * 2**20 + "\n", "larger than 1 MB"),
    ],
)
def test_broken_ones_give_one_clear_error(tmp_path, text, reason):
    with pytest.raises(RetinaJError, match=r"label_map\.pbtxt") as caught:
        read(tmp_path, text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["k: [" + "1," * 4990 + "1]", "k: '" + ("\\" * 62 + "x") * 150 + "'", "item{}" * 1600])
def test_the_largest_that_is_read_takes_seconds(tmp_path, line):
    begin = time.perf_counter()
    with pytest.raises(RetinaJError):
        read(tmp_path, (line + "\n") * (2**17 // (len(line) + 1)))  # an eighth of what may be read
    assert time.perf_counter() - begin < 15
