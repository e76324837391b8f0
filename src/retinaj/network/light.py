"""Our own backbones: small residual nets that learn from random weights on a laptop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retinaj.network.config import Norm
from retinaj.network.untyped import layers


@dataclass(frozen=True)
class LightSize:
    """Channels of the stem, and (channels, blocks) of the stages at strides 4, 8, 16 and 32."""

    stem: int
    stages: tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]


LIGHT_SIZES: dict[str, LightSize] = {
    "light_small": LightSize(16, ((24, 1), (48, 1), (64, 1), (96, 1))),
    "light": LightSize(16, ((32, 1), (64, 2), (96, 2), (128, 1))),
    "light_large": LightSize(32, ((64, 2), (96, 3), (160, 3), (224, 2))),
}


def light_features(size: LightSize, image: Any, norm: Norm) -> dict[int, Any]:
    """Residual blocks (He et al. 2016) with BatchNorm, or with GroupNorm (Wu & He 2018), which needs no large batch.

    Args:
        size: how wide and deep.
        image: KerasTensor [batch, y, x, channel].
        norm: "group" or "batch".

    Returns:
        {2: C2, 3: C3, 4: C4, 5: C5}, KerasTensors at strides 4, 8, 16 and 32.
    """
    x = layers.Conv2D(size.stem, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(image)
    x = normalized(x, norm, "stem_norm")
    x = layers.Activation("relu", name="stem_relu")(x)
    features: dict[int, Any] = {}
    for level, (width, blocks) in enumerate(size.stages, start=2):
        for block in range(blocks):
            x = _residual_block(x, width, 2 if block == 0 else 1, f"stage{level}_block{block + 1}", norm)
        features[level] = x
    return features


# Running statistics must settle within a short training; the 0.99 to 0.999 of keras.applications suit ImageNet's length.
BATCH_NORM_MOMENTUM = 0.9


def normalized(x: Any, norm: Norm, name: str) -> Any:
    """`x` [batch, y, x, channel] after GroupNorm with 8 groups, or BatchNorm."""
    if norm == "batch":
        return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=1e-3, name=name)(x)
    return layers.GroupNormalization(8, name=name)(x)


def _residual_block(x: Any, width: int, stride: int, name: str, norm: Norm) -> Any:
    """Two 3 x 3 convolutions beside a shortcut."""
    y = layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False, name=f"{name}_conv1")(x)
    y = normalized(y, norm, f"{name}_norm1")
    y = layers.Activation("relu", name=f"{name}_relu1")(y)
    y = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}_conv2")(y)
    y = normalized(y, norm, f"{name}_norm2")
    if stride != 1 or x.shape[-1] != width:
        x = layers.AveragePooling2D(stride, name=f"{name}_pool")(x) if stride != 1 else x
        x = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_shortcut")(x)
    return layers.Activation("relu", name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))
