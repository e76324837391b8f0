"""The picture on the model's card in the zoo: the example image with its boxes, made to be read at thumbnail size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from retinaj.boxes import Boxes
from retinaj.colours import class_colour

# The zoo asks for 1:1 or 2:1 and less than 500 kB.
_SIDE = 512
_LINE = 5


def write_cover(pixels: NDArray[np.generic], boxes: Boxes, path: Path) -> None:
    """Write a square PNG: the part of the image with the most boxes, each framed in the colour of its class.

    Args:
        pixels: [y, x, channel], any type.
        boxes: on that image.
        path: ends with .png.
    """
    side = min(pixels.shape[:2])
    x, y = _busiest_square(boxes, pixels.shape[1] - side, pixels.shape[0] - side, side)
    square = Image.fromarray(displayed(pixels)[y : y + side, x : x + side])
    picture = square.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    scaled = (boxes.xyxy - np.array([x, y, x, y], np.float32)) * (_SIDE / side)
    for box, label in zip(scaled.tolist(), boxes.label.tolist(), strict=True):
        x_min, y_min, x_max, y_max = box
        if x_max > x_min and y_max > y_min:
            draw.rectangle((x_min, y_min, x_max, y_max), outline=class_colour(label), width=_LINE)
    # A photograph of 512 x 512 can exceed 500 kB as RGB; 256 colours are enough for a card.
    picture.quantize(256).save(path, optimize=True)


def displayed(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """An image [y, x, channel] of any type as RGB [y, x, 3] of 8 bits, for people.

    8-bit values stay as they are; others are stretched between their percentiles 1 and 99.8. One channel becomes grey; of
    more than three, the first three are shown; two become red and green.
    """
    if pixels.dtype != np.uint8:
        values = pixels.astype(np.float32)
        low, high = np.nanpercentile(values, [1, 99.8])
        stretched = np.nan_to_num((values - low) / max(high - low, 1e-6))
        pixels = stretched.clip(0, 1) * 255
    shown = pixels.astype(np.uint8)
    if shown.shape[-1] == 1:
        return np.repeat(shown, 3, axis=-1)
    if shown.shape[-1] == 2:
        shown = np.concatenate([shown, np.zeros_like(shown[..., :1])], axis=-1)
    return np.ascontiguousarray(shown[..., :3])


def _busiest_square(boxes: Boxes, free_x: int, free_y: int, side: int) -> tuple[int, int]:
    """The corner (x, y) of the square of this side that holds the most box centres; one of the two is 0."""
    centre = (boxes.xyxy[:, :2] + boxes.xyxy[:, 2:]) / 2
    corners = [(x, y) for y in range(0, free_y + 1, 8) for x in range(0, free_x + 1, 8)]
    counts = [int(((centre >= corner) & (centre < np.add(corner, side))).all(axis=1).sum()) for corner in corners]
    return corners[int(np.argmax(counts))]
