"""The part of an image that goes into a package: users see it as the example, and every consumer tests its results on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.boxes import Boxes
from retinaj.durations import duration
from retinaj.errors import RetinaJError
from retinaj.prediction.detector import DEFAULT_THRESHOLD, Detector, limit_words

# What consumers may differ by from the test output: |difference| <= ABSOLUTE + RELATIVE * |expected|. On processors the
# frameworks round alike to 0.002 pixels and 5e-6 of a score (measured on blood cells); GPUs that shorten mantissas do worse.
# These bounds allow 1e-3 at a score of 1, and half a pixel at a coordinate of 1000: nobody would see it.
ABSOLUTE_TOLERANCE = RELATIVE_TOLERANCE = 5e-4

# The search for an example starts no other part of the image after this time.
SEARCH_SECONDS = 120.0
# Of stacks, at most this many planes, from the first to the last, are looked at for the one with the most boxes.
_MOST_PLANES = 16

# An image of this side is tested in seconds; of larger ones, a window is taken.
_MAX_SIDE = 640
_WINDOW_SIDES = (512, 384, 256, 192, 128)
_SMALL_WINDOW_SIDES = (96, 64)
_WINDOWS_PER_SIDE = 2
_FLIPS = (np.s_[:, ::-1], np.s_[::-1], np.s_[::-1, ::-1])
_WANTED_BOXES = 5
# Standard deviations of the noise, in normalised pixels (some -2..2), under which an example's detections must stay the same:
# the least that will do, still well above the rounding of float32, and what is wanted.
_NOISE = (1e-5, 1e-4)

_FOREIGN_FINDS_NOTHING = (
    "Give an image with objects as --image; if it has some, --pixel-range, --mean, --std or --outputs do not fit the detector."
)


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


def choose_example(
    image: xr.DataArray,
    source: str,
    detector: Detector,
    *,
    seconds: float = SEARCH_SECONDS,
    log: Callable[[str], None] = print,
) -> ExampleImage:
    """The part of `image` that the package shows and is tested on.

    It is the whole image (of a stack, the plane with the most boxes of up to 16) or a window of it, perhaps mirrored, so chosen
    that it has boxes and that their order does not depend on the last digits: scores that nearly tie may swap rows between
    frameworks, and a box at the edge of NMS may come or go. At most 60 parts are tried, with three runs of the model each.

    Args:
        image: as `read_image` gives it.
        source: where it came from.
        detector: of the model.
        seconds: when they are over, what is running is finished, and the best part so far is taken.
        log: told how long it may take, what was chosen, and if objects may be missing on it.

    Raises:
        RetinaJError: if the model finds nothing on the image, or nothing that is stable on the parts that were tried.
    """
    started = time.monotonic()
    log(f"Looking for the part of {source} that can be the test of the package, for about {duration(seconds)} at most …")
    looked_at = _planes_with_boxes(image, detector, started + seconds / 2)
    plane, found = max(looked_at, key=lambda plane_and_boxes: len(plane_and_boxes[1]))
    if not len(found):
        raise RetinaJError(
            f"The model finds nothing on {source}, not even at the threshold {detector.score_floor:g}. "
            + ("Give an image with objects as --image, or train longer." if detector.record else _FOREIGN_FINDS_NOTHING)
        )
    search = _Search(source, detector, started + seconds)
    example = search.best_part(detector.pixels(plane), found)
    if example is None:
        raise RetinaJError(
            f"On {source} the model gives scores so close to each other that no two programs would rank them alike. Of its "
            f"parts that were tried ({search.tried}, in {duration(time.monotonic() - started)}), none can be the test of the "
            "package. Give another image as --image, best one with a few clear objects that differ from each other, or package "
            "another model: one with random or hardly trained weights scores everything alike."
        )
    height, width = example.pixels.shape[:2]
    log(f"This image becomes part of the package: {source}; {width} x {height} pixels, {len(example.boxes)} boxes.")
    if len(example.boxes) >= detector.max_detections:
        log(f"Warning: that is {limit_words(detector)}.")
    return example


def _planes_with_boxes(image: xr.DataArray, detector: Detector, deadline: float) -> Iterator[tuple[xr.DataArray, Boxes]]:
    """Planes of the image and what the model finds on them; of a long stack, or if time is short, not all."""
    places = [(t, z) for t in range(image.sizes.get("t", 1)) for z in range(image.sizes.get("z", 1))]
    for at in np.unique(np.linspace(0, len(places) - 1, min(len(places), _MOST_PLANES), dtype=int)):
        plane = image.isel({axis: place for axis, place in zip("tz", places[at], strict=True) if axis in image.dims})
        yield plane, detector.detect(plane, threshold=detector.score_floor)
        if time.monotonic() >= deadline:
            return


@dataclass
class _Search:
    """For the part of an image that bears most noise.

    Attributes:
        source: where the image came from.
        detector: of the model.
        deadline: of time.monotonic(); after it, no other part is tried.
        tried: how many were.
    """

    source: str
    detector: Detector
    deadline: float
    tried: int = 0

    def best_part(self, pixels: NDArray[np.generic], found: Boxes) -> ExampleImage | None:
        """Of `pixels` [y, x, channel], on which the model finds `found`."""
        windows, small = (list(_windows(pixels, found, sides)) for sides in (_WINDOW_SIDES, _SMALL_WINDOW_SIDES))
        # Only if nothing else is stable: small windows, then mirror images, as good an example, with other last digits.
        mirrored = [window[flip] for flip in _FLIPS for window in (*windows, *small)]
        for parts in (windows, small, mirrored):
            best = self._most_stable(parts)
            if best is not None:
                return best
        return None

    def _most_stable(self, parts: list[NDArray[np.generic]]) -> ExampleImage | None:
        """The part whose detections bear most noise, and of equals the one with more boxes, as far as that matters."""
        best: tuple[tuple[float, int], ExampleImage] | None = None
        for part in parts:
            if self.tried and time.monotonic() >= self.deadline:
                break
            self.tried += 1
            noise, example = _example(part, self.source, self.detector)
            rank = (noise, min(len(example.boxes), _WANTED_BOXES))
            if noise and (best is None or rank > best[0]):
                best = rank, example
            if rank == (_NOISE[-1], _WANTED_BOXES):
                break
        return None if best is None else best[1]


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
    expected = detector.runtime(clean[None], detector.overlap)
    boxes = detection_boxes(expected[0], detector.class_names)
    confident = boxes.select(boxes.score >= DEFAULT_THRESHOLD) if boxes.score is not None else boxes
    example = ExampleImage(pixels, expected, confident if len(confident) else boxes, source)
    borne = 0.0
    random = np.random.default_rng(0)
    # From the least noise on: most parts that will not do fail at once.
    for noise in _NOISE if len(boxes) else ():
        noisy = clean + random.normal(0, noise, clean.shape).astype(np.float32)
        if not _is_stable(expected[0], detector.runtime(noisy[None], detector.overlap)[0]):
            break
        borne = noise
    return borne, example


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
