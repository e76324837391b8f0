"""Training windows: a random view of an image, with its boxes. Numpy and Pillow only; exact under flips and quarter turns."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

# A box of which less than this share lies inside the window is not an object of the window.
_VISIBLE = 0.3
_SMALLEST = 2.0  # pixels


class AugmentationConfig(BaseModel):
    """How strongly training windows vary.

    Attributes:
        flip: mirror left-right and up-down, each half of the time.
        rotate: turn by 0, 90, 180 or 270 degrees.
        scale: magnify by up to this factor, or shrink by it, evenly on a logarithmic scale.
        aspect: stretch one side against the other by up to this share.
        contrast: multiply the distance from the mean by up to 1 + this, or divide by it.
        brightness: add up to this in either direction, in normalised units (the image spans about 4).
        colour: the same for each channel by itself.
        on_object: share of windows that are placed round a random object where the image is larger than the window.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    flip: bool = True
    rotate: bool = True
    scale: Annotated[float, Field(ge=1, le=4)] = 1.4
    aspect: Annotated[float, Field(ge=0, le=1)] = 0.1
    contrast: Annotated[float, Field(ge=0, le=2)] = 0.2
    brightness: Annotated[float, Field(ge=0, le=2)] = 0.2
    colour: Annotated[float, Field(ge=0, le=2)] = 0.1
    on_object: Annotated[float, Field(ge=0, le=1)] = 0.5


Window = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]


def random_window(
    image: NDArray[np.float32],
    xyxy: NDArray[np.float32],
    label: NDArray[np.int32],
    *,
    side: int,
    fill: NDArray[np.float32],
    config: AugmentationConfig,
    random: np.random.Generator,
) -> Window:
    """Cut a randomly placed, scaled, turned and coloured square out of an image.

    Args:
        image: float32 [y, x, channel], normalised.
        xyxy: float32 [N, 4] in pixels of `image`.
        label: int32 [N].
        side: of the window, in pixels.
        fill: float32 [channel], what lies outside the image.
        config: the strengths.
        random: the only source of randomness.

    Returns:
        The window float32 [side, side, channel], and the boxes and labels that are visible in it, clipped to it.
    """
    magnify = config.scale ** random.uniform(-1, 1)
    stretch = (1 + config.aspect) ** random.uniform(-0.5, 0.5)
    factor = np.array([magnify * stretch, magnify / stretch])
    origin = _place(image.shape, xyxy, side / factor, config.on_object, random)
    window = _resample(image, origin, factor, side, fill)
    _recolour(window, config, random)
    boxes = (xyxy - np.tile(origin, 2)) * np.tile(factor, 2)
    boxes, label = visible_boxes(boxes.astype(np.float32), label, side, side)
    if config.flip:
        window, boxes = _flip(window, boxes, side, random.random() < 0.5, random.random() < 0.5)
    if config.rotate:
        window, boxes = _quarter_turns(window, boxes, side, int(random.integers(4)))
    return np.ascontiguousarray(window), boxes, label


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
    on_object: float,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Top-left corner (x, y) of a window of `extent` image pixels: inside the image, or round it where it is larger."""
    room = np.array([shape[1], shape[0]]) - extent
    low, high = np.minimum(room, 0), np.maximum(room, 0)
    anywhere = random.uniform(low, high)
    wants_object, chosen, shift = random.random() < on_object, random.random(), random.uniform(-0.35, 0.35, 2)
    if not wants_object or not len(xyxy):
        return anywhere
    box = xyxy[int(chosen * len(xyxy))]
    around = (box[:2] + box[2:]) / 2 - extent / 2 + shift * extent
    return np.where(room > 0, np.clip(around, low, high), anywhere)


def _resample(
    image: NDArray[np.float32],
    origin: NDArray[np.float64],
    factor: NDArray[np.float64],
    side: int,
    fill: NDArray[np.float32],
) -> NDArray[np.float32]:
    """window[v, u] = image at origin + (u, v) / factor, bilinear, averaged where it shrinks; `fill` outside."""
    window = np.empty((side, side, image.shape[2]), np.float32)
    window[:] = fill
    size = np.array([image.shape[1], image.shape[0]])
    first = np.ceil(np.maximum(-origin * factor, 0) - 1e-6).astype(int)
    last = np.floor(np.minimum((size - origin) * factor, side) + 1e-6).astype(int)
    if (last <= first).any():
        return window
    low = np.clip(origin + first / factor, 0, size)
    high = np.clip(origin + last / factor, 0, size)
    target = (int(last[0] - first[0]), int(last[1] - first[1]))
    for channel in range(image.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
        part = plane.resize(target, Image.Resampling.BILINEAR, box=(low[0], low[1], high[0], high[1]))
        window[first[1] : last[1], first[0] : last[0], channel] = np.asarray(part)
    return window


def _flip(
    window: NDArray[np.float32], boxes: NDArray[np.float32], side: int, horizontally: bool, vertically: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if horizontally:
        window, boxes = window[:, ::-1], _mirrored(boxes, side, 0)
    if vertically:
        window, boxes = window[::-1], _mirrored(boxes, side, 1)
    return window, boxes


def _mirrored(boxes: NDArray[np.float32], side: int, axis: int) -> NDArray[np.float32]:
    mirrored = boxes.copy()
    mirrored[:, axis], mirrored[:, axis + 2] = side - boxes[:, axis + 2], side - boxes[:, axis]
    return mirrored


def _quarter_turns(
    window: NDArray[np.float32], boxes: NDArray[np.float32], side: int, turns: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Turn counter-clockwise, as numpy.rot90 does: (x, y) -> (y, side - x)."""
    for _ in range(turns):
        x_min, y_min, x_max, y_max = boxes.T
        boxes = np.stack([y_min, side - x_max, y_max, side - x_min], axis=1)
    return np.rot90(window, turns), boxes


def _recolour(window: NDArray[np.float32], config: AugmentationConfig, random: np.random.Generator) -> None:
    """Change contrast and brightness in place, of all channels together and of each by itself."""
    channels = window.shape[2]
    contrast = math.exp(math.log1p(config.contrast) * random.uniform(-1, 1))
    gain = contrast * np.exp(math.log1p(config.colour) * random.uniform(-1, 1, channels))
    shift = random.uniform(-1, 1) * config.brightness + random.uniform(-1, 1, channels) * config.colour
    mean = window.reshape(-1, channels).mean(axis=0)
    window *= gain.astype(np.float32)
    window += (mean * (1 - gain) + shift).astype(np.float32)
