"""Where pixels and boxes go: flips and quarter turns, which are exact, and one resampling for everything else.

Coordinates are those of `retinaj.boxes`: x to the right, y down, the origin at the top-left corner of the top-left pixel.
Turning is counter-clockwise as one sees it, as numpy.rot90 does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_Pixel = TypeVar("_Pixel", bound=np.generic)
_Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Placement:
    """Which part of an image a window shows.

    Attributes:
        origin: float64 [2], (x, y) of the image at the window's top-left corner, before turning about the window's centre.
        factor: float64 [2], window pixels per image pixel along x and y.
        width, height: of the window, in pixels.
        angle: by which the image is turned in the window, in degrees, counter-clockwise.
    """

    origin: _Vector
    factor: _Vector
    width: int
    height: int
    angle: float = 0.0

    @property
    def size(self) -> _Vector:
        """(width, height)."""
        return np.array([self.width, self.height], np.float64)

    @property
    def centre(self) -> _Vector:
        """float64 [2], the (x, y) of the image in the middle of the window."""
        return self.origin + self.size / self.factor / 2

    @property
    def turn(self) -> _Vector:
        """float64 [2, 2], takes (x, y) of the scaled image, from the centre, to those of the window."""
        cosine, sine = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        return np.array([[cosine, sine], [-sine, cosine]])


def move_boxes(xyxy: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """Boxes of the image as boxes of the window, float32 [N, 4] both.

    Without an angle this is exact. A turned box is no longer upright, and how far the object in it reaches afterwards is not
    known: the box of its turned corners is far too large for anything round. We take the upright box round the turned ellipse
    that fills the box, which is tight for round and oval objects that lie along the axes, and close for most cells.
    """
    if not placement.angle:
        return ((xyxy - np.tile(placement.origin, 2)) * np.tile(placement.factor, 2)).astype(np.float32)
    centre = ((xyxy[:, :2] + xyxy[:, 2:]) / 2 - placement.centre) * placement.factor
    half = (xyxy[:, 2:] - xyxy[:, :2]) / 2 * placement.factor
    middle = centre @ placement.turn.T + placement.size / 2
    reach = np.sqrt((half**2) @ (placement.turn**2).T)
    return np.concatenate([middle - reach, middle + reach], axis=1).astype(np.float32)


class PartlyRead(Protocol):
    """An image that is too large for memory: the part that a window shows is read when the window is made."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(y, x, channel) of the whole image."""
        ...

    def part(self, left: int, top: int, right: int, bottom: int) -> NDArray[np.float32]:
        """float32 [bottom - top, right - left, channel], the pixels of a rectangle inside the image."""
        ...


Pixels = NDArray[np.float32] | PartlyRead


def resample(image: Pixels, placement: Placement, fill: NDArray[np.float32]) -> NDArray[np.float32]:
    """The window float32 [height, width, channel] of an image [y, x, channel]: bilinear, averaged where it shrinks.

    What lies outside the image becomes `fill`, float32 [channel].
    """
    if not isinstance(image, np.ndarray):
        image, placement = _read(image, placement)
    return _resample_turned(image, placement, fill) if placement.angle else _resample_upright(image, placement, fill)


