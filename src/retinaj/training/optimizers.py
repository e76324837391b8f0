"""The optimiser of a run."""

from __future__ import annotations

from typing import Any

from retinaj.network.untyped import keras
from retinaj.training.settings import TrainingSettings

_MOMENTUM = 0.9
_NOT_DECAYED = ("bias", "gamma", "beta")


def build_optimizer(settings: TrainingSettings, network: Any) -> Any:
    """The optimiser that the settings name, built for the network's trainable weights.

    "adamw" and "adam" are Adam (Kingma & Ba 2015), "sgd" stochastic gradient descent with Nesterov momentum 0.9. Only their
    rules are asked for: `retinaj.training.updates` sees to the decoupled weight decay of AdamW (Loshchilov & Hutter 2019) and
    SGD, to clipping, and to batches that are summed up.
    """
    if settings.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(settings.learning_rate, momentum=_MOMENTUM, nesterov=True)
    else:
        optimizer = keras.optimizers.Adam(settings.learning_rate)
    optimizer.build(network.trainable_variables)
    return optimizer


def is_decayed(name: str) -> bool:
    """Whether weight decay pulls weights of this name towards zero: kernels; on biases and the scales of norms it would hurt.

    >>> is_decayed("kernel"), is_decayed("gamma")
    (True, False)
    """
    return not any(part in name for part in _NOT_DECAYED)
