"""Four images in one window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retinaj.augmentation.config import AugmentationConfig
from retinaj.augmentation.view import Picture, Scene, random_view

# The four meet in the inner part of the window, so that each has room for objects.
_MEETING = (0.25, 0.75)


def random_mosaic(
    pictures: Sequence[Scene],
    *,
    side: int,
    fill: NDArray[np.float32],
    config: AugmentationConfig,
    random: np.random.Generator,
) -> Picture:
    """A window of views of four images, which meet at a random point in its middle; objects keep their size.

    Args:
        pictures: four images of as many channels, with their boxes and labels.
        side: of the window, in pixels.
        fill, config, random: as for `random_view`.

    Returns:
        The window float32 [side, side, channel], and the boxes and labels of all four that are visible in it.
    """
    x, y = np.rint(side * random.uniform(*_MEETING, 2)).astype(int).tolist()
    corners = ((0, 0, x, y), (x, 0, side, y), (0, y, x, side), (x, y, side, side))
    window = np.empty((side, side, len(fill)), np.float32)
    boxes: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.int32]] = []
    for at, (left, top, right, bottom) in zip(random.permutation(4).tolist(), corners, strict=True):
        part, xyxy, label = random_view(
            pictures[at], width=right - left, height=bottom - top, fill=fill, config=config, random=random
        )
        window[top:bottom, left:right] = part
        boxes.append(xyxy + np.array([left, top, left, top], np.float32))
        labels.append(label)
    return window, np.concatenate(boxes), np.concatenate(labels)
