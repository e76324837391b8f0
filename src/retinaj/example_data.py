"""A small data set that we draw ourselves: a DNA-stained cell culture with bacteria, for trying everything out.

Three kinds of objects, as a fluorescence microscope shows them: nuclei, apoptotic cells (whose nucleus has broken into bright
pieces) and bacteria. They touch and overlap, differ in size and brightness, and the images have blur, haze from outside the
focus, uneven illumination, and the noise of photons and camera. No image of anyone is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from retinaj.annotations import pascal_voc
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.files import atomic_folder, write_text

CLASS_NAMES = ("apoptotic", "bacterium", "nucleus")

# How many of each an area of 256 x 256 pixels holds on average, and how much of the distance at which two objects would just
# touch they keep: below 1 they overlap.
_DENSITY = {"nucleus": 4.5, "apoptotic": 2.5, "bacterium": 5.0}
_SPACING = 0.8
# Pixels per unit of length below, in which a nucleus is 13 to 21 units in radius and a bacterium 3 to 4.
_PIXELS = 1.75
_VISIBLE = 0.5  # an object at the border is drawn if this share of it is inside


def make_example_data(
    folder: Path, *, seed: int = 0, train: int = 160, validation: int = 32, test: int = 48, size: int = 256
) -> Path:
    """Draw the example data set, in PASCAL VOC's layout.

    The folder gets JPEGImages/NAME.png (8-bit grey), Annotations/NAME.xml, the lists of names in
    ImageSets/Main/{train,val,test}.txt, and a README.txt that explains them. The same arguments give the same images.

    Args:
        folder: to make; must not exist, or be empty.
        seed: a whole number from 0.
        train, validation, test: how many images each part gets, at least one.
        size: width and height of the images in pixels, at least 64.

    Returns:
        The folder.

    Raises:
        RetinaJError: if the folder holds something, or a number is out of range.
    """
    parts = {"train": train, "val": validation, "test": test}
    if min(parts.values()) < 1 or size < 64 or seed < 0:
        raise RetinaJError(
            f"Example data cannot be made of {train} training, {validation} validation and {test} test images of {size} "
            f"pixels with the seed {seed}: expected at least one image each, 64 pixels, and a seed from 0."
        )
    folder = Path(folder)
    with atomic_folder(folder) as temporary:
        for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (temporary / name).mkdir(parents=True)
        number = 0
        for part, count in parts.items():
            names: list[str] = []
            for _ in range(count):
                # A stream of its own for each image: asking for more test images does not change the training images.
                rng = np.random.default_rng([seed, list(parts).index(part), len(names)])
                number += 1
                names.append(f"culture_{number:04d}")
                pixels, boxes = draw_image(rng, size)
                Image.fromarray(pixels).save(temporary / "JPEGImages" / f"{names[-1]}.png")
                xml = pascal_voc.to_xml(boxes, image_name=f"{names[-1]}.png", size=(size, size), channels=1)
                (temporary / "Annotations" / f"{names[-1]}.xml").write_bytes(xml)
            write_text(temporary / "ImageSets" / "Main" / f"{part}.txt", "\n".join(names) + "\n")
        write_text(temporary / "README.txt", _README.format(seed=seed, size=size, **parts))
    return folder


def draw_image(rng: np.random.Generator, size: int) -> tuple[NDArray[np.uint8], Boxes]:
    """Draw one image.

    Args:
        rng: the source of chance.
        size: width and height in pixels.

    Returns:
        The image, uint8 [size, size], and its objects: the exact extent of each, before blur, cut at the border.
    """
    scene = np.zeros((size, size), np.float64)
    placed: list[tuple[float, float, float]] = []
    corners: list[tuple[int, int, int, int]] = []
    labels: list[int] = []
    for name in ("nucleus", "apoptotic", "bacterium"):
        for _ in range(rng.poisson(_DENSITY[name] * (size / 256) ** 2)):
            patch = _DRAW[name](rng)
            place = _find_place(rng, patch, size, placed)
            box = None if place is None else _add(scene, patch, place)
            if place is not None and box is not None:
                placed.append((*place, patch.radius))
                corners.append(box)
                labels.append(CLASS_NAMES.index(name))
    pixels = _photograph(rng, scene)
    return pixels, Boxes(np.array(corners, np.float32), np.array(labels, np.int32), CLASS_NAMES)


@dataclass(frozen=True)
class _Patch:
    """One object on black.

    Attributes:
        light: float [h, w], its brightness.
        mask: bool [h, w], where it is.
        radius: of the circle that it keeps free of others, in pixels.
    """

    light: NDArray[np.float64]
    mask: NDArray[np.bool_]
    radius: float


def _grid(reach: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """y and x of each pixel of a square around an object's centre, in units."""
    half = int(np.ceil(reach * _PIXELS))
    axis = np.arange(-half, half + 1) / _PIXELS
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return y, x


