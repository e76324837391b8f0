"""A data set that a tiny network learns in seconds: bright discs and dim squares on grey."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retinaj.annotations import pascal_voc
from retinaj.boxes import Boxes

CLASSES = ("disc", "square")


def draw(random: np.random.Generator, side: int = 96, objects: int = 5) -> tuple[NDArray[np.uint8], Boxes]:
    """An image uint8 [side, side] and its boxes."""
    image = random.normal(60, 6, (side, side))
    y, x = np.mgrid[:side, :side] + 0.5
    boxes: list[tuple[float, float, float, float]] = []
    labels: list[int] = []
    for _ in range(50 * objects):
        size = int(random.integers(14, 27))
        left, top = (int(value) for value in random.integers(0, side - size, 2))
        box = (left, top, left + size, top + size)
        if any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in boxes):
            continue
        label = int(random.integers(2))
        inside = (x > left) & (x < left + size) & (y > top) & (y < top + size)
        if label == 0:
            inside &= (x - left - size / 2) ** 2 + (y - top - size / 2) ** 2 < (size / 2) ** 2
        image[inside] += 130 if label == 0 else 60
        boxes.append(box)
        labels.append(label)
        if len(boxes) == objects:
            break
    pixels = np.clip(image, 0, 255).astype(np.uint8)
    return pixels, Boxes(np.array(boxes, np.float32), np.array(labels, np.int32), CLASSES)


def write_discs(folder: Path, count: int, *, seed: int = 0, side: int = 96) -> tuple[Path, Path]:
    """Write `count` images and their VOC files; the folders (images, annotations). The last image is empty."""
    images, annotations = folder / "images", folder / "annotations"
    images.mkdir(parents=True)
    annotations.mkdir()
    random = np.random.default_rng(seed)
    for index in range(count):
        pixels, boxes = draw(random, side, objects=0 if index == count - 1 else 5)
        path = images / f"disc{index:02d}.png"
        Image.fromarray(pixels).save(path)
        pascal_voc.write(annotations / f"{path.stem}.xml", boxes, image_name=path.name, size=(side, side), channels=1)
    return images, annotations
