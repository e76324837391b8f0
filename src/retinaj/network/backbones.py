"""Backbones: the image to feature maps C2..C5 at strides 4, 8, 16 and 32."""

from __future__ import annotations

from typing import Any

from retinaj.errors import RetinaJError
from retinaj.network.applications import APPLICATIONS, application_features
from retinaj.network.config import BackboneName, Norm
from retinaj.network.light import LIGHT_SIZES, light_features


def backbone_features(
    name: BackboneName, image: Any, *, norm: Norm = "group", imagenet_weights: bool = False
) -> dict[int, Any]:
    """Apply a backbone to a symbolic image.

    Args:
        name: which backbone.
        image: KerasTensor [batch, y, x, channel], normalised to about -2..2; sizes are multiples of 32 at run time.
        norm: of the light backbones; those of keras.applications have their own.
        imagenet_weights: start from weights trained on ImageNet (keras.applications downloads them once).

    Returns:
        {2: C2, 3: C3, 4: C4, 5: C5}, KerasTensors at strides 4, 8, 16 and 32.

    Raises:
        RetinaJError: if ImageNet weights are asked for and there are none for it, or they cannot be fetched.
    """
    if name in APPLICATIONS:
        return application_features(name, image, imagenet_weights=imagenet_weights)
    if imagenet_weights:
        raise RetinaJError(
            f"The backbone {name} has no ImageNet weights: train it from random weights, or choose one of "
            f"{', '.join(APPLICATIONS)}."
        )
    return light_features(LIGHT_SIZES[name], image, norm)


def last_layer_of_stage(name: BackboneName, stage: int) -> str:
    """The layer of a backbone of keras.applications that gives C2, C3, C4 or C5."""
    return APPLICATIONS[name].taps[stage - 2]
