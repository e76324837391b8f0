"""Boxes as rectangles of whole pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retinaj.annotations.annotation import Annotation
from retinaj.errors import RetinaJError


def pixel_rectangles(annotation: Annotation, title: str) -> NDArray[np.int64]:
    """The pixels of each box: its corners rounded, at least one pixel wide and high, and cut at the image's border.

    Args:
        annotation: with the size of its image.
        title: of the format that wants pixels, for the error.

    Returns:
        [N, 4], (x_min, y_min, x_max, y_max), half open, inside the image.

    Raises:
        RetinaJError: if the size is not known, or a box has no area or lies outside the image.
    """
    if annotation.size is None:
        raise RetinaJError(f"{annotation.source}: {title} needs the size of the image; name the images' folder with --images.")
    width, height = annotation.size
    boxes = annotation.boxes.xyxy.astype(np.float64)
    low = np.rint(boxes[:, :2])
    high = np.maximum(np.rint(boxes[:, 2:]), low + 1)
    limit = np.array([width, height])
    low, high = np.clip(low, 0, limit), np.clip(high, 0, limit)
    bad = (annotation.boxes.area <= 0) | (high <= low).any(axis=1)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        corners = ", ".join(f"{value:g}" for value in boxes[at])
        raise RetinaJError(
            f"{annotation.source}: {annotation.place(at)} ({corners}) has no pixel in the image of {width} x {height}, so that "
            f"{title} cannot hold it. Correct or remove it."
        )
    return np.hstack([low, high]).astype(np.int64)