def _nucleus(rng: np.random.Generator) -> _Patch:
    """An ellipse with a slightly wavy outline, grainy chromatin and darker nucleoli."""
    long = rng.uniform(13, 21)
    short = long * rng.uniform(0.62, 1.0)
    y, x = _grid(long * 1.25 + 1)
    turn = rng.uniform(0, np.pi)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    angle = np.arctan2(v, u)
    wave = sum(rng.normal(0, 0.022) * np.cos(order * angle + rng.uniform(0, 2 * np.pi)) for order in (2, 3, 4, 5))
    distance = np.hypot(u / long, v / short) / (1 + wave)
    grain = ndimage.gaussian_filter(rng.normal(size=x.shape), 1.5 * _PIXELS)
    light = 1 + 0.16 * grain / grain.std() - 0.3 * distance**4
    for _ in range(rng.integers(1, 5)):
        away, around = rng.uniform(0, 0.55), rng.uniform(0, 2 * np.pi)
        spot = np.hypot(u - away * long * np.cos(around), v - away * short * np.sin(around)) / rng.uniform(1.6, 3.4)
        light *= 1 - rng.uniform(0.25, 0.5) * np.exp(-(spot**2))
    mask = distance <= 1
    return _Patch(np.clip(light, 0.1, None) * mask * rng.lognormal(-0.6, 0.3), mask, (long + short) / 2 * _PIXELS)


def _apoptotic(rng: np.random.Generator) -> _Patch:
    """A heap of bright, round fragments of different size."""
    spread = rng.uniform(5.0, 9.5)
    y, x = _grid(spread + 6)
    light, mask = np.zeros_like(x), np.zeros(x.shape, np.bool_)
    for _ in range(rng.integers(4, 10)):
        away, around = spread * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
        radius = rng.uniform(2.0, 4.6)
        distance = np.hypot(x - away * np.cos(around), y - away * np.sin(around)) / radius
        ball = np.sqrt(np.clip(1 - distance**2, 0, None))  # a ball is thickest in the middle
        light = np.maximum(light, ball * rng.uniform(0.6, 1.2))
        mask |= distance <= 1
    return _Patch(light * rng.lognormal(0.25, 0.3), mask, (spread + 2) * _PIXELS)


def _bacterium(rng: np.random.Generator) -> _Patch:
    """A rod with round ends, slightly bent; a longer one that is about to divide has a dark middle."""
    length, radius = rng.uniform(9, 22), rng.uniform(2.7, 4.0)
    y, x = _grid(length / 2 + radius + 2)
    turn, bend = rng.uniform(0, np.pi), rng.normal(0, 0.012)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    v = v - bend * u**2
    distance = np.hypot(np.maximum(np.abs(u) - length / 2, 0), v) / radius
    light = np.sqrt(np.clip(1 - distance**2, 0, None))
    if length > 14 and rng.uniform() < 0.5:
        light *= 1 - 0.6 * np.exp(-((u / 1.4) ** 2))
    return _Patch(light * rng.lognormal(-0.35, 0.3), distance <= 1, (length / 2.6 + radius / 2) * _PIXELS)


_DRAW: dict[str, Callable[[np.random.Generator], _Patch]] = {
    "nucleus": _nucleus,
    "apoptotic": _apoptotic,
    "bacterium": _bacterium,
}


