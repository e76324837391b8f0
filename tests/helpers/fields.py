"""A large field full of cell-like structure, to cut microscope images out of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from retinaj.annotations import pascal_voc
from retinaj.boxes import Boxes


def field(seed: int, side: int = 320) -> NDArray[np.uint8]:
    """uint8 [side, side]: blobs of several sizes and brightnesses, nothing of which repeats."""
    random = np.random.default_rng(seed)
    total = sum(gaussian_filter(random.normal(size=(side, side)), sigma) * sigma for sigma in (2.5, 5, 9))
    stretched = (total - total.min()) / (total.max() - total.min())
    return (stretched * 220 + 10).astype(np.uint8)


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """As an image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    return path


def write_fields(folder: Path, count: int, *, side: int = 96) -> tuple[Path, Path]:
    """Images without a common part, each with two cells and one piece of debris; the folders (images, annotations)."""
    images, annotations = folder / "images", folder / "annotations"
    annotations.mkdir(parents=True)
    boxes = Boxes([[5, 6, 30, 40], [40, 40, 80, 70], [50, 5, 70, 20]], [0, 0, 1], ("cell", "debris"))
    for at in range(count):
        path = save(images / f"f{at}.png", field(at, side))
        pascal_voc.write(annotations / f"f{at}.xml", boxes, image_name=path.name, size=(side, side), channels=1)
    return images, annotations
