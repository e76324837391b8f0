"""Percentiles of an image that is read in parts: of all its pixels, not of a part."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

# A float32 in two halves of 16 bits, each a table of 65,536 counts.
_HALF = 16
_COUNTS = 2**_HALF
_SIGN = np.uint32(2**31)


def percentiles_of_blocks(blocks: Callable[[], Iterable[NDArray[np.generic]]], shares: Sequence[float]) -> NDArray[np.float32]:
    """Percentiles of all pixels of an image that is read block by block: exact, in bounded memory.

    As `numpy.nanpercentile` finds them for the pixels as float32, but for its rounding. Floating-point numbers are in the
    order of their bits: one pass over the image counts numbers by the upper half of their bits, and a second one those around
    each percentile by the lower half.

    Args:
        blocks: gives all pixels, [y, x, channel] at a time; called twice.
        shares: in percent, 0 to 100.

    Returns:
        float32 [len(shares), channel]; NaN for a channel without a number.

    >>> pixels = np.arange(101, dtype=np.uint8).reshape(101, 1, 1)
    >>> percentiles_of_blocks(lambda: [pixels[:30], pixels[30:]], (1.0, 99.5)).ravel().tolist()
    [1.0, 99.5]
    """
    channels: list[_Channel] = []
    for block in blocks():
        channels = channels or [_Channel(shares) for _ in range(block.shape[-1])]
        for at, channel in enumerate(channels):
            channel.count_upper(_ordered(block[..., at]))
    for channel in channels:
        channel.choose()
    for block in blocks():
        for at, channel in enumerate(channels):
            channel.count_lower(_ordered(block[..., at]))
    return np.array([channel.percentiles() for channel in channels], np.float32).reshape(-1, len(shares)).T


class _Channel:
    """Counts of the numbers of one channel."""

    def __init__(self, shares: Sequence[float]) -> None:
        self._shares = shares
        self._upper = np.zeros(_COUNTS, np.int64)
        self._edges, self._total = self._upper, 0
        self._lower: dict[int, NDArray[np.int64]] = {}

    def count_upper(self, keys: NDArray[np.uint32]) -> None:
        self._upper += np.bincount(keys >> np.uint32(_HALF), minlength=_COUNTS)

    def choose(self) -> None:
        """Which numbers the second pass counts: those with the same upper half as a neighbour of a percentile."""
        self._edges = self._upper.cumsum()
        self._total = int(self._edges[-1])
        if self._total:
            ranks = {rank for place in self._places() for rank in (math.floor(place), math.ceil(place))}
            self._lower = {self._head(rank): np.zeros(_COUNTS, np.int64) for rank in ranks}

    def count_lower(self, keys: NDArray[np.uint32]) -> None:
        heads = keys >> np.uint32(_HALF)
        for head, counts in self._lower.items():
            counts += np.bincount(keys[heads == head] & np.uint32(_COUNTS - 1), minlength=_COUNTS)

    def percentiles(self) -> list[float]:
        if not self._total:
            return [math.nan] * len(self._shares)
        found: list[float] = []
        for place in self._places():
            low, high = self._number(math.floor(place)), self._number(math.ceil(place))
            found.append(low if low == high else low + (high - low) * (place - math.floor(place)))
        return found

    def _places(self) -> list[float]:
        return [share / 100 * (self._total - 1) for share in self._shares]

    def _head(self, rank: int) -> int:
        return int(np.searchsorted(self._edges, rank, side="right"))

    def _number(self, rank: int) -> float:
        """The number of this rank, from 0."""
        head = self._head(rank)
        before = int(self._edges[head] - self._upper[head])
        tail = int(np.searchsorted(self._lower[head].cumsum(), rank - before, side="right"))
        return _number_of(head << _HALF | tail)


def _ordered(values: NDArray[np.generic]) -> NDArray[np.uint32]:
    """The numbers among `values`, as float32, as integers that are in the same order, uint32 [N]; NaN is left out."""
    numbers = values.astype(np.float32).ravel() + np.float32(0)  # -0 becomes 0
    bits = numbers[~np.isnan(numbers)].view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _number_of(key: int) -> float:
    """What `_ordered` made an integer of.

    >>> _number_of(int(_ordered(np.array([-1.5]))[0]))
    -1.5
    """
    bits = key ^ int(_SIGN) if key & int(_SIGN) else ~key & (2**32 - 1)
    return float(np.array(bits, np.uint32).view(np.float32))
