"""What a study searches, the command that it prints, and the command line that begins it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import retinaj.training.train
import retinaj.tuning.study
from retinaj.annotations import Reading
from retinaj.augmentation import AugmentationConfig
from retinaj.cli import app
from retinaj.images.plane_choice import PlaneChoice
from retinaj.training.presets import PRESETS, with_preset
from retinaj.training.settings import TrainingSettings
from retinaj.tuning.space import SPACE, Choices, Numbers, searched, with_values
from retinaj.tuning.train_command import train_command


def decided(settings: TrainingSettings) -> TrainingSettings:
    """With what a study takes from its images."""
    return settings.model_copy(update={"pyramid_width": settings.pyramid_width or 64})


BASES = [
    decided(with_preset(TrainingSettings(preset=name, imagenet_weights=imagenet), gpu=False)[0])
    for name in PRESETS
    for imagenet in (False, True)
]


@pytest.mark.parametrize("base", BASES)
def test_every_corner_of_the_space_is_valid_and_the_defaults_lie_within(base: TrainingSettings) -> None:
    ranges = {each.name: each.range(base) for each in SPACE}
    for each in SPACE:
        assert ranges[each.name].holds(each.default(base)), each.name
        assert each.reason.endswith(".")
    ends = [where.values if isinstance(where, Choices) else (where.low, where.high) for where in ranges.values()]
    corners = list(product(*((values[0], values[-1]) for values in ends)))
    assert len(corners) == 2 ** len(SPACE)
    for corner in corners[:: 2 ** len(SPACE) // 16]:
        settings = with_values(base, dict(zip(ranges, corner, strict=True)))
        for parameter, value in zip(SPACE, corner, strict=True):
            assert parameter.default(settings) == value
    for name, where in ranges.items():
        for value in where.values if isinstance(where, Choices) else (where.low, where.high):
            with_values(base, {name: value})


def test_the_space_is_what_the_laptop_needs() -> None:
    ranges = {each.name: each.range(decided(TrainingSettings())) for each in SPACE}
    assert ranges["batch_size"] == Choices((2, 4, 8))
    assert ranges["pyramid_width"] == Choices((32, 48, 64, 96))
    assert ranges["class_loss"] == Choices(("focal", "quality"))
    assert ranges["learning_rate"] == Numbers(0.0002, 0.005, logarithmic=True)


def test_what_is_given_is_not_searched() -> None:
    names = [each.name for each in searched({"learning_rate", "augmentation"})]
    assert names == ["batch_size", "pyramid_width", "class_loss", "box_weight"]


@pytest.mark.parametrize(
    "settings",
    [
        *BASES,
        with_values(BASES[0], {"learning_rate": 0.00168, "batch_size": 2, "class_loss": "quality", "mosaic": 0.552}),
        TrainingSettings(
            preset="best", pyramid_width=64, levels=(3, 5), downsampling=2, freeze_batch_norm=False, shared_tower=True,
            separable=True, epochs=7, validation=0.35, weight_decay=0.0123456789, ema=0, normalization="percentile",
            augmentation=AugmentationConfig(flip=False, rotate=12.5, mosaic=0.3),
            planes=PlaneChoice(channels=(1, "GFP"), z="max"),
        ),
    ],
)  # fmt: skip
def test_the_printed_command_trains_with_these_settings(settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, Any] = {}
    monkeypatch.setattr(retinaj.training.train, "train", lambda *paths, **options: taken.update(options, paths=paths))
    reading = Reading(format="csv", classes=Path("my classes.txt"), columns={"label": "cell type"}, class_from="group")
    command = train_command(
        Path("my images"), Path("a'b"), settings=settings, names=Path("train.txt"), validation=None, reading=reading
    )
    done = CliRunner().invoke(app, shlex.split(command)[1:], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    decided, _ = with_preset(taken["settings"], gpu=True)
    machine = ("minutes", "epochs", "precision")
    assert decided.model_dump(exclude=set(machine)) == settings.model_dump(exclude=set(machine))
    assert decided.minutes >= 3 * settings.minutes or decided.minutes >= PRESETS[decided.preset].get("minutes", 35)
    assert taken["paths"] == (Path("my images"), Path("a'b"), Path("MODEL"))
    assert (taken["names"], taken["reading"]) == (Path("train.txt"), reading)


def test_a_list_of_validation_images_is_in_the_command() -> None:
    command = train_command(Path("i"), Path("a"), settings=TrainingSettings(preset="laptop"), validation=Path("v.txt"))
    assert "--validation v.txt" in command


class TestCommandLine:
    @pytest.fixture
    def taken(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        monkeypatch.setattr(retinaj.tuning.study, "tune", lambda *paths, **options: taken.update(options, paths=paths))
        return taken

    def test_only_what_is_given_is_fixed(self, taken: dict[str, Any]) -> None:
        words = "tune i a --output s --trials 7 --trial-minutes 3 --batch-size 2 --validation v.txt --z max --resume"
        done = CliRunner().invoke(app, words.split(), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        settings: TrainingSettings = taken["settings"]
        assert settings.model_fields_set == {"minutes", "batch_size", "planes"}
        assert (settings.minutes, settings.batch_size, settings.planes.z) == (3, 2, "max")
        assert (taken["trials"], taken["resume"], taken["validation"]) == (7, True, Path("v.txt"))

    def test_augmentation_and_a_share_are_settings(self, taken: dict[str, Any]) -> None:
        CliRunner().invoke(
            app,
            [*["tune", "i", "a", "--output", "s", "--validation", "0.3", "--augment"], "mosaic=0.5"],
            catch_exceptions=False,
        )
        settings: TrainingSettings = taken["settings"]
        assert settings.model_fields_set == {"validation", "augmentation"}
        assert settings.augmentation == AugmentationConfig(mosaic=0.5)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("--trial-minutes 0", "--trial-minutes is 0"),
            ("--batch-size 0", "--batch-size is 0"),
            ("--minutes 5", "No such option"),
            ("--epochs 5", "No such option"),
            ("--weights-from x", "No such option"),
        ],
    )
    def test_what_cannot_be_is_said(self, taken: dict[str, Any], words: str, message: str) -> None:
        done = CliRunner().invoke(app, ["tune", "i", "a", "--output", "s", *words.split()])
        assert done.exit_code != 0
        assert message in done.output
        assert not taken

    def test_help_names_what_is_searched(self) -> None:
        shown = " ".join(CliRunner().invoke(app, ["tune", "--help"]).output.replace("│", " ").split())
        assert "[default: 20]" in shown
        assert "\\[" not in shown
        for each in SPACE:
            assert (each.name if each.strength else f"--{each.option}") in shown
        assert "--minutes" not in shown

    def test_the_command_line_loads_no_optuna(self) -> None:
        code = "import sys, retinaj.cli; print({'optuna', 'sqlalchemy', 'tensorflow'} & {name for name in sys.modules})"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
