"""Which weights a training leaves as they are."""

from __future__ import annotations

import re
from typing import Any

from retinaj.network.backbones import last_layer_of_stage
from retinaj.network.config import BackboneName
from retinaj.network.untyped import keras, layers
from retinaj.training.settings import TrainingSettings

_STAGE = re.compile(r"stage(\d)")


def freeze(network: Any, settings: TrainingSettings) -> None:
    """Stop the training of what the settings name: nothing, the backbone up to a stage, or BatchNorm statistics.

    Args:
        network: made by `build_network`; changed in place.
        settings: `freeze` is "none", "stage2" ... "stage5" (the stem and all stages up to this one) or "backbone".
    """
    parts = backbone_layers(network, settings.backbone)
    if settings.frozen != "none":
        last = 5 if settings.frozen == "backbone" else int(settings.frozen[-1])
        for layer, stage in parts:
            if stage <= last:
                layer.trainable = False
    if settings.batch_norm_frozen:
        for layer, _ in parts:
            if isinstance(layer, layers.BatchNormalization):
                layer.trainable = False


def backbone_layers(network: Any, backbone: BackboneName) -> list[tuple[Any, int]]:
    """The layers of the backbone, each with its stage: 2 (with the stem) to 5, which gives C2 to C5."""
    nested = [layer for layer in network.layers if isinstance(layer, keras.Model) and layer.name == backbone]
    if not nested:  # a light one, whose layers are the network's own
        found = [(layer, _STAGE.match(layer.name)) for layer in network.layers]
        light = [(layer, int(stage[1])) for layer, stage in found if stage]
        return [(layer, 2) for layer in network.layers if layer.name.startswith("stem_")] + light
    staged: list[tuple[Any, int]] = []
    stage = 2
    for layer in nested[0].layers:
        staged.append((layer, stage))
        if stage < 5 and layer.name == last_layer_of_stage(backbone, stage):
            stage += 1
    return staged


def moving_averages(network: Any) -> list[Any]:
    """The variables of a network that follow its activations, not a gradient: those of BatchNorm that is not frozen."""
    found: list[Any] = []
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            found += moving_averages(layer)
        elif isinstance(layer, layers.BatchNormalization) and layer.trainable:
            found += [layer.moving_mean, layer.moving_variance]
    return found
