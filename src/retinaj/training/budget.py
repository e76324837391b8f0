"""How long a run will take, and how many epochs fit into the time that there is."""

from __future__ import annotations

from dataclasses import dataclass

from retinaj.counting import counted

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

    def words(self, epochs: int, minutes: float, steps: int) -> str:
        """What a user is told about the epochs that were chosen for `minutes`.

        >>> Pace(step=0.2, validation=4).words(25, 20, steps=200)
        '25 epochs fit into 20 minutes on this machine; --epochs or --minutes asks for others.'
        >>> Pace(step=0.2, validation=4).words(10, 1, steps=200)
        'Not even 10 epochs, the fewest that are worth it, fit into 1 minute on this machine; --epochs asks for fewer.'
        """
        time = f"{minutes:g} minute{'s' * (minutes != 1)}"
        if epochs * self.epoch(steps) > minutes * 60:
            few = f"Not even {counted(epochs, 'epoch')}, the fewest that are worth it, fit into {time}"
            return f"{few} on this machine; --epochs asks for fewer."
        return f"{counted(epochs, 'epoch')} fit into {time} on this machine; --epochs or --minutes asks for others."