def _read(image: PartlyRead, placement: Placement) -> tuple[NDArray[np.float32], Placement]:
    """The part of an image that a window shows, and the window's placement in that part."""
    low, high = _seen(image.shape, placement)
    low = np.minimum(low, np.array([image.shape[1], image.shape[0]]) - 1)  # a window beside the image shows one pixel of it
    high = np.maximum(high, low + 1)
    part = image.part(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    return part, replace(placement, origin=placement.origin - low)


def _seen(shape: tuple[int, ...], placement: Placement) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corners (x, y) of what a window shows of an image, with the neighbours that resampling mixes in."""
    reach = np.abs(_inverse(placement)) @ placement.size / 2 + 3 * _blur(placement) + 2
    size = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(placement.centre - reach), 0, size).astype(np.int64)
    return low, np.clip(np.ceil(placement.centre + reach), 0, size).astype(np.int64)


def _blur(placement: Placement) -> _Vector:
    """Sigma along x and y, in pixels of the image: shrinking would skip pixels without as much blur as makes neighbours in the
    window out of neighbours in the image."""
    return np.maximum(1 / placement.factor - 1, 0) / 2


def _inverse(placement: Placement) -> _Vector:
    """float64 [2, 2], takes (x, y) of the window, from its centre, to those of the image."""
    return placement.turn.T / placement.factor[:, None]


def _empty(placement: Placement, fill: NDArray[np.float32]) -> NDArray[np.float32]:
    window = np.empty((placement.height, placement.width, len(fill)), np.float32)
    window[:] = fill
    return window


def _resample_upright(image: NDArray[np.float32], placement: Placement, fill: NDArray[np.float32]) -> NDArray[np.float32]:
    """window[v, u] = image at origin + (u, v) / factor."""
    window = _empty(placement, fill)
    origin, factor = placement.origin, placement.factor
    size = np.array([image.shape[1], image.shape[0]])
    first = np.ceil(np.maximum(-origin * factor, 0) - 1e-6).astype(int)
    last = np.floor(np.minimum((size - origin) * factor, placement.size) + 1e-6).astype(int)
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


def _resample_turned(image: NDArray[np.float32], placement: Placement, fill: NDArray[np.float32]) -> NDArray[np.float32]:
    """window at u = image at centre + turn^-1 (u - size / 2) / factor, scaled and turned in one step."""
    sigma, inverse = _blur(placement), _inverse(placement)
    low, high = _seen(image.shape, placement)
    if (high <= low).any():
        return _empty(placement, fill)
    part = image[low[1] : high[1], low[0] : high[0]]
    if sigma.any():
        from scipy import ndimage  # only where needed: see the package's docstring

        part = ndimage.gaussian_filter(part, (sigma[1], sigma[0], 0), mode="nearest", truncate=3)
    start = placement.centre - low - inverse @ placement.size / 2
    matrix = (*inverse[0].tolist(), float(start[0]), *inverse[1].tolist(), float(start[1]))
    window = np.empty((placement.height, placement.width, len(fill)), np.float32)
    for channel in range(image.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(part[..., channel]))
        turned = plane.transform(
            (placement.width, placement.height),
            Image.Transform.AFFINE,
            matrix,
            Image.Resampling.BILINEAR,
            fillcolor=float(fill[channel]),
        )
        window[..., channel] = np.asarray(turned)
    return window


def flip(
    pixels: NDArray[_Pixel], boxes: NDArray[np.float32], *, horizontally: bool, vertically: bool
) -> tuple[NDArray[_Pixel], NDArray[np.float32]]:
    """Mirror pixels [y, x, channel] and boxes [N, 4] left-right, up-down, or both; exact.

    >>> pixels, boxes = flip(np.arange(3)[None, :, None], np.array([[0, 0, 1, 1]]), horizontally=True, vertically=False)
    >>> pixels.ravel().tolist(), boxes.tolist()
    ([2, 1, 0], [[2, 0, 3, 1]])
    """
    height, width = pixels.shape[:2]
    if horizontally:
        pixels, boxes = pixels[:, ::-1], _mirrored(boxes, width, 0)
    if vertically:
        pixels, boxes = pixels[::-1], _mirrored(boxes, height, 1)
    return pixels, boxes


def _mirrored(boxes: NDArray[np.float32], side: int, axis: int) -> NDArray[np.float32]:
    mirrored = boxes.copy()
    mirrored[:, axis], mirrored[:, axis + 2] = side - boxes[:, axis + 2], side - boxes[:, axis]
    return mirrored


def quarter_turns(
    pixels: NDArray[_Pixel], boxes: NDArray[np.float32], turns: int
) -> tuple[NDArray[_Pixel], NDArray[np.float32]]:
    """Turn pixels [y, x, channel] and boxes [N, 4] counter-clockwise by `turns` times 90 degrees; exact.

    >>> pixels, boxes = quarter_turns(np.arange(3)[None, :, None], np.array([[0, 0, 1, 1]]), 1)
    >>> pixels[:, 0, 0].tolist(), boxes.tolist()
    ([2, 1, 0], [[0, 2, 1, 3]])
    """
    width, height = pixels.shape[1], pixels.shape[0]
    for _ in range(turns):  # (x, y) -> (y, width - x)
        x_min, y_min, x_max, y_max = boxes.T
        boxes = np.stack([y_min, width - x_max, y_max, width - x_min], axis=1)
        width, height = height, width
    return np.rot90(pixels, turns), boxes
