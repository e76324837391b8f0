"""What came of the trials of a study, as plain data: for the terminal, the page, and choosing the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from retinaj.plain_record import PlainRecord
from retinaj.tuning.plan import StudyPlan
from retinaj.tuning.space import Value, Values

State = Literal["finished", "stopped early", "failed", "unfinished"]
LONGEST_REASON = 2000
_MOST_EPOCHS = 100_000
_Share = Annotated[float, Field(ge=0, le=1)]


class CurvePoint(PlainRecord):
    """A trial after one of its epochs.

    Attributes:
        epoch: from 1.
        seconds: of training so far.
        ap: AP@.5:.95 on the validation images, of this epoch.
    """

    model_config = ConfigDict(strict=True)

    epoch: Annotated[int, Field(ge=1, le=_MOST_EPOCHS)]
    seconds: Annotated[float, Field(ge=0)]
    ap: _Share


class TrialNotes(PlainRecord):
    """What is kept of a trial beside its values, in the study's database.

    Attributes:
        curve: a point for each epoch.
        epochs: how many there were to be; 0 before the first was done.
        ap50: AP@.5 of the best epoch.
        seconds: spent on it, reading images included, all sessions together.
        deaths: how often the program ended within the trial, by no will of the user, since its last finished epoch.
        weights_sha256: of its finished model.
        reason: why it failed.
    """

    model_config = ConfigDict(strict=True)

    curve: Annotated[tuple[CurvePoint, ...], Field(max_length=_MOST_EPOCHS)] = ()
    epochs: Annotated[int, Field(ge=0, le=_MOST_EPOCHS)] = 0
    ap50: _Share | None = None
    seconds: Annotated[float, Field(ge=0)] = 0.0
    deaths: Annotated[int, Field(ge=0, le=1000)] = 0
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    reason: Annotated[str, Field(max_length=LONGEST_REASON)] = ""

    @property
    def ap(self) -> float | None:
        """The best AP@.5:.95 so far; None before the first epoch."""
        return max((point.ap for point in self.curve), default=None)

    @property
    def share(self) -> float:
        """How much of the trial was trained, 0..1."""
        return self.curve[-1].epoch / self.epochs if self.curve and self.epochs else 0.0


@dataclass(frozen=True)
class TrialResult:
    """One trial.

    Attributes:
        number: from 1, in the order in which trials began.
        state: how it ended.
        values: what it tried, by the name of the parameter.
        ap: its AP@.5:.95; of one that did not finish, as far as it came; None without an epoch.
        notes: what else is known.
    """

    number: int
    state: State
    values: Values
    ap: float | None
    notes: TrialNotes


@dataclass(frozen=True)
class StudyResults:
    """A study as far as it has come.

    Attributes:
        plan: what was asked.
        trials: those that began, by number.
        importance: of each parameter, 0..1, adding up to 1; None while too few trials have finished.
    """

    plan: StudyPlan
    trials: tuple[TrialResult, ...]
    importance: dict[str, float] | None = None

    def having(self, state: State) -> tuple[TrialResult, ...]:
        """The trials in this state."""
        return tuple(each for each in self.trials if each.state == state)

    @property
    def ended(self) -> tuple[TrialResult, ...]:
        """The trials that are over, however they went."""
        return tuple(each for each in self.trials if each.state != "unfinished")

    @property
    def left(self) -> int:
        """How many trials are still to be done."""
        return max(self.plan.trials - len(self.ended), 0)

    @property
    def best(self) -> TrialResult | None:
        """The finished trial with the highest AP; of equal ones the first."""
        return max(self.having("finished"), key=lambda each: (each.ap or 0.0, -each.number), default=None)

    @property
    def default(self) -> TrialResult | None:
        """The trial with the settings that all share, if it has finished."""
        return next((each for each in self.having("finished") if self.is_default(each)), None)

    @property
    def gain(self) -> float | None:
        """By how much the best is better than the defaults; None while either is unknown."""
        best, default = self.best, self.default
        return None if best is None or default is None else (best.ap or 0.0) - (default.ap or 0.0)

    @property
    def seconds(self) -> float:
        """Spent on all trials."""
        return sum(each.notes.seconds for each in self.trials)

    def is_default(self, trial: TrialResult) -> bool:
        """Whether a trial tries nothing else than the settings that all share."""
        return bool(trial.values) and all(
            trial.values.get(each.name) == each.default(self.plan.settings) for each in self.plan.parameters
        )

    def best_values(self) -> dict[str, tuple[Value, Value]]:
        """(default, best) of each parameter that the best trial has otherwise; empty without a finished trial."""
        if self.best is None:
            return {}
        pairs = {each.name: (each.default(self.plan.settings), self.best.values[each.name]) for each in self.plan.parameters}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
