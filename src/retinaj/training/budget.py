"""How long a run will take, and how many epochs fit into the time that there is."""

from __future__ import annotations

from dataclasses import dataclass

# Fewer say nothing, more only let a small set be learnt by heart; the best epoch is kept in any case.
FEWEST_EPOCHS, MOST_EPOCHS = 10, 200
# Of the time that is planned with: other programs run, too.
_USED = 0.95


@dataclass(frozen=True)
class Pace:
    """How fast this machine trains a network, measured on a few steps.

    Attributes:
        step: seconds of a training step.
        validation: seconds of the validation after an epoch.
    """

    step: float
    validation: float

    def epoch(self, steps: int) -> float:
        """Seconds of an epoch of so many steps."""
        return steps * self.step + self.validation

    def epochs_within(self, minutes: float, steps: int) -> int:
        """How many epochs fit into `minutes`; at least FEWEST_EPOCHS, at most MOST_EPOCHS.

        >>> Pace(step=0.2, validation=4).epochs_within(20, steps=200)
        25
        """
        fitting = int(_USED * minutes * 60 / self.epoch(steps))
        return min(max(fitting, FEWEST_EPOCHS), MOST_EPOCHS)
