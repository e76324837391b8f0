"""Small pictures of the places that a check complains about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from retinaj.checking.findings import Corners, Finding
from retinaj.errors import RetinaJError
from retinaj.images.plane_choice import PlaneChoice
from retinaj.prediction.overlay import to_rgb
from retinaj.report.examples import picture_address

_LONGEST_SIDE = 420  # of a picture in the page, in pixels
_LEAST_VIEW = 96.0  # pixels of the image that a picture shows at least, so that its place can be recognised


@dataclass(frozen=True)
class CloseUp:
    """Part of an image, with boxes.

    Attributes:
        name: of the image file.
        url: the pixels, as a data URL.
        pixels: (x, y, width, height) of these, in pixels of the image.
        view: the same of what is shown: more, where boxes lie outside.
        boxes: (x, y, width, height) of what is drawn.
    """

    name: str
    url: str
    pixels: Corners
    view: Corners
    boxes: tuple[Corners, ...]


def close_ups(finding: Finding, planes: PlaneChoice) -> list[CloseUp]:
    """The place of a finding: one picture, or two where it is about two images; none if it has no place or cannot be drawn."""
    shown: list[tuple[Path, Sequence[Corners]]] = []
    if finding.image is not None and (finding.boxes or finding.other_image is not None):
        shown.append((finding.image, finding.boxes))
    if finding.other_image is not None:
        shown.append((finding.other_image, finding.other_boxes))
    try:
        return [_close_up(planes.whole(path), path.name, boxes, whole=finding.other_image is not None) for path, boxes in shown]
    except RetinaJError:
        return []


def _close_up(image: xr.DataArray, name: str, boxes: Sequence[Corners], *, whole: bool) -> CloseUp:
    pixels = to_rgb(image.isel({axis: image.sizes[axis] // 2 for axis in ("t", "z") if axis in image.dims}))
    height, width = pixels.shape[:2]
    view = (0.0, 0.0, float(width), float(height)) if whole or not boxes else _view(boxes, width, height)
    x_min, y_min = max(0, int(view[0])), max(0, int(view[1]))
    x_max, y_max = min(width, int(np.ceil(view[2]))), min(height, int(np.ceil(view[3])))
    drawn = tuple(_sides(*box) for box in boxes)
    url = picture_address(np.ascontiguousarray(pixels[y_min:y_max, x_min:x_max]), _LONGEST_SIDE)
    return CloseUp(name, url, _sides(x_min, y_min, x_max, y_max), _sides(*view), drawn)


def _view(boxes: Sequence[Corners], width: int, height: int) -> Corners:
    """The boxes with some space around them, at most the image and half of it again on each side."""
    corners = np.array(boxes, np.float64)
    lowest = np.minimum(corners[:, :2], corners[:, 2:]).min(axis=0)
    highest = np.maximum(corners[:, :2], corners[:, 2:]).max(axis=0)
    size = np.array([width, height], np.float64)
    lowest, highest = np.clip(lowest, -size / 2, 1.5 * size), np.clip(highest, -size / 2, 1.5 * size)
    # Square, so that pictures stand well beside each other.
    side = max(float((highest - lowest).max()) * 1.8, _LEAST_VIEW)
    middle = (lowest + highest) / 2
    lowest, highest = middle - side / 2, middle + side / 2
    # A part of the image must be seen, however far outside the box lies.
    lowest, highest = np.minimum(lowest, size - _LEAST_VIEW / 2), np.maximum(highest, _LEAST_VIEW / 2)
    if (corners >= 0).all() and (corners <= np.tile(size, 2)).all():
        shift = np.maximum(-lowest, 0) - np.maximum(highest - size, 0)
        lowest, highest = np.maximum(lowest + shift, 0), np.minimum(highest + shift, size)
    return float(lowest[0]), float(lowest[1]), float(highest[0]), float(highest[1])


def _sides(x_min: float, y_min: float, x_max: float, y_max: float) -> Corners:
    """Left, top, width and height, also of a box with swapped corners."""
    left, top = min(x_min, x_max), min(y_min, y_max)
    return round(left, 2), round(top, 2), round(abs(x_max - x_min), 2), round(abs(y_max - y_min), 2)