def _find_place(
    rng: np.random.Generator, patch: _Patch, size: int, placed: list[tuple[float, float, float]]
) -> tuple[int, int] | None:
    """A centre (y, x) that leaves the others room, or None where it is too crowded."""
    for _ in range(30):
        y, x = rng.integers(0, size, 2).tolist()
        if all(np.hypot(y - b, x - a) > _SPACING * (patch.radius + other) for b, a, other in placed):
            return y, x
    return None


def _add(scene: NDArray[np.float64], patch: _Patch, place: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Add the light of an object to the scene; its box there, or None (and nothing added) if too little of it is inside."""
    size, half = scene.shape[0], patch.light.shape[0] // 2
    low = [max(0, at - half) for at in place]
    high = [min(size, at + half + 1) for at in place]
    inside = tuple(slice(a - at + half, b - at + half) for a, b, at in zip(low, high, place, strict=True))
    mask = patch.mask[inside]
    if mask.sum() < _VISIBLE * patch.mask.sum():
        return None
    scene[low[0] : high[0], low[1] : high[1]] += patch.light[inside]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        int(low[1] + columns[0]),
        int(low[0] + rows[0]),
        int(low[1] + columns[-1] + 1),
        int(low[0] + rows[-1] + 1),
    )


def _photograph(rng: np.random.Generator, scene: NDArray[np.float64]) -> NDArray[np.uint8]:
    """What the camera makes of the light: blur, haze, uneven illumination, photon and read noise, 8 bits."""
    size = scene.shape[0]
    sharp = ndimage.gaussian_filter(scene, rng.uniform(1.0, 2.2))
    haze = ndimage.gaussian_filter(scene, 20, mode="nearest", truncate=3)
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    centre = rng.normal(0, 0.3, 2)
    illumination = np.exp(-rng.uniform(0.1, 0.4) * ((y - centre[0]) ** 2 + (x - centre[1]) ** 2))
    slope = rng.normal(0, 0.03, 2)
    background = rng.uniform(0.05, 0.16) + slope[0] * y + slope[1] * x
    light = np.clip((sharp + rng.uniform(0.1, 0.3) * haze + background) * illumination, 0, None)
    photons = rng.uniform(60, 200)  # at brightness 1: the fewer, the grainier
    counts = rng.poisson(light * photons) / photons + rng.normal(0, 0.012, scene.shape)
    return np.clip(counts * rng.uniform(95, 165) + 8, 0, 255).round().astype(np.uint8)


_README = """\
Example data for RetinaJ
========================
These images were drawn by a program (retinaj.example_data, seed {seed}); they show a DNA-stained cell culture as a
fluorescence microscope would, with three kinds of objects:

  nucleus     a healthy nucleus: round or oval, grainy, with darker nucleoli
  apoptotic   a dying cell: its nucleus has broken into a heap of bright pieces
  bacterium   a small rod

JPEGImages/           the images, {size} x {size} pixels, 8-bit grey PNG (the folder's name is a habit of the format)
Annotations/          for each image an XML file of the same name with the boxes, in the format PASCAL VOC
ImageSets/Main/       train.txt, val.txt and test.txt: which image is for training ({train}), for choosing the best
                      epoch ({val}), and for measuring how good the model is on images it has never seen ({test})

An annotation looks like this:

  <annotation>
    <filename>culture_0001.png</filename>
    <size><width>{size}</width><height>{size}</height><depth>1</depth></size>
    <object>
      <name>nucleus</name>
      <bndbox><xmin>31</xmin><ymin>58</ymin><xmax>64</xmax><ymax>97</ymax></bndbox>
    </object>
  </annotation>

xmin and xmax are the first and the last column of pixels that the object covers, ymin and ymax its first and last row,
counted from 1 at the top left. Programs such as LabelImg or CVAT write these files while you draw the boxes. An image
without any object has an XML file without any <object>; an image without an XML file is not used.

Train on them with

  retinaj train JPEGImages Annotations --names ImageSets/Main/train.txt --validation ImageSets/Main/val.txt --output MODEL
"""
