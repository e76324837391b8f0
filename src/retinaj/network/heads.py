"""The class and the box head, each shared by all pyramid levels (Lin et al. 2017, "Focal Loss", section 4)."""

from __future__ import annotations

import math
from typing import Any

from retinaj.network.config import NetworkConfig
from retinaj.network.light import normalized
from retinaj.network.untyped import keras, layers


def head_tower(name: str, pyramid: dict[int, Any], config: NetworkConfig) -> list[Any]:
    """The convolutions of a head before its prediction, applied to every pyramid level.

    They are shared by the levels. GroupNorm is, too; BatchNorm is not, because the statistics of the levels differ (as in the
    TF2 Object Detection API).

    Args:
        name: prefix of its layers' names.
        pyramid: {level: KerasTensor [batch, h, w, pyramid_width]}.
        config: gives the width, the depth, the norm, and whether convolutions are separable.

    Returns:
        [batch, h, w, pyramid_width] of each level, finest first.
    """
    convolution: Any = layers.SeparableConv2D if config.separable else layers.Conv2D
    steps = range(1, config.head_depth + 1)
    shared = [convolution(config.pyramid_width, 3, padding="same", use_bias=False, name=f"{name}_conv{at}") for at in steps]
    norms = [layers.GroupNormalization(8, name=f"{name}_norm{at}") for at in steps] if config.norm == "group" else []
    maps: list[Any] = []
    for level, x in pyramid.items():
        for at, shared_convolution in enumerate(shared, 1):
            x = shared_convolution(x)
            x = norms[at - 1](x) if norms else normalized(x, "batch", f"{name}_norm{at}_level{level}")
            x = layers.Activation("relu", name=f"{name}_relu{at}_level{level}")(x)
        maps.append(x)
    return maps


def predictions(name: str, maps: list[Any], config: NetworkConfig, outputs: int, prior: float | None = None) -> list[Any]:
    """The last convolution of a head, shared by all levels.

    Args:
        name: prefix of its layer's name.
        maps: of `head_tower`.
        config: says whether it is separable.
        outputs: channels, anchors of a cell times values of an anchor.
        prior: start each output at the logit of this probability, so that the many easy negatives do not swamp the first
            steps (section 4.1, "Initialization"); None starts at 0.

    Returns:
        [batch, h, w, outputs] of each level.
    """
    convolution: Any = layers.SeparableConv2D if config.separable else layers.Conv2D
    spread = keras.initializers.RandomNormal(stddev=0.01)
    initial = (
        {"depthwise_initializer": spread, "pointwise_initializer": spread}
        if config.separable
        else {"kernel_initializer": spread}
    )
    prediction = convolution(
        outputs,
        3,
        padding="same",
        bias_initializer="zeros" if prior is None else prior_bias(prior),
        name=f"{name}_prediction",
        **initial,
    )
    return [prediction(x) for x in maps]


def prior_bias(prior: float) -> Any:
    """The initializer of a bias that gives every anchor the score `prior`."""
    return keras.initializers.Constant(-math.log((1 - prior) / prior))
