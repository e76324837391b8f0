"""The axes of images: their letters, their order, and a user's word on which is which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from retinaj.errors import RetinaJError

# Time, channel, slice, row, column: the order in which every image of RetinaJ has those that it has.
AXES = "tczyx"


def in_order(axes: Sequence[str]) -> list[str]:
    """The axes that images of RetinaJ have, of those given, in their order.

    >>> in_order(["z", "s", "y", "c", "x"])
    ['c', 'z', 'y', 'x']
    """
    return [axis for axis in AXES if axis in axes]


def rename_axes(path: Path, stored: Sequence[tuple[str, int]], wanted: str) -> list[str]:
    """What a user calls the axes of an array, in place of what its file says or leaves open.

    Args:
        path: the file, for the error.
        stored: the name and the length of each axis, in the order of the file.
        wanted: one letter of t, c, z, y, x for each axis longer than 1, in the same order; or one for every axis.

    Returns:
        A name for each axis; those of length 1 that `wanted` leaves out get names that occur nowhere else.

    Raises:
        RetinaJError: if the letters are others, or not as many as the axes.

    >>> rename_axes(Path("a.tif"), [("q", 5), ("c", 1), ("y", 40), ("x", 30)], "TYX")
    ['t', 'unnamed1', 'y', 'x']
    """
    letters = wanted.strip().lower()
    long = [at for at, (_, length) in enumerate(stored) if length != 1]
    places = long if len(letters) == len(long) else list(range(len(stored)))
    if len(letters) != len(places) or len(set(letters)) != len(letters) or not {"y", "x"} <= set(letters) <= set(AXES):
        lengths = ", ".join(f"{name.upper()} = {length}" for name, length in stored if length != 1) or "none"
        raise RetinaJError(
            f"axes is {wanted!r}, but the axes of {path} that are longer than 1 are, in the file's order: {lengths}. Expected "
            f"one letter of t, c, z, y, x for each, with y and x among them, such as {_example(len(long))!r}."
        )
    names = [f"unnamed{at}" for at in range(len(stored))]
    for place, letter in zip(places, letters, strict=True):
        names[place] = letter
    return names


def _example(count: int) -> str:
    return {3: "tyx", 4: "tcyx", 5: AXES}.get(count, "yx")
