"""Strengths as people write them, on the command line and in models of earlier versions."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strengths import SWITCHES, limits
from typer.testing import CliRunner

from retinaj.augmentation import AugmentationConfig
from retinaj.augmentation.strengths import ALL_NAMES, list_strengths, parse_strengths, strengths_text
from retinaj.cli import app
from retinaj.errors import RetinaJError
from retinaj.training.settings import TrainingSettings

DEFAULT = AugmentationConfig()


def test_strengths_change_only_what_they_name() -> None:
    config = parse_strengths(["rotate=30 blur=1.5", "flip=off,channel-drop=0.25"], DEFAULT)
    assert config == DEFAULT.model_copy(update={"rotate": 30.0, "blur": 1.5, "flip": False, "channel_drop": 0.25})
    assert parse_strengths([], DEFAULT) == DEFAULT
    assert parse_strengths(["blur=1 blur=2"], DEFAULT).blur == 2


def test_none_turns_off_what_came_before() -> None:
    assert parse_strengths(["none"], DEFAULT) == AugmentationConfig.off()
    assert parse_strengths(["blur=2 none scale=2"], DEFAULT) == AugmentationConfig.off().model_copy(update={"scale": 2.0})


@given(st.data())
def test_what_is_said_of_a_config_gives_it_back(data: st.DataObject) -> None:
    changes: dict[str, float | bool] = {}
    for name in data.draw(st.sets(st.sampled_from(ALL_NAMES))):
        steps = data.draw(st.integers(0, 100))
        if name in SWITCHES:
            changes[name] = bool(steps % 2)
        else:
            low, high = limits(name)
            changes[name] = round(low + (high - low) * steps / 100, 4)
    config = AugmentationConfig.model_validate(changes)
    assert parse_strengths([strengths_text(config, DEFAULT)], DEFAULT) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blurr=3", r"'blurr=3' is not understood.*blur=0..10 \(0\)"),
        ("blur", "'blur' is not understood"),
        ("blur=", "blur is ''; expected 0 to 10"),
        ("blur=nan", "blur is 'nan'; expected 0 to 10"),
        ("blur=1e999", "blur is '1e999'; expected 0 to 10"),
        ("scale=0.5", "scale is '0.5'; expected 1 to 4"),
        ("flip=maybe", "flip is 'maybe'; expected on or off"),
        ("rotate=on", "rotate is 'on'; expected 0 to 180"),
        ("x" * 10_000, "x{79}"),
    ],
)
def test_mistakes_are_told_with_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(RetinaJError, match=message) as caught:
        parse_strengths([text], DEFAULT)
    assert len(str(caught.value)) < 1500


def test_a_model_from_before_free_rotation_still_loads() -> None:
    old = '{"flip":true,"rotate":%s,"scale":1.4,"aspect":0.1,"contrast":0.2,"brightness":0.2,"colour":0.1,"on_object":0.5}'
    for said, turns in (("true", True), ("false", False)):
        settings = TrainingSettings.model_validate_json(f'{{"augmentation": {old % said}}}')
        assert settings.augmentation == DEFAULT.model_copy(update={"quarter_turns": turns})
        again = TrainingSettings.model_validate_json(settings.model_dump_json())
        assert again == settings


def test_every_strength_is_described_with_range_and_default_in_the_help() -> None:
    printed = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "400", "TERM": "dumb"}).output
    assert len(list_strengths(DEFAULT)) == len(ALL_NAMES)
    for line in list_strengths(DEFAULT):
        assert line in printed


def test_reading_a_model_needs_no_scipy() -> None:
    """The first detection in Fiji must not wait for what only training uses."""
    code = "import sys, retinaj.augmentation; print('scipy.ndimage' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
