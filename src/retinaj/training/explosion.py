"""Noticing that a loss is no number any more, or explodes, while there are good weights to keep."""

from __future__ import annotations

import math
from statistics import fmean

# The loss of a step jumps by its images; the mean of so many does not.
_BLOCK = 50
# Which steps tell the loss of an untrained network.
_OPENING = 10
# Between a bad spell and an explosion. In 30 epochs on blood cells (docs/results.md) no epoch's loss was above 1.003 times the
# lowest before it; a loss that explodes passes ten times within a few steps.
_TIMES = 10.0


class LossWatch:
    """Watches the loss of a run, in blocks of 50 steps, or of an epoch if it has fewer than 100.

    A block's mean is an explosion when it is more than ten times the lowest block's so far, and above the highest loss of the
    run's first ten steps: worse than before training, which no hard epoch is. Warm-up needs no exception: in it, losses fall.

    Args:
        steps: of an epoch.
        first, lowest: the two bounds, of a run that is resumed; infinite before its first step.

    >>> watch = LossWatch(steps=2)
    >>> [watch.add(loss) for loss in (2.0, 2.0, 0.1, 0.1, 1.9, 1.9, 4.0)]
    [None, None, None, None, None, None, None]
    >>> watch.add(6.0)
    'rose to 5, 50 times the lowest so far (0.1)'
    """

    def __init__(self, steps: int, first: float = math.inf, lowest: float = math.inf) -> None:
        self._steps, self._blocks = steps, max(steps // _BLOCK, 1)
        self.first, self.lowest = first, lowest
        self._opening = 0.0
        self._seen = 0
        self._block: list[float] = []

    def add(self, loss: float) -> str | None:
        """Take note of a step's loss; what is wrong with it, as the end of a sentence, or None.

        >>> LossWatch(steps=2).add(math.nan)
        'became nan'
        """
        if not math.isfinite(loss):
            return f"became {loss}"
        self._block.append(loss)
        self._seen += 1
        if math.isinf(self.first):
            self._opening = max(self._opening, loss)
            if self._seen in (_OPENING, self._steps):
                self.first = self.lowest = self._opening
        return self._compare() if self._ends_block() else None

    def _compare(self) -> str | None:
        mean = fmean(self._block)
        self._block.clear()
        if mean > max(_TIMES * self.lowest, self.first):
            return f"rose to {mean:.3g}, {mean / self.lowest:.0f} times the lowest so far ({self.lowest:.3g})"
        self.lowest = min(self.lowest, mean)
        return None

    def _ends_block(self) -> bool:
        """An epoch is of whole blocks, so that a resumed run has the same ones."""
        step = (self._seen - 1) % self._steps
        return (step + 1) * self._blocks // self._steps > step * self._blocks // self._steps
