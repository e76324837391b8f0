"""The box around a COCO segmentation: polygons, or a mask in run lengths, which is never unpacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

Corners = tuple[float, float, float, float]

MAX_PIXELS = 1e9  # of a coordinate or a side; also keeps sums of run lengths inside 64 bits
_MAX_DIGITS = 7  # of five bits each, of one compressed run length: 2**34 is past any mask of sides below MAX_PIXELS


def is_pixels(value: object) -> TypeGuard[float]:
    """Whether a value out of JSON is a number that can be a coordinate.

    >>> is_pixels(1.5), is_pixels(float("nan")), is_pixels(True), is_pixels("1"), is_pixels(1e300)
    (True, False, False, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and -MAX_PIXELS < value < MAX_PIXELS


def segmentation_corners(segmentation: Any) -> Corners:
    """The smallest box around a segmentation as JSON gives it.

    Args:
        segmentation: a list of polygons [[x1, y1, x2, y2, ...], ...], or a mask {"size": [height, width], "counts": ...} with
            its run lengths, along the columns, as a list of numbers or compressed to text as COCO does.

    Returns:
        (x_min, y_min, x_max, y_max) in pixels, half open.

    Raises:
        ValueError: if it is neither, empty or contradicts itself; the message goes into a sentence.

    >>> segmentation_corners([[1, 2, 5, 2, 5, 8.5], [0, 3, 1, 3, 1, 4]])
    (0.0, 2.0, 5.0, 8.5)
    >>> segmentation_corners({"size": [4, 3], "counts": [5, 2, 5]})
    (1.0, 1.0, 2.0, 3.0)
    """
    if isinstance(segmentation, Mapping):
        return _mask_corners(segmentation)
    if isinstance(segmentation, Sequence) and not isinstance(segmentation, str) and segmentation:
        return _polygon_corners(segmentation)
    raise ValueError("no polygon and no mask")


def _polygon_corners(polygons: Sequence[Any]) -> Corners:
    if not isinstance(polygons[0], Sequence):
        polygons = [polygons]  # one polygon without the list around it, as some tools write
    found: list[Corners] = []
    for polygon in polygons:
        if not isinstance(polygon, Sequence) or len(polygon) < 2 or len(polygon) % 2 or not all(map(is_pixels, polygon)):
            raise ValueError("a polygon that is no list of x, y, x, y, ...")
        x, y = polygon[0::2], polygon[1::2]
        found.append((float(min(x)), float(min(y)), float(max(x)), float(max(y))))
    low, high = np.min(found, axis=0).tolist(), np.max(found, axis=0).tolist()
    return low[0], low[1], high[2], high[3]


def _mask_corners(mask: Mapping[str, Any]) -> Corners:
    size, counts = mask.get("size"), mask.get("counts")
    if not (isinstance(size, Sequence) and len(size) == 2 and all(is_pixels(side) and side >= 1 for side in size)):
        raise ValueError("a mask whose size is not [height, width]")
    height, width = int(size[0]), int(size[1])
    if isinstance(counts, str):
        runs = _decompress(counts)
    elif isinstance(counts, Sequence) and all(isinstance(count, int) and 0 <= count <= height * width for count in counts):
        runs = np.array(counts, np.int64)
    else:
        raise ValueError("a mask whose counts are no run lengths")
    # in floating point first: sums of absurd run lengths would wrap round
    absurd = not len(runs) or runs.min() < 0 or runs.sum(dtype=np.float64) > 2 * MAX_PIXELS**2
    if absurd or int(runs.sum()) != height * width:
        raise ValueError(f"a mask whose run lengths do not add up to its {width} x {height} pixels")
    ends = np.cumsum(runs)
    starts = ends - runs
    inside = np.zeros(len(runs), np.bool_)
    inside[1::2] = True  # they begin with pixels outside
    inside &= runs > 0
    if not inside.any():
        raise ValueError("a mask without a pixel")
    first, last = starts[inside], ends[inside] - 1
    top, bottom = first % height, last % height
    whole = first // height != last // height  # a run that goes on in the next column has this one's end and that one's start
    return (
        float(first.min() // height),
        float(np.where(whole, 0, top).min()),
        float(last.max() // height + 1),
        float(np.where(whole, height - 1, bottom).max() + 1),
    )


def _decompress(text: str) -> NDArray[np.int64]:
    """COCO's text of run lengths: digits of five bits from chr(48), lowest first; from the fourth number on, differences."""
    if not text or not text.isascii():
        raise ValueError("a mask whose counts are not COCO's compressed text")
    digits = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((digits & 0x20) == 0)
    if digits.min() < 0 or digits.max() > 0x3F or not len(ends) or ends[-1] != len(digits) - 1:
        raise ValueError("a mask whose counts are not COCO's compressed text")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _MAX_DIGITS:
        raise ValueError("a mask with an absurd run length")
    place = np.arange(len(digits)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((digits & 0x1F) << (5 * place), starts)
    negative = (digits[ends] & 0x10) != 0
    numbers[negative] -= np.int64(1) << (5 * lengths[negative])
    # run i is a difference to run i - 2 where i > 2
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
