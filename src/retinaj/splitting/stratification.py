"""Dealing units (images, or groups of them) to parts by chance, so that every part gets its share of each class.

The method is iterative stratification: Sechidis, Tsoumakas, Vlahavas 2011, "On the Stratification of Multi-Label Data",
ECML PKDD, with three changes for images with objects. A unit counts for a class with the number of its objects. A part takes
units only up to its number of images. And the part that lacks the largest share of what it should have of a class comes
first, not the one that lacks most objects: so a class in three images reaches all of three parts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

# The most even one of several deals is taken; fewer are tried with many units, where each is even anyway.
_MOST_DEALS = 50
_DEALT_UNITS = 20_000


@dataclass(frozen=True)
class Unit:
    """Images that stay together.

    Attributes:
        key: different for each unit; with the seed it decides about chance.
        images: how many they are, at least one.
        counts: for each label, how often it is there; labels are classes, or other things to share out evenly.
    """

    key: str
    images: int
    counts: tuple[int, ...]


def stratify(units: Sequence[Unit], quotas: Sequence[int], seed: int) -> list[int]:
    """Deal units to parts.

    The same units, quotas and seed give the same parts on every machine, in every version of Python and NumPy, and whatever
    the order of the units: chance is a hash, and the arithmetic is Python's own.

    Args:
        units: all with as many counts.
        quotas: how many images each part should get, all above 0; together as many as there are.
        seed: any whole number.

    Returns:
        For each unit the index of its part. Units larger than one image may exceed a part's quota, or leave it empty.

    >>> cells = [Unit(f"image {at}", 1, (1, int(at < 3))) for at in range(10)]
    >>> parts = stratify(cells, (6, 2, 2), seed=0)
    >>> [parts.count(part) for part in range(3)], sorted(parts[:3])
    ([6, 2, 2], [0, 1, 2])
    """
    deals = max(1, min(_MOST_DEALS, _DEALT_UNITS // max(len(units), 1)))
    tried = (_deal(units, _shuffled(units, quotas, f"{seed}/{at}"), quotas) for at in range(deals))
    return min(tried, key=lambda parts: _unevenness(units, parts, quotas))  # the first of equals


def _shuffled(units: Sequence[Unit], quotas: Sequence[int], salt: str) -> list[int]:
    """The order of dealing: by chance, but units that do not fit into every part first, while there is room for them."""
    smallest = min(quotas)
    return sorted(
        range(len(units)),
        key=lambda at: (units[at].images <= smallest, _hash(f"{salt}/{units[at].key}")),
    )


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _deal(units: Sequence[Unit], order: Sequence[int], quotas: Sequence[int]) -> list[int]:
    images = sum(quotas)
    wanted = [[quota / images * total for total in _totals(units)] for quota in quotas]
    missing = [list(each) for each in wanted]
    room = list(quotas)
    labels = range(len(units[0].counts)) if units else range(0)
    holders = [[at for at in order if units[at].counts[label]] for label in labels]
    waiting = [len(each) for each in holders]
    part_of = [-1] * len(units)

    def put(at: int, label: int | None) -> None:
        unit = units[at]
        part = _neediest(unit, label, missing, wanted, room, quotas)
        part_of[at] = part
        room[part] -= unit.images
        for each, count in enumerate(unit.counts):
            if count:
                missing[part][each] -= count
                waiting[each] -= 1

    while any(waiting):
        rarest = min((label for label in labels if waiting[label]), key=lambda label: (waiting[label], label))
        for at in holders[rarest]:
            if part_of[at] < 0:
                put(at, rarest)
    for at in order:
        if part_of[at] < 0:
            put(at, None)
    return part_of


def _neediest(
    unit: Unit,
    label: int | None,
    missing: Sequence[Sequence[float]],
    wanted: Sequence[Sequence[float]],
    room: Sequence[int],
    quotas: Sequence[int],
) -> int:
    """The part that the unit goes to: of those with room for it, the one that lacks most of the label."""
    parts = range(len(quotas))
    fitting = [part for part in parts if unit.images <= room[part]]
    if not fitting:
        return max(parts, key=lambda part: (room[part], -part))

    def need(part: int) -> tuple[float, float, float, int]:
        lacks = (0.0, 0.0) if label is None else (missing[part][label] / wanted[part][label], missing[part][label])
        return *lacks, room[part] / quotas[part], -part

    return max(fitting, key=need)


def _unevenness(units: Sequence[Unit], parts: Sequence[int], quotas: Sequence[int]) -> float:
    """How far the parts are from their shares, in images and in each label; a part without a label counts much."""
    images = sum(quotas)
    got = [[0] * len(units[0].counts) for _ in quotas]
    size = [0] * len(quotas)
    for unit, part in zip(units, parts, strict=True):
        size[part] += unit.images
        for label, count in enumerate(unit.counts):
            got[part][label] += count
    faults = [abs(have - quota) / images for have, quota in zip(size, quotas, strict=True)]
    faults += [10.0 for have in size if not have]
    for label, total in enumerate(_totals(units)):
        holders = sum(unit.counts[label] > 0 for unit in units)
        for part, quota in enumerate(quotas):
            if total:
                faults.append(abs(got[part][label] / total - quota / images))
            if not got[part][label] and (holders >= len(quotas) or (holders and part == 0)):
                faults.append(1.0)
    # Not sum(), which rounds otherwise since Python 3.12.
    return math.fsum(faults)


def _totals(units: Sequence[Unit]) -> list[int]:
    return [sum(column) for column in zip(*(unit.counts for unit in units), strict=True)]
