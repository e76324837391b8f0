"""What a study searches: the few settings that matter, each with its range and the reason for it.

A parameter is one entry of `SPACE`: Optuna, the terminal, the page and the printed command all take it from there. Ranges of
settings that presets or images decide are relative to that value, so that one table serves a laptop and a GPU.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_args

from retinaj.augmentation import AugmentationConfig
from retinaj.training.settings import TrainingSettings

Value = float | int | str
Values = Mapping[str, Value]
_DIGITS = 3  # of a number that is tried: more would be noise, in the command above all


class Suggests(Protocol):
    """What a parameter needs of a trial of Optuna."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number between two bounds."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Any:
        """One of several values."""
        ...


@dataclass(frozen=True)
class Numbers:
    """Any number between two bounds.

    Attributes:
        low, high: the bounds.
        logarithmic: whether a factor matters, rather than a difference.
    """

    low: float
    high: float
    logarithmic: bool = False

    def suggest(self, name: str, trial: Suggests) -> float:
        """A number for this trial, with as many digits as matter.

        The bounds have no more digits, so that it lies between them.
        """
        return rounded(trial.suggest_float(name, self.low, self.high, log=self.logarithmic))

    @property
    def words(self) -> str:
        """For people.

        >>> Numbers(0.0002, 0.005).words
        '0.0002 to 0.005'
        """
        return f"{self.low:g} to {self.high:g}"

    def holds(self, value: Value) -> bool:
        """Whether a trial can have this value."""
        return not isinstance(value, str) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choices:
    """One of several values, in their order."""

    values: tuple[Value, ...]

    def suggest(self, name: str, trial: Suggests) -> Value:
        """A value for this trial."""
        return trial.suggest_categorical(name, self.values)

    @property
    def words(self) -> str:
        """For people.

        >>> Choices((2, 4, 8)).words
        '2, 4 or 8'
        """
        *first, last = map(str, self.values)
        return f"{', '.join(first)} or {last}" if first else last

    def holds(self, value: Value) -> bool:
        """Whether a trial can have this value."""
        return value in self.values


@dataclass(frozen=True)
class Parameter:
    """One setting that a study searches.

    Attributes:
        name: of the field of `TrainingSettings`, or of `AugmentationConfig` where `strength`.
        strength: whether it is a strength of augmentation.
        reason: why it is searched and why in this range, for people.
        factors: of the value that the preset or the images give: the bounds, or the choices where `whole`.
        bounds: of a parameter that does not depend on the preset.
        whole: the choices are whole multiples of this.
        logarithmic: see `Numbers`.
    """

    name: str
    reason: str
    strength: bool = False
    factors: tuple[float, ...] = ()
    bounds: tuple[float, float] | None = None
    whole: int = 0
    logarithmic: bool = False

    @property
    def option(self) -> str:
        """What people call it: the option of `retinaj train`, or the strength within --augment.

        >>> SPACE[0].option, SPACE[-1].option
        ('learning-rate', 'augment mosaic')
        """
        return f"augment {self.name}" if self.strength else self.name.replace("_", "-")

    def default(self, settings: TrainingSettings) -> Value:
        """Its value in the settings that all trials share."""
        return getattr(settings.augmentation if self.strength else settings, self.name)

    def range(self, settings: TrainingSettings) -> Numbers | Choices:
        """Where it is searched, if these are the settings that all trials share."""
        if self.bounds is not None:
            return Numbers(*self.bounds, self.logarithmic)
        if not self.factors:
            return Choices(get_args(TrainingSettings.model_fields[self.name].annotation))
        default = float(self.default(settings))
        if not self.whole:
            low, high = (rounded(factor * default) for factor in self.factors)
            return Numbers(low, high, self.logarithmic)
        multiples = (max(round(factor * default / self.whole), 1) * self.whole for factor in self.factors)
        return Choices(tuple(sorted({*multiples, int(default)})))


SPACE: tuple[Parameter, ...] = (
    Parameter(
        "learning_rate",
        "The setting that training depends on most. A fifth learns too slowly for the time, five times may not hold.",
        factors=(0.2, 5),
        logarithmic=True,
    ),
    Parameter(
        "batch_size",
        "Small batches make more, noisier steps in the same time; larger ones use the machine better.",
        factors=(0.5, 1, 2),
        whole=1,
    ),
    Parameter(
        "pyramid_width",
        "How much the network can learn, against the time of a step: its channels in the pyramid and the heads.",
        factors=(0.5, 0.75, 1, 1.5),
        whole=8,
    ),
    Parameter(
        "class_loss",
        "Whether scores also say how well a box fits, which ranks boxes better where objects are easily found.",
    ),
    Parameter(
        "box_weight",
        "Tight boxes against right classes: which of the two is harder depends on the objects.",
        factors=(0.4, 2.5),
        logarithmic=True,
    ),
    Parameter(
        "scale",
        "How much objects of a class differ in size between images; few images need more variation than many.",
        strength=True,
        bounds=(1.0, 2.0),
    ),
    Parameter(
        "contrast",
        "How much staining and exposure differ between images.",
        strength=True,
        bounds=(0.0, 0.8),
    ),
    Parameter(
        "mosaic",
        "Windows made of four images help where images are few and show one kind of scene, and cost where the scene matters.",
        strength=True,
        bounds=(0.0, 0.8),
    ),
)


def searched(given: Collection[str]) -> tuple[Parameter, ...]:
    """What is searched when these fields of `TrainingSettings` were given, and so hold for all trials.

    >>> [parameter.name for parameter in searched({"batch_size", "augmentation", "class_loss"})]
    ['learning_rate', 'pyramid_width', 'box_weight']
    """
    return tuple(each for each in SPACE if ("augmentation" if each.strength else each.name) not in given)


def with_values(settings: TrainingSettings, values: Values) -> TrainingSettings:
    """Settings with the values of a trial in their places.

    >>> with_values(TrainingSettings(), {"batch_size": 8, "mosaic": 0.5}).augmentation.mosaic
    0.5
    """
    strengths = {name: value for name, value in values.items() if name in AugmentationConfig.model_fields}
    others = {name: value for name, value in values.items() if name not in strengths}
    augmentation = settings.augmentation.model_dump() | strengths
    return TrainingSettings.model_validate(settings.model_dump() | others | {"augmentation": augmentation})


def value_text(value: Value) -> str:
    """A value for people, and for the command line.

    >>> value_text(0.00123), value_text(8), value_text("focal")
    ('0.00123', '8', 'focal')
    """
    return value if isinstance(value, str) else f"{value:g}"


def changes(parameters: Collection[Parameter], settings: TrainingSettings, values: Values) -> list[tuple[Parameter, Value]]:
    """The parameters in which a trial differs from the settings that all share, with its values."""
    return [
        (each, values[each.name]) for each in parameters if each.name in values and values[each.name] != each.default(settings)
    ]


def described(parameters: Collection[Parameter], settings: TrainingSettings, values: Values) -> str:
    """What a trial tries, in words.

    >>> described(SPACE, TrainingSettings(), {"batch_size": 8, "box_weight": 2.0, "mosaic": 0.5})
    'batch-size 8, augment mosaic 0.5'
    """
    different = changes(parameters, settings, values)
    return ", ".join(f"{each.option} {value_text(value)}" for each, value in different) or "the defaults"


def rounded(value: float) -> float:
    """A number with the digits that matter.

    >>> rounded(0.00123456)
    0.00123
    """
    return float(f"{value:.{_DIGITS}g}")
