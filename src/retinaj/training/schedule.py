"""The learning rate of each step."""

from __future__ import annotations

import math

from retinaj.training.settings import TrainingSettings

_FINAL_COSINE = 0.02  # of the highest
# Where the step schedule falls to a tenth, as shares of the run: 60,000 and 80,000 of 90,000 steps in Lin et al. 2017.
_STEPS = (2 / 3, 8 / 9)
_PLATEAU_FACTOR = 0.5


def learning_rate(settings: TrainingSettings, step: int, steps: int, factor: float = 1.0) -> float:
    """Linear warm-up over `settings.warmup_steps` (a fifth of the run at most), then the schedule that the settings name.

    "cosine" falls along a half cosine to 2 % of the highest rate, "step" to a tenth after two thirds and again after eight
    ninths of the run; "constant" stays; "plateau" stays too, and is halved through `factor`.

    Args:
        settings: give the schedule, the highest rate and the length of the warm-up.
        step: finished steps.
        steps: of the whole run.
        factor: what the plateau schedule has come down to so far: see `plateau_factor`.

    >>> def rates(schedule: str) -> list[float]:
    ...     settings = TrainingSettings(learning_rate=0.001, warmup_steps=10, schedule=schedule)
    ...     return [round(learning_rate(settings, step, 110), 6) for step in (0, 9, 10, 60, 80, 110)]
    >>> rates("cosine")
    [0.0001, 0.001, 0.001, 0.00051, 0.000222, 2e-05]
    >>> rates("step")
    [0.0001, 0.001, 0.001, 0.001, 0.0001, 1e-05]
    >>> rates("constant")
    [0.0001, 0.001, 0.001, 0.001, 0.001, 0.001]
    """
    warmup = min(settings.warmup_steps, steps // 5)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    progress = min((step - warmup) / max(steps - warmup, 1), 1.0)
    if settings.schedule == "cosine":
        share = _FINAL_COSINE + (1 - _FINAL_COSINE) * 0.5 * (1 + math.cos(math.pi * progress))
    elif settings.schedule == "step":
        share = 0.1 ** sum(step / steps >= fall for fall in _STEPS)
    else:
        share = factor
    return settings.learning_rate * share


def plateau_factor(settings: TrainingSettings, factor: float, epochs_without_gain: int) -> float:
    """The plateau schedule's factor after an epoch: halved when validation AP has not risen for `settings.plateau` epochs.

    Args:
        settings: of the run; with another schedule the factor stays.
        factor: before.
        epochs_without_gain: since the best epoch, or since the factor was last halved.
    """
    falls = settings.schedule == "plateau" and epochs_without_gain >= settings.plateau
    return factor * _PLATEAU_FACTOR if falls else factor
