"""A randomly placed, scaled and turned view of an image, with the boxes that are visible in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retinaj.augmentation.config import AugmentationConfig
from retinaj.augmentation.geometry import Pixels, Placement, move_boxes, resample

# A box of which less than this share lies inside the window is not an object of the window.
_VISIBLE = 0.3
_SMALLEST = 2.0  # pixels
# Of so many random places the one that cuts the fewest objects is taken, where objects are to be kept whole.
_PLACES = 12

# Pixels float32 [y, x, channel], boxes float32 [N, 4] in these pixels, labels int32 [N].
Picture = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]
# The same, of an image that need not be in memory.
Scene = tuple[Pixels, NDArray[np.float32], NDArray[np.int32]]


def random_view(
    picture: Scene,
    *,
    width: int,
    height: int,
    fill: NDArray[np.float32],
    config: AugmentationConfig,
    random: np.random.Generator,
) -> Picture:
    """Cut a randomly placed, scaled, stretched and turned rectangle out of an image.

    Args:
        picture: the image, its boxes and their labels.
        width, height: of the view, in pixels.
        fill: float32 [channel], what lies outside the image.
        config: of which the geometric strengths are used, without flips and quarter turns.
        random: the only source of randomness.

    Returns:
        The view float32 [height, width, channel], and the boxes and labels that are visible in it, clipped to it.
    """
    image, xyxy, label = picture
    magnify = config.scale ** random.uniform(-1, 1)
    stretch = (1 + config.aspect) ** random.uniform(-0.5, 0.5)
    factor = np.array([magnify * stretch, magnify / stretch])
    origin = _place(image.shape, xyxy, np.array([width, height]) / factor, config, random)
    angle = random.uniform(-config.rotate, config.rotate) if config.rotate else 0.0
    placement = Placement(origin, factor, width, height, angle)
    boxes, label = visible_boxes(move_boxes(xyxy, placement), label, width, height)
    return resample(image, placement, fill), boxes, label


def visible_boxes(
    xyxy: NDArray[np.float32], label: NDArray[np.int32], width: float, height: float
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The boxes that lie inside `width` x `height` pixels by a fair share, clipped to it, with their labels."""
    clipped = np.clip(xyxy, 0, np.array([width, height, width, height], np.float32))
    whole = np.maximum((xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1), 1e-6)
    sides = clipped[:, 2:] - clipped[:, :2]
    keep = (sides.min(axis=1, initial=np.inf) >= _SMALLEST) & (sides.prod(axis=1) >= _VISIBLE * whole)
    return clipped[keep], label[keep]


def _place(
    shape: tuple[int, ...],
    xyxy: NDArray[np.float32],
    extent: NDArray[np.float64],
    config: AugmentationConfig,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Top-left corner (x, y) of a view of `extent` image pixels."""
    first = _one_place(shape, xyxy, extent, config, random)
    if not config.keep_whole or random.random() >= config.keep_whole or not len(xyxy):
        return first
    places = [first, *(_one_place(shape, xyxy, extent, config, random) for _ in range(_PLACES - 1))]
    return min(places, key=lambda origin: _cut_objects(xyxy, origin, origin + extent))


def _one_place(
    shape: tuple[int, ...],
    xyxy: NDArray[np.float32],
    extent: NDArray[np.float64],
    config: AugmentationConfig,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Inside the image, or round it where the view is larger; over the border by as much as `translate` allows."""
    room = np.array([shape[1], shape[0]]) - extent
    beyond = config.translate * extent
    low, high = np.minimum(room, 0) - beyond, np.maximum(room, 0) + beyond
    anywhere = random.uniform(low, high)
    wants_object, chosen, shift = random.random() < config.on_object, random.random(), random.uniform(-0.35, 0.35, 2)
    if not wants_object or not len(xyxy):
        return anywhere
    box = xyxy[int(chosen * len(xyxy))]
    around = (box[:2] + box[2:]) / 2 - extent / 2 + shift * extent
    return np.where(room > 0, np.clip(around, low, high), anywhere)


def _cut_objects(xyxy: NDArray[np.float32], low: NDArray[np.float64], high: NDArray[np.float64]) -> int:
    """How many boxes lie only partly between the corners `low` and `high`."""
    touches = ((xyxy[:, :2] < high) & (xyxy[:, 2:] > low)).all(axis=1)
    inside = ((xyxy[:, :2] >= low) & (xyxy[:, 2:] <= high)).all(axis=1)
    return int((touches & ~inside).sum())
