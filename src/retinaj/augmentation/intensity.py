"""Changes of pixel values, which leave the boxes as they are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from retinaj.augmentation.config import AugmentationConfig


def change_intensity(
    window: NDArray[np.float32], config: AugmentationConfig, fill: NDArray[np.float32], random: np.random.Generator
) -> NDArray[np.float32]:
    """Vary gamma, contrast, brightness and colour, then blur, add noise and blank a channel, as optics and camera would.

    Args:
        window: float32 [y, x, channel], normalised; it may be changed.
        config: of which the strengths of these changes are used.
        fill: float32 [channel], the value of a blanked channel.
        random: the only source of randomness.

    Returns:
        float32 [y, x, channel].
    """
    if config.gamma:
        _bend(window, _about_one(config.gamma, random))
    _recolour(window, config, random)
    if config.blur:
        window = _blurred(window, random.uniform(0, config.blur))
    if config.noise:
        window += random.standard_normal(window.shape, np.float32) * np.float32(random.uniform(0, config.noise))
    channels = window.shape[2]
    # The only channel is never blanked: nothing would be left to learn from.
    if config.channel_drop and channels > 1 and random.random() < config.channel_drop:
        dropped = int(random.integers(channels))
        window[..., dropped] = fill[dropped]
    return window


def _about_one(strength: float, random: np.random.Generator) -> float:
    """Between 1 / (1 + strength) and 1 + strength, evenly on a logarithmic scale."""
    return math.exp(math.log1p(strength) * random.uniform(-1, 1))


def _bend(window: NDArray[np.float32], exponent: float) -> None:
    """Raise to a power between the darkest and the brightest value of the window, which stay as they are, in place."""
    low, high = float(window.min()), float(window.max())
    if high > low:
        window -= low
        window /= high - low
        np.power(window, np.float32(exponent), out=window)
        window *= high - low
        window += low


def _recolour(window: NDArray[np.float32], config: AugmentationConfig, random: np.random.Generator) -> None:
    """Change contrast and brightness in place, of all channels together and of each by itself."""
    channels = window.shape[2]
    contrast = _about_one(config.contrast, random)
    gain = contrast * np.exp(math.log1p(config.colour) * random.uniform(-1, 1, channels))
    shift = random.uniform(-1, 1) * config.brightness + random.uniform(-1, 1, channels) * config.colour
    mean = window.reshape(-1, channels).mean(axis=0)
    window *= gain.astype(np.float32)
    window += (mean * (1 - gain) + shift).astype(np.float32)


def _blurred(window: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    from scipy import ndimage  # only where needed: see the package's docstring

    return np.asarray(ndimage.gaussian_filter(window, (sigma, sigma, 0), mode="nearest", truncate=3), np.float32)
