"""The feature pyramid: every level sees fine detail and wide context (Lin et al. 2017, "Feature Pyramid Networks")."""

from __future__ import annotations

from typing import Any

from retinaj.network.untyped import layers


def feature_pyramid(features: dict[int, Any], levels: range, width: int, *, separable: bool = False) -> dict[int, Any]:
    """Merge backbone features from coarse to fine, and extend them upwards by strided convolutions.

    Args:
        features: {level: KerasTensor} C2..C5.
        levels: the pyramid levels wanted, within 2..7. The merge always starts at C5, so that a pyramid that ends at P4
            has its context too.
        width: channels of every level.
        separable: smooth the merged levels by depthwise separable convolutions.

    Returns:
        {level: KerasTensor [batch, y / 2**level, x / 2**level, width]} for each of `levels`.
    """
    smooth: Any = layers.SeparableConv2D if separable else layers.Conv2D
    top = max(features)
    merged: dict[int, Any] = {}
    for level in range(top, min(levels) - 1, -1):
        lateral = layers.Conv2D(width, 1, name=f"lateral{level}")(features[level])
        if level < top:
            coarser = layers.UpSampling2D(2, name=f"upsample{level + 1}")(merged[level + 1])
            lateral = layers.Add(name=f"merge{level}")([lateral, coarser])
        merged[level] = lateral
    pyramid = {
        level: smooth(width, 3, padding="same", name=f"pyramid{level}")(merged[level]) for level in levels if level <= top
    }
    above = features[top]
    for level in range(top + 1, max(levels) + 1):
        if level > top + 1:
            above = layers.Activation("relu", name=f"pyramid{level - 1}_relu")(above)
        above = layers.Conv2D(width, 3, strides=2, padding="same", name=f"pyramid{level}")(above)
        pyramid[level] = above
    return {level: pyramid[level] for level in levels}
