"""The options of "RetinaJ Detect...", as the Java reads and records them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plugin_java import call, field

from retinaj.errors import RetinaJError

pytestmark = pytest.mark.usefixtures("imagej")


def parse(text: str) -> Any:
    return call("DetectOptions", "parse", text)


def line(options: Any) -> str:
    return str(call("DetectOptions", "line", on=options))


def test_all_options() -> None:
    text = (
        "model=[/my models/cells.zip] threshold=0.60 overlap=0.30 channel=2 slices=3-7 frames=2 projection=max "
        "tiles=512 region=selection output=manager,overlay,zip,mask,count "
        "file=[/out/a RoiSet.zip] name=[{class} #{number}] groups replace"
    )
    assert line(parse(text)) == text
    assert str(field(parse(text), "model")) == "/my models/cells.zip"


def test_no_name_is_the_end_of_another() -> None:
    keys = [str(key) for name in ("VALUES", "FLAGS") for key in _static(name)]
    assert len(keys) == 14
    assert [(a, b) for a in keys for b in keys if a != b and a.endswith(b)] == []


def _static(name: str) -> Any:
    from retinaj_bridge.jvm import private_field

    return private_field("retinaj.DetectOptions", name).get(None)


def test_the_defaults_are_not_recorded() -> None:
    text = (
        "model=/m channel= slices=all frames=ALL projection=none tiles=auto region=image output=table,manager "
        "name=[{class} {score}]"
    )
    assert line(parse(text)) == "model=[/m] threshold=0.40"


def test_the_current_slice_is_of_the_current_frame() -> None:
    assert line(parse("model=/m slices=current")) == "model=[/m] threshold=0.40 slices=current"
    assert line(parse("model=/m slices=current frames=all")).endswith("slices=current frames=all")
    assert line(parse("model=/m slices=7-7 frames=3.0000")).endswith("slices=7 frames=3")


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
    parsed = parse(text)
    assert str(field(parsed, "model")) == path
    assert not bool(field(parsed, "replace"))


def test_home_folder(imagej: Any) -> None:
    home = str(imagej("java.lang.System").getProperty("user.home"))
    assert Path(str(field(parse("model=~/cells"), "model"))) == Path(home, "cells")


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
        ("model=/m threshold=nan", "threshold is 'nan'"),
        ("model=/m threshold=0.4f", "threshold is '0.4f'"),
        ("model=/m threshold=0", "threshold is 0.0; expected a number above 0"),
        ("model=/m overlap=1.01", "overlap is 1.01"),
        ("model=/m overlap=-1", "overlap is -1.0"),
        ("model=/m channel=0", "channel is '0'"),
        ("model=/m channel=1.5", "channel is '1.5'"),
        ("model=/m channel=all", "channel is 'all'"),
        ("model=/m slices=7-3", "slices is '7-3'; expected current, all, or numbers from 1 such as 5 or 3-7"),
        ("model=/m slices=0", "slices is '0'"),
        ("model=/m frames=now", "frames is 'now'"),
        ("model=/m frames=1-99999999999", "frames is '1-99999999999'"),
        ("model=/m projection=mean", "projection is 'mean'; expected one of none, max"),
        ("model=/m region=here", "region is 'here'; expected one of image, selection"),
        ("model=/m tiles=big", "tiles is 'big'; expected auto, none, or the side of a tile"),
        ("model=/m output=file", "output is 'file'; expected one or several of manager, table, overlay, zip, mask, count"),
        ("model=/m output=table,count", "choose one of them"),
        ("model=/m output=zip", "add file="),
        ("model=/m file=/a.zip", "add zip to output"),
        ("model=/m name=[{clas}]", r"name is '\{clas\}', but there is no \{clas\}; it knows \{class\}, \{score\}"),
        ("model=/m treshold=0.4", "no option 'treshold'; it knows model, threshold, overlap, channel, .*, groups, replace"),
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
        parse(text)


# One kind of quoting must be able to hold the text.
_TEXTS = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="\\~&{}") | st.just(" "), min_size=1).filter(
    lambda text: text.strip() == text and ("'" not in text or ("[" not in text and "]" not in text))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    model=_TEXTS.filter(lambda name: "/" not in name),
    name=_TEXTS,
    threshold=st.floats(0.001, 1),
    overlap=st.floats(0.001, 1),
    channel=st.none() | st.integers(1, 99),
    slices=st.sampled_from(["all", "current", "3", "3-7"]),
    replace=st.booleans(),
)
def test_what_is_recorded_is_read_back(
    model: str, name: str, threshold: float, overlap: float, channel: int | None, slices: str, replace: bool
) -> None:
    options = _typed(
        model="/" + model,
        name=name,
        threshold=repr(threshold),
        overlap=repr(overlap),
        channel=str(channel or ""),
        slices=slices,
        replace=replace,
    )
    recorded = line(options)
    again = parse(recorded)
    assert line(again) == recorded
    assert (str(field(again, "model")), str(field(again, "name"))) == ("/" + model, name)
    assert (float(field(again, "threshold")), float(field(again, "overlap"))) == (threshold, overlap)
    assert (int(field(again, "channel")), bool(field(again, "replace"))) == (channel or 0, replace)
    assert str(field(again, "slices")) == slices


def _typed(*, replace: bool, **values: str) -> Any:
    """The options as the dialog makes them of what was typed."""
    from retinaj_bridge.jvm import java_class

    class_ = java_class("java.lang.Class")
    typed = _new("MacroOptions")
    for key, value in values.items():
        call("MacroOptions", "put", key, value, on=typed)
    call("MacroOptions", "flag", "replace", java_class("java.lang.Boolean").valueOf(replace), on=typed)
    constructor = class_.forName("retinaj.DetectOptions").getDeclaredConstructor(class_.forName("retinaj.MacroOptions"))
    constructor.setAccessible(True)
    return constructor.newInstance(typed)


def _new(name: str) -> Any:
    from retinaj_bridge.jvm import java_class

    constructor = java_class("java.lang.Class").forName(f"retinaj.{name}").getDeclaredConstructor()
    constructor.setAccessible(True)
    return constructor.newInstance()


def test_recorded_numbers_have_two_digits() -> None:
    assert line(parse("model=/m threshold=.4 overlap=0.5")) == "model=[/m] threshold=0.40 overlap=0.50"
    assert line(parse("model=/m threshold=0.405")) == "model=[/m] threshold=0.405"
