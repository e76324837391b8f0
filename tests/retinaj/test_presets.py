"""Presets: what they decide, what they leave alone, and that it is said and stored."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from discs import write_discs
from rich.console import Console
from typer.testing import CliRunner

from retinaj.cli import app
from retinaj.errors import RetinaJError
from retinaj.model_folder import ModelRecord
from retinaj.training.presets import PRESETS, preset_line, preset_values, with_preset
from retinaj.training.run_folder import Run, load_run
from retinaj.training.settings import PresetName, TrainingSettings
from retinaj.training.train import train

TINY = {
    "epochs": 1,
    "windows_per_epoch": 4,
    "window": 64,
    "downsampling": 1,
    "levels": (3, 4),
    "backbone": "light_small",
    "pyramid_width": 16,
}


@pytest.mark.parametrize("name", get_args(PresetName))
@pytest.mark.parametrize("imagenet", [False, True])
def test_every_value_of_a_preset_is_a_setting_that_says_something_new(name: PresetName, imagenet: bool) -> None:
    values = preset_values(name, imagenet_weights=imagenet)
    defaults = TrainingSettings()
    checked = TrainingSettings(**values)
    for key, value in values.items():
        assert getattr(checked, key) == value != getattr(defaults, key)
    assert "imagenet_weights" not in values  # nothing is downloaded unasked


def test_laptop_is_the_defaults() -> None:
    decided, names = with_preset(TrainingSettings(preset="laptop"), gpu=True)
    assert decided == TrainingSettings(preset="laptop")
    assert names == ()


@pytest.mark.parametrize(("gpu", "expected"), [(True, "gpu"), (False, "laptop")])
def test_auto_is_decided_by_the_machine_and_says_why(gpu: bool, expected: str) -> None:
    asked = TrainingSettings()
    decided, names = with_preset(asked, gpu=gpu)
    assert decided.preset == expected
    line = preset_line(asked, decided, names)
    assert line.startswith(f"Preset {expected}, because there is {'a' if gpu else 'no'} GPU: ")
    for name, value in PRESETS[decided.preset].items():  # pyright: ignore[reportArgumentType]
        assert f"{name.replace('_', '-')} {value:g}" in line if isinstance(value, int | float) else value in line


def test_what_is_given_comes_before_the_preset_were_it_the_default() -> None:
    given = TrainingSettings(preset="best", batch_size=4, patience=7)
    decided, names = with_preset(given, gpu=False, fixed=("backbone",))
    assert (decided.batch_size, decided.patience, decided.backbone) == (4, 7, "light")
    assert decided.minutes == PRESETS["best"]["minutes"]
    assert not {"batch_size", "patience", "backbone"} & set(names)
    everything = TrainingSettings(**(TrainingSettings(preset="gpu").model_dump()))
    same, names = with_preset(everything, gpu=True)
    assert same == everything
    assert "all that it would set is given" in preset_line(everything, same, names)


def test_imagenet_weights_bring_a_backbone_that_has_them() -> None:
    decided, _ = with_preset(TrainingSettings(preset="gpu", imagenet_weights=True), gpu=True)
    assert (decided.backbone, decided.learning_rate) == ("resnet50", 1e-4)
    chosen, _ = with_preset(TrainingSettings(preset="gpu", imagenet_weights=True, backbone="mobilenet_v2"), gpu=True)
    assert chosen.backbone == "mobilenet_v2"


class Untrained:
    """In the place of the trainer: what training would begin with is enough here."""

    def __init__(self, output: Path, run: Run, *_: object) -> None:
        self._record = run.record

    def run(self) -> ModelRecord:
        return self._record


def test_a_preset_is_said_stored_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_discs(tmp_path, 6)
    monkeypatch.setattr("retinaj.training.train.has_gpu", lambda: True)
    monkeypatch.setattr("retinaj.training.train.Trainer", Untrained)
    screen = io.StringIO()
    settings = TrainingSettings(**TINY, batch_size=4)
    record = train(*data, tmp_path / "model", settings=settings, console=Console(file=screen, width=400))
    assert "Preset gpu, because there is a GPU: minutes 20, learning-rate 0.002, warmup-steps 500." in screen.getvalue()
    assert "Preset gpu, because" in (tmp_path / "model" / "training" / "training.log").read_text()
    stored = record.training.settings
    assert (stored.preset, stored.learning_rate, stored.batch_size) == ("gpu", 0.002, 4)
    assert load_run(tmp_path / "model").record.training.settings == stored
    # Where there is no GPU any more, the run is still the run that it was.
    monkeypatch.setattr("retinaj.training.train.has_gpu", lambda: False)
    quiet = Console(file=io.StringIO())
    assert train(*data, tmp_path / "model", settings=settings, resume=True, console=quiet).training.settings == stored
    with pytest.raises(RetinaJError, match="began with preset 'gpu', now it is 'best'"):
        train(*data, tmp_path / "model", settings=TrainingSettings(**TINY, preset="best"), resume=True, console=quiet)


# --- the options of the command, which are made from the settings


def options(*words: str, monkeypatch: pytest.MonkeyPatch) -> TrainingSettings:
    """The settings that `retinaj train` hands on."""
    given: list[Any] = []
    monkeypatch.setattr("retinaj.training.train.train", lambda *_, settings, **__: given.append(settings))
    result = CliRunner().invoke(app, ["train", "images", "annotations", "--output", "model", *words])
    assert result.exit_code == 0, result.output
    return given[0]


def test_every_option_reaches_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {
        "preset": "best", "backbone": "resnet50", "minutes": "3.5", "epochs": "7", "windows_per_epoch": "77", "batch_size": "3",
        "patience": "2", "learning_rate": "0.5", "seed": "9", "levels": "3-6", "downsampling": "2", "window": "96",
        "optimizer": "sgd", "schedule": "step", "plateau": "6", "warmup_steps": "11", "accumulate": "2", "weight_decay": "0.5",
        "clip_norm": "1", "ema": "0.5", "freeze": "stage3", "balance": "weights", "hard_images": "0.5", "precision": "float32",
        "label_smoothing": "0.1", "box_loss": "ciou", "assignment": "iou", "class_loss": "quality", "focal_alpha": "0.5",
        "normalization": "percentile", "focal_gamma": "1", "class_weight": "2", "box_weight": "3", "norm": "batch",
        "pyramid_width": "32",
    }  # fmt: skip
    names = ("imagenet_weights", "separable", "shared_tower", "freeze_batch_norm")
    switches = {name: f"--{name.replace('_', '-')}" for name in names}
    line = [part for name, value in words.items() for part in (f"--{name.replace('_', '-')}", value)]
    settings = options(*line, *switches.values(), "--validation", "0.3", monkeypatch=monkeypatch)
    others = {"augmentation", "planes", "validation"}
    assert set(TrainingSettings.model_fields) == words.keys() | switches.keys() | others
    expected = TrainingSettings(**{**words, "downsampling": 2}, **dict.fromkeys(switches, True), validation=0.3)
    assert settings == expected
    changed = TrainingSettings().model_dump()
    assert not [name for name in {*words, *switches} if getattr(settings, name) == changed[name]]
    assert options("--train-batch-norm", monkeypatch=monkeypatch).freeze_batch_norm is False


def test_what_is_not_given_is_left_to_the_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    assert options(monkeypatch=monkeypatch).model_fields_set <= {"planes"}
    assert options("--batch-size", "4", monkeypatch=monkeypatch).model_fields_set >= {"batch_size"}


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--backbone", "resnet"), 2, "'resnet' is not one of light_small, light,"),
        (("--preset", "fast"), 2, "'fast' is not one of 'auto', 'laptop', 'gpu', 'best'"),
        (("--levels", "three"), 1, "--levels is 'three': expected the first and last pyramid level, such as 3-7."),
        (("--levels", "7-3"), 1, "--levels is '7-3': expected the first and last pyramid level, such as 3-7."),
        (("--levels", "3-9"), 1, "--levels is 9: Input should be less than or equal to 7."),
        (("--window", "65"), 1, "--window is 65: Input should be a multiple of 32."),
        (("--epochs", "many"), 2, "Invalid value for '--epochs'"),
    ],
)
def test_an_option_that_cannot_be_is_named_with_its_value(words: tuple[str, ...], status: int, message: str) -> None:
    result = CliRunner().invoke(app, ["train", "x", "x", "--output", "new", *words], env={"COLUMNS": "400"})
    assert result.exit_code == status
    assert message in result.output


def test_the_help_tells_the_presets_values() -> None:
    printed = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "400", "TERM": "dumb"}).output
    assert re.search(r"--batch-size .*\[default: 4; gpu, best: 16\]", printed)
    assert re.search(r"--patience .*\[default: never; best: 40\]", printed)
    assert re.search(r"--epochs .*\[default: as many as fit into --minutes on this machine\]", printed)
    assert printed.index("How the network learns") < printed.index("--optimizer") < printed.index("The network ")
