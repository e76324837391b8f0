"""How a gradient changes the weights: gathered over batches, clipped, with weight decay, by the optimiser's rule.

Keras's own `Optimizer.apply` does the same for one device; on several it clips each device's gradient before it adds them up,
and can neither accumulate nor be told that they are summed up already. Its rules (`update_step`) know of none of this.
"""

from __future__ import annotations

from typing import Any

from retinaj.network.untyped import keras, ops
from retinaj.training.optimizers import build_optimizer, is_decayed
from retinaj.training.settings import TrainingSettings


class Updates:
    """Changes a network's weights by the gradients of batches.

    To be made in the scope of the devices that train; on several, each of them changes its own copy by the same gradient.

    Attributes:
        variables: all that it remembers from batch to batch.
    """

    def __init__(self, settings: TrainingSettings, network: Any) -> None:
        self._settings = settings
        self._optimizer = build_optimizer(settings, network)
        self._weights: list[Any] = network.trainable_variables
        self._gathered: list[Any] = []
        if settings.accumulate > 1:
            self._gathered = [
                keras.Variable(ops.zeros(weight.shape, weight.dtype), trainable=False, name=f"gathered{index}")
                for index, weight in enumerate(self._weights)
            ]
        self.variables: list[Any] = [*self._optimizer.variables, *self._gathered]

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the next batch."""
        self._optimizer.learning_rate.assign(rate)

    def completes(self, step: int) -> bool:
        """Whether the batch after `step` finished ones is the last of those that change the weights together."""
        return (step + 1) % self._settings.accumulate == 0

    def take(self, gradients: list[Any], completes: bool) -> None:
        """Change the weights by the gradients of a batch, or keep these for a later one; within a compiled step.

        Args:
            gradients: of all devices' shares together, one for each trainable weight; None changes nothing.
            completes: see the method of that name.
        """
        used = [index for index, gradient in enumerate(gradients) if gradient is not None]
        if self._gathered:
            for index in used:
                total = gradients[index] + self._gathered[index]
                self._gathered[index].assign(ops.zeros_like(total) if completes else total)
                gradients[index] = total / self._settings.accumulate
        if not completes:
            return
        rate = self._optimizer.learning_rate
        decay = self._settings.weight_decay if self._settings.optimizer != "adam" else 0
        short = clipped([gradients[index] for index in used], self._settings.clip_norm)
        for gradient, weight in zip(short, [self._weights[index] for index in used], strict=True):
            if decay and is_decayed(weight.name):
                weight.assign_sub(weight * decay * rate)
            self._optimizer.update_step(gradient, weight.value, rate)
        self._optimizer.iterations.assign_add(1)


def clipped(gradients: list[Any], longest: float) -> list[Any]:
    """Gradients shortened together where their norm, over all of them, is above `longest`; all NaN where it is not finite.

    >>> [float(part) for part in clipped([ops.array(3.0), ops.array(4.0)], longest=1.0)]
    [0.6, 0.8]
    """
    norm = ops.sqrt(ops.sum(ops.stack([ops.sum(ops.square(gradient)) for gradient in gradients])))
    scale = longest * ops.minimum(1.0 / norm, 1.0 / longest) + (norm - norm)
    return [gradient * scale for gradient in gradients]
