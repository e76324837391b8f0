"""Weights and images made by rule, the same in the environment of the TF2 Object Detection API and in the tests.

A checkpoint has up to 300 MB; what its variables are called and shaped has a few kilobytes. So every array follows from its
name, by numpy alone, and the tests make the checkpoint again that the API computed the expected outputs with.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray


def seeded_array(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The values of one variable.

    Kernels are He-sized, so that outputs depend on the image, and no statistic or scale of a BatchNorm is at its initial value;
    scales are below 1, so that the many residual blocks of a ResNet do not amplify rounding.

    Args:
        name: of the variable in the checkpoint, such as "model/_box_predictor/.../kernel".
        shape: of the variable.
    """
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))
    kind = name.rsplit("/", 1)[-1]
    if kind in ("gamma", "moving_variance"):
        return random.uniform(0.4, 0.9 if kind == "gamma" else 1.4, shape).astype(np.float32)
    if kind in ("beta", "moving_mean", "bias"):
        return random.normal(0.1, 0.2, shape).astype(np.float32)
    # [y, x, channel, multiplier] of a depthwise kernel: each output sees one channel.
    seen = shape[:2] if kind == "depthwise_kernel" else shape[:-1]
    size = 0.4 if "prediction_head" in name else 1.0  # scores spread over 0..1 rather than crowd at 1
    return random.normal(0, size * math.sqrt(2 / math.prod(seen)), shape).astype(np.float32)


def cloudy_image(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """An image [y, x, 3] of coloured clouds; whole-number arithmetic, so that it is the same everywhere."""
    random = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), np.int64)
    for cell, weight in ((32, 4), (8, 2), (2, 1)):
        coarse = random.integers(0, 256, (-(-height // cell), -(-width // cell), 3))
        image += weight * coarse.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width]
    return (image // 7).astype(np.uint8)
