"""The image that goes into a package: users see it as the example, and every consumer tests its results on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj.model_folder import TRAINING_FOLDER
from retinaj.prediction.detector import DEFAULT_THRESHOLD, Detector

# What consumers may differ by from the test output: |difference| <= ABSOLUTE + RELATIVE * |expected|. On processors the
# frameworks round alike to 0.002 pixels and 5e-6 of a score (measured on blood cells); GPUs that shorten mantissas do worse.
# These bounds allow 1e-3 at a score of 1, and half a pixel at a coordinate of 1000: nobody would see it.
ABSOLUTE_TOLERANCE = RELATIVE_TOLERANCE = 5e-4

SAMPLE_NOTE = "sample.json"
_LARGEST_NOTE = 65536

# An image of this side is tested in seconds; of larger ones, a window is taken.
_MAX_SIDE = 640
_WINDOW_SIDES = (512, 384, 256, 192, 128)
_SMALL_WINDOW_SIDES = (96, 64)
_WINDOWS_PER_SIDE = 2
_FLIPS = (np.s_[:, ::-1], np.s_[::-1], np.s_[::-1, ::-1])
_WANTED_BOXES = 5
# Standard deviations of the noise, in normalised pixels (some -2..2), under which an example's detections must stay the same.
# The first is about what rounding to 10 bits, as TF32 does, makes of a pixel; the last is the least that will do, and still
# well above the rounding of float32.
_NOISE = (1e-3, 1e-4, 1e-5)
_WANTED_NOISE = 1e-4


@dataclass(frozen=True)
class ExampleImage:
    """An image whose detections come out the same on every framework.

    Attributes:
        pixels: [y, x, channel], as in the file.
        detections: float32 [1, K, 6], what the graph answers.
        boxes: the same as `Boxes`, from the default threshold on; all of them if none reaches it.
        source: where the image came from, for the log.
    """

    pixels: NDArray[np.generic]
    detections: NDArray[np.float32]
    boxes: Boxes
    source: str


def find_image(model_folder: Path, image: Path | None) -> tuple[xr.DataArray, str]:
    """The image that a package shall show.

    Args:
        model_folder: training leaves one validation image in its folder training/ as sample.*, described by sample.json.
        image: another one, which is taken instead.

    Returns:
        The image, and its origin for the log.

    Raises:
        RetinaJError: if neither is there, or it cannot be read.
    """
    if image is not None:
        return read_image(image), str(image)
    folder = model_folder / TRAINING_FOLDER
    try:
        with (folder / SAMPLE_NOTE).open("rb") as stream:
            note = json.loads(stream.read(_LARGEST_NOTE))
        name, source = str(note["file"]), str(note["source"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RetinaJError(
            f"{model_folder} holds no sample image, which the package needs as its example and test: give one with --image."
        ) from error
    # A model folder can come from anyone: it must not make its next user publish some other file of theirs.
    if Path(name).name != name or (folder / name).is_symlink():
        raise RetinaJError(f"{folder / SAMPLE_NOTE} names the file {name!r}; expected an image beside it.")
    shown = "".join(filter(str.isprintable, source))[:200]
    return read_image(folder / name), f"{shown} (validation image, from {folder / name})"


def choose_example(image: xr.DataArray, source: str, detector: Detector) -> ExampleImage:
    """The part of `image` that the package shows and is tested on.

    It is the whole image (of a stack, the plane with the most boxes) or a window of it, perhaps mirrored, so chosen that it
    has boxes and that their order does not depend on the last digits: scores that nearly tie may swap rows between
    frameworks, and a box at the edge of NMS may come or go.

    Args:
        image: as `read_image` gives it.
        source: where it came from.
        detector: of the model.

    Raises:
        RetinaJError: if the model finds nothing on the image, or nothing that is stable.
    """
    found = detector.detect(image, threshold=detector.score_floor)
    if not len(found):
        raise RetinaJError(
            f"The model finds nothing on {source}, not even at the threshold {detector.score_floor:g}. Give an image with "
            "objects as --image, or train longer."
        )
    plane, found = _busiest_plane(image, found)
    pixels = detector.pixels(plane)
    windows, small = (list(_windows(pixels, found, sides)) for sides in (_WINDOW_SIDES, _SMALL_WINDOW_SIDES))
    # Only if nothing else is stable: small windows, then mirror images, as good an example, with other last digits.
    mirrored = [window[flip] for flip in _FLIPS for window in (*windows, *small)]
    for parts in (windows, small, mirrored):
        best = _most_stable(parts, source, detector)
        if best is not None:
            return best
    raise RetinaJError(
        f"On {source} the model gives scores so close to each other that no two programs would rank them alike, so that "
        "it cannot serve as the test of the package. Give another image as --image, or train longer."
    )


def _most_stable(parts: list[NDArray[np.generic]], source: str, detector: Detector) -> ExampleImage | None:
    """The part whose detections bear most noise, and of equals the one with more boxes, as far as that matters."""
    best: tuple[tuple[float, int], ExampleImage] | None = None
    for part in parts:
        noise, example = _example(part, source, detector)
        rank = (min(noise, _WANTED_NOISE), min(len(example.boxes), _WANTED_BOXES))
        if noise and (best is None or rank > best[0]):
            best = rank, example
        if rank == (_WANTED_NOISE, _WANTED_BOXES):
            break
    return None if best is None else best[1]


def _busiest_plane(image: xr.DataArray, found: Boxes) -> tuple[xr.DataArray, Boxes]:
    if found.plane is None:
        return image, found
    planes, counts = np.unique(found.plane, axis=0, return_counts=True)
    t, _, z = best = planes[counts.argmax()]
    plane = image.isel({axis: int(at) for axis, at in (("t", t), ("z", z)) if axis in image.dims})
    return plane, found.select((found.plane == best).all(axis=1))


def _windows(pixels: NDArray[np.generic], found: Boxes, sides: tuple[int, ...]) -> Iterator[NDArray[np.generic]]:
    """Windows of these sides, of each those with the most boxes; first the whole image, unless it is large."""
    height, width = pixels.shape[:2]
    if sides is _WINDOW_SIDES and max(height, width) <= _MAX_SIDE:
        yield pixels
    centre = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2
    for side in sides:
        if side >= max(height, width):
            continue
        windows = [
            (int(((centre >= (x, y)) & (centre < (x + side, y + side))).all(axis=1).sum()), int(y), int(x))
            for y in np.unique(np.linspace(0, max(height - side, 0), 4, dtype=int))
            for x in np.unique(np.linspace(0, max(width - side, 0), 4, dtype=int))
        ]
        for count, y, x in sorted(windows, reverse=True)[:_WINDOWS_PER_SIDE]:
            if count:
                yield pixels[y : y + side, x : x + side]


def _example(pixels: NDArray[np.generic], source: str, detector: Detector) -> tuple[float, ExampleImage]:
    """The example that `pixels` make, and the highest noise that leaves its detections within the tolerance, or 0."""
    pixels = np.ascontiguousarray(pixels)
    clean = detector.normalization(pixels)
    random = np.random.default_rng(0)
    noisy = [clean + random.normal(0, noise, clean.shape).astype(np.float32) for noise in _NOISE]
    # One after the other: four at a time would take four times the memory, and foreign graphs take only one.
    answers = np.concatenate([detector.runtime(image[None], detector.overlap) for image in (clean, *noisy)])
    expected = answers[:1]
    stable = [_is_stable(expected[0], answer) for answer in answers[1:]]
    boxes = detection_boxes(expected[0], detector.class_names)
    confident = boxes.select(boxes.score >= DEFAULT_THRESHOLD) if boxes.score is not None else boxes
    example = ExampleImage(pixels, expected, confident if len(confident) else boxes, source)
    noise = max((level for level, is_stable in zip(_NOISE, stable, strict=True) if is_stable), default=0.0)
    return noise if len(boxes) else 0.0, example


def _is_stable(expected: NDArray[np.float32], noisy: NDArray[np.float32]) -> bool:
    """Whether two answers [K, 6] are the same rows, and no two scores so close that as much noise again could swap them."""
    # A row's own numbers move a little with the noise; rows that swap or vanish move by whole pixels.
    limit = 10 * (ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * np.abs(expected))
    moved = np.abs(noisy - expected)
    gaps = -np.diff(expected[expected[:, 4] > 0, 4])
    return bool((moved <= limit).all()) and not (gaps <= 2 * moved[:, 4].max()).any()


def detection_boxes(detections: NDArray[np.float32], class_names: tuple[str, ...]) -> Boxes:
    """The rows [K, 6] of one image as `Boxes`, padding left out."""
    rows = detections[detections[:, 4] > 0]
    return Boxes(rows[:, :4], rows[:, 5].astype(np.int32) - 1, class_names, rows[:, 4])
