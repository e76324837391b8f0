"""Training windows: everything that varies, in one place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retinaj.augmentation.config import AugmentationConfig
from retinaj.augmentation.geometry import Pixels, flip, quarter_turns
from retinaj.augmentation.intensity import change_intensity
from retinaj.augmentation.mosaic import random_mosaic
from retinaj.augmentation.view import Picture, Scene, random_view


def random_window(
    image: Pixels,
    xyxy: NDArray[np.float32],
    label: NDArray[np.int32],
    *,
    side: int,
    fill: NDArray[np.float32],
    config: AugmentationConfig,
    random: np.random.Generator,
    others: Callable[[np.random.Generator], Scene] | None = None,
) -> Picture:
    """Cut a randomly placed, scaled, turned and coloured square out of an image.

    Args:
        image: float32 [y, x, channel], normalised; of a `PartlyRead` one, only what the window shows is read.
        xyxy: float32 [N, 4] in pixels of `image`.
        label: int32 [N].
        side: of the window, in pixels.
        fill: float32 [channel], what lies outside the image.
        config: the strengths.
        random: the only source of randomness.
        others: gives, by chance, another image with its boxes and labels: three of them complete a mosaic.

    Returns:
        The window float32 [side, side, channel], and the boxes and labels that are visible in it, clipped to it.

    Raises:
        ValueError: if the config asks for mosaics and there are no `others`.
    """
    picture: Scene = (image, xyxy, label)
    if config.mosaic and others is None:
        raise ValueError("a config with mosaic needs `others` to take the other three images from")
    if config.mosaic and others is not None and random.random() < config.mosaic:
        pictures = [picture, *(others(random) for _ in range(3))]
        window, boxes, label = random_mosaic(pictures, side=side, fill=fill, config=config, random=random)
    else:
        window, boxes, label = random_view(picture, width=side, height=side, fill=fill, config=config, random=random)
    window = change_intensity(window, config, fill, random)
    if config.flip:
        window, boxes = flip(window, boxes, horizontally=random.random() < 0.5, vertically=random.random() < 0.5)
    if config.quarter_turns:
        window, boxes = quarter_turns(window, boxes, int(random.integers(4)))
    return np.ascontiguousarray(window), boxes, label
