"""The optimiser of a run."""

from __future__ import annotations

from typing import Any

from retinaj.network.untyped import keras
from retinaj.training.settings import TrainingSettings

_MOMENTUM = 0.9
# Weight decay pulls convolution kernels towards zero; on biases and on the scales of norms it would only hurt.
_NOT_DECAYED = ("bias", "gamma", "beta")


def build_optimizer(settings: TrainingSettings, network: Any) -> Any:
    """The optimiser that the settings name, built for the network's trainable weights.

    "adamw" is Adam with decoupled weight decay (Loshchilov & Hutter 2019), "adam" Adam (Kingma & Ba 2015) without any, "sgd"
    stochastic gradient descent with Nesterov momentum 0.9 and decoupled weight decay. All clip the gradient's norm over all
    weights, and sum up `settings.accumulate` batches before they change a weight.
    """
    options: dict[str, Any] = {"global_clipnorm": settings.clip_norm}
    if settings.accumulate > 1:
        options["gradient_accumulation_steps"] = settings.accumulate
    if settings.optimizer == "adam":
        optimizer = keras.optimizers.Adam(settings.learning_rate, **options)
    elif settings.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(
            settings.learning_rate, momentum=_MOMENTUM, nesterov=True, weight_decay=settings.weight_decay or None, **options
        )
    else:
        optimizer = keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay, **options)
    if settings.optimizer != "adam" and settings.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=list(_NOT_DECAYED))
    optimizer.build(network.trainable_variables)
    return optimizer
