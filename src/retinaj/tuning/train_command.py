"""The command that trains with the settings that a study found."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from retinaj.annotations import Reading
from retinaj.augmentation import AugmentationConfig
from retinaj.augmentation.strengths import strengths_text
from retinaj.images.plane_choice import AS_STORED, PlaneChoice
from retinaj.training.option import Option
from retinaj.training.presets import with_preset
from retinaj.training.settings import TrainingSettings

_LONGER = 3  # times as long as a trial, at least
# They follow from the machine and the time.
_LEFT_OUT = ("preset", "minutes", "epochs", "precision")


def train_command(
    images: Path,
    annotations: Path,
    *,
    settings: TrainingSettings,
    names: Path | None = None,
    validation: Path | None = None,
    reading: Reading | None = None,
) -> str:
    """The `retinaj train` that trains with these settings on the images of a study, for longer than a trial.

    Args:
        images, annotations, names, validation, reading: as for `retinaj.training.train.train`.
        settings: of a trial.

    >>> print(train_command(Path("images"), Path("a b"), settings=TrainingSettings(preset="laptop", minutes=5, batch_size=8)))
    retinaj train images 'a b' --output MODEL --preset laptop --minutes 35 --batch-size 8
    """
    words = ["retinaj", "train", str(images), str(annotations), "--output", "MODEL"]
    words += [] if names is None else ["--names", str(names)]
    words += _validation(validation, settings)
    words += [*_setting_words(settings), *_reading_words(reading or Reading()), *_plane_words(settings.planes)]
    return shlex.join(words)


def _validation(given: Path | None, settings: TrainingSettings) -> list[str]:
    if given is not None:
        return ["--validation", str(given)]
    share = settings.validation
    return [] if share == TrainingSettings().validation else ["--validation", repr(share)]


def _setting_words(settings: TrainingSettings) -> Iterator[str]:
    asked = TrainingSettings(preset=settings.preset, imagenet_weights=settings.imagenet_weights)
    usual = with_preset(asked, gpu=False)[0].model_copy(update={"imagenet_weights": False})
    yield from ("--preset", settings.preset, "--minutes", f"{max(usual.minutes, _LONGER * settings.minutes):g}")
    for name, field in TrainingSettings.model_fields.items():
        option = next((each for each in field.metadata if isinstance(each, Option)), None)
        value = getattr(settings, name)
        if option is None or name in _LEFT_OUT or value == getattr(usual, name):
            continue
        if isinstance(value, bool):
            on, *off = (option.flags or f"--{name.replace('_', '-')}").split("/")
            yield on if value else off[0]
        elif isinstance(value, tuple):
            yield from (f"--{name.replace('_', '-')}", "-".join(map(str, value)))
        else:
            yield from (f"--{name.replace('_', '-')}", _exact(value))
    if strengths := strengths_text(settings.augmentation, AugmentationConfig()):
        yield from ("--augment", strengths)


def _exact(value: object) -> str:
    """A value so that nothing of it is lost, and as people write it."""
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)


def _reading_words(reading: Reading) -> Iterator[str]:
    if reading.format is not None:
        yield from ("--format", reading.format)
    if reading.classes is not None:
        yield from ("--classes", str(reading.classes))
    if reading.columns:
        yield from ("--columns", ", ".join(f"{name}={column}" for name, column in reading.columns.items()))
    if reading.class_from != Reading().class_from:
        yield from ("--class-from", reading.class_from)


def _plane_words(planes: PlaneChoice) -> Iterator[str]:
    if planes.axes is not None:
        yield from ("--axes", planes.axes)
    if planes.series is not None:
        yield from ("--series", str(planes.series))
    if planes.channels:
        yield from ("--channels", ",".join(map(str, planes.channels)))
    if planes.z != AS_STORED.z:
        yield from ("--z", planes.z)
