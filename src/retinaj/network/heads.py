"""The class and the box head, each shared by all pyramid levels (Lin et al. 2017, "Focal Loss", section 4)."""

from __future__ import annotations

import math
from typing import Any

from retinaj.network.untyped import keras, layers


def build_head(name: str, width: int, depth: int, outputs: int, prior: float | None = None) -> Any:
    """A small fully convolutional net, to be applied to every pyramid level.

    Args:
        name: prefix of its layers' names.
        width: channels of its input and of its convolutions.
        depth: 3 x 3 convolutions with GroupNorm and ReLU before the prediction.
        outputs: channels of the prediction, anchors of a cell times values of an anchor.
        prior: start each output at the logit of this probability, so that the many easy negatives do not swamp the first
            steps (section 4.1, "Initialization"); None starts at 0.

    Returns:
        A keras.Model [batch, h, w, width] -> [batch, h, w, outputs].
    """
    features: Any = keras.Input((None, None, width), name=f"{name}_features")
    x = features
    for index in range(1, depth + 1):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}_conv{index}")(x)
        x = layers.GroupNormalization(8, name=f"{name}_norm{index}")(x)
        x = layers.Activation("relu", name=f"{name}_relu{index}")(x)
    bias = 0.0 if prior is None else -math.log((1 - prior) / prior)
    prediction = layers.Conv2D(
        outputs,
        3,
        padding="same",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(bias),
        name=f"{name}_prediction",
    )(x)
    return keras.Model(features, prediction, name=name)
