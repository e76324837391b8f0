from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinaj.errors import RetinaJError
from retinaj_bridge.options import DetectOptions, parse_options, recorded


def test_all_options() -> None:
    parsed = parse_options("model=[/my models/cells.zip] threshold=0.60 overlap=.3 channel=2 replace ")
    assert parsed == DetectOptions(Path("/my models/cells.zip"), 0.6, 0.3, 2, replace=True)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("model=/m", "/m"),
        ("model='/a b' threshold=0.5", "/a b"),
        ("model=[/a [b] c]", "/a [b] c"),
        ("threshold=0.5   model=[C:\\my models\\ä]", "C:\\my models\\ä"),
        ("MODEL=[/m=1 replace]", "/m=1 replace"),
    ],
)
def test_paths_as_imagej_writes_them(text: str, path: str) -> None:
    parsed = parse_options(text)
    assert parsed.model == Path(path)
    assert not parsed.replace


def test_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert parse_options("model=~/cells").model == tmp_path / "cells"


def test_macro_variables() -> None:
    variables = {"path": "/a] b[", "t": "0.25"}
    parsed = parse_options("model=&path threshold=&t", variables.get)
    assert (parsed.model, parsed.threshold) == (Path("/a] b["), 0.25)
    with pytest.raises(RetinaJError, match="no variable 'nix'"):
        parse_options("model=&nix", variables.get)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "The model is missing"),
        ("threshold=0.4", "The model is missing"),
        ("model=[]", "The model is missing"),
        ("model=[ ]", "The model is missing"),
        ("model", "model has no value"),
        ("model=/m threshold=abc", "threshold is 'abc'; expected a number"),
        ("model=/m threshold=0,4", "a point, not a comma"),
        ("model=/m threshold=", "threshold is ''"),
        ("model=/m threshold=nan", "threshold is nan"),
        ("model=/m threshold=0", "threshold is 0.0; expected a number above 0"),
        ("model=/m overlap=1.01", "overlap is 1.01"),
        ("model=/m overlap=-1", "overlap is -1.0"),
        ("model=/m channel=0", "channel is '0'"),
        ("model=/m channel=1.5", "channel is '1.5'"),
        ("model=/m channel=all", "channel is 'all'"),
        ("model=/m treshold=0.4", "no option 'treshold'; it knows model, threshold, overlap, channel, replace"),
        ("model=/my model", "given twice"),
        ("model=/my cells threshold=1", "no option 'cells'.*into brackets"),
        ("model=/m replace=no", "replace takes no value"),
        ("model=/m threshold=.4 threshold=.5", "threshold is given twice"),
        ("model=[/m threshold=.4", "begins with \\[ and does not end"),
        ("model='/m threshold=.4", "begins with ' and does not end"),
    ],
)
def test_errors_quote_what_was_wrong(text: str, reason: str) -> None:
    with pytest.raises(RetinaJError, match=reason):
        parse_options(text)


@given(
    model=st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="/\\~&") | st.just(" "), min_size=1).filter(
        # One kind of quoting must be able to hold the path.
        lambda name: name.strip() == name and ("'" not in name or ("[" not in name and "]" not in name)),
    ),
    threshold=st.floats(0.001, 1),
    overlap=st.floats(0.001, 1),
    channel=st.none() | st.integers(1, 99),
    replace=st.booleans(),
)
def test_what_is_recorded_is_read_back(
    model: str, threshold: float, overlap: float, channel: int | None, replace: bool
) -> None:
    options = DetectOptions(Path("/" + model), threshold, overlap, channel, replace)
    line = " ".join(name if value is None else f"{name}={value}" for name, value in recorded(options))
    assert parse_options(line) == options


def test_recorded_numbers_have_two_digits() -> None:
    assert recorded(DetectOptions(Path("/m"), 0.4, 0.5))[1:] == [("threshold", "0.40"), ("overlap", "0.50")]
    assert recorded(DetectOptions(Path("/m"), 0.405))[1:] == [("threshold", "0.405")]
