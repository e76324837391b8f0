"""The network of a run before its first step."""

from __future__ import annotations

from typing import Any

from retinaj.model_folder import ModelRecord
from retinaj.network.retinanet import build_network
from retinaj.network.untyped import keras
from retinaj.training.precision import precision
from retinaj.training.replicas import Replicas
from retinaj.training.start import StartingPoint


def initial_network(record: ModelRecord, start: StartingPoint | None, replicas: Replicas, *, resuming: bool) -> Any:
    """The network with the weights that its seed gives, or of its starting point; those of a state are set later.

    Args:
        record: as planned.
        start: the model to start from, if any.
        replicas: the devices to make it on.
        resuming: from a state, which replaces any weights.
    """
    settings = record.training.settings
    keras.utils.set_random_seed(settings.seed)
    with replicas.scope(), precision(settings.precision or "float32"):
        network = build_network(record.network, imagenet_weights=settings.imagenet_weights and not resuming and start is None)
    if start is not None and not resuming:
        start.assign(network, record)
    return network
