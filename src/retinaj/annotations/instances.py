"""The objects in a label image: where each is, and whether objects touch or fall apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

# Parts are counted in the box of each object. Objects whose boxes cover the image this often over are interwoven, as in no
# real label image, and counting would take for ever.
_MAX_COVER = 50
_TABLE = 2**24  # up to this value, a table of all values
_AT_ONCE = 2**22  # pixels
# What `describe` says, to be added up.
DESCRIBED = re.compile(
    r"of its ([\d,]+) objects (?=\d)(?:([\d,]+) touch another)?(?:, )?"
    r"(?:([\d,]+) ha(?:s|ve) several parts and one box around them)?$"
)
_NEIGHBOURS = np.ones((3, 3), np.bool_)


@dataclass(frozen=True)
class Instances:
    """What a label image has.

    Attributes:
        values: [N], the value of each object, ascending.
        xyxy: float32 [N, 4], the smallest box around each, in pixels, half open.
        parts: [N], of how many separate pieces each consists (diagonal neighbours belong together); 0 if it was not counted.
        touching: how many have a pixel beside one of another object.
        uniform: the share of neighbouring object pixels (in a row) that have the same value; 1 if there are none. It is high in
            a label image, however crowded, and low in a photograph.
    """

    values: NDArray[Any]
    xyxy: NDArray[np.float32]
    parts: NDArray[np.int64]
    touching: int
    uniform: float

    def __len__(self) -> int:
        return len(self.values)

    @property
    def are_labels(self) -> bool:
        """Whether the image can be one of labels: values lie together, as they do not in a photograph."""
        return len(self) == 0 or self.uniform >= 0.8 or bool((self.parts == 1).mean() > 0.5)

    @property
    def are_surely_labels(self) -> bool:
        """Whether the image can hardly be anything but one of labels."""
        return len(self) >= 2 and self.uniform >= 0.8 and bool((self.parts == 1).mean() > 0.5)

    def note(self) -> str | None:
        """One sentence for people, if objects touch or have several parts."""
        return describe(len(self), self.touching, int((self.parts > 1).sum()))


def describe(count: int, touching: int, divided: int) -> str | None:
    """One sentence for people about objects that touch or have several parts; None if there are none.

    >>> describe(24, 5, 1)
    'of its 24 objects 5 touch another, 1 has several parts and one box around them'
    """
    said: list[str] = []
    if touching:
        said.append(f"{touching:,} touch another")
    if divided:
        said.append(f"{divided:,} {'has' if divided == 1 else 'have'} several parts and one box around them")
    return f"of its {count:,} objects {', '.join(said)}" if said else None


def describe_together(notes: Sequence[str]) -> str:
    """One sentence for many that end with what `describe` says.

    >>> describe_together([f"{name}: {describe(24, 5, 1)}" for name in ("RBC", "WBC")])
    'of their 48 objects 10 touch another, 2 have several parts and one box around them'
    """
    found = (DESCRIBED.search(note) for note in notes)
    numbers = [[int((text or "0").replace(",", "")) for text in each.groups()] for each in found if each is not None]
    count, touching, divided = (sum(column) for column in zip(*numbers, strict=True))
    return (describe(count, touching, divided) or "").replace("its", "their", 1)


def find_instances(image: NDArray[Any]) -> Instances:
    """The objects of a label image.

    Args:
        image: integers [height, width]; 0 is background, every other value one object.

    >>> found = find_instances(np.array([[7, 7, 0, 3], [0, 7, 0, 3], [0, 0, 0, 3]]))
    >>> found.values.tolist(), found.xyxy.tolist(), found.parts.tolist(), found.touching
    ([3, 7], [[3.0, 0.0, 4.0, 3.0], [0.0, 0.0, 2.0, 2.0]], [1, 1], 0)
    """
    from scipy import ndimage  # here: all commands import this file, and SciPy takes its time

    values, labels = _renumbered(image)
    # Every number from 1 occurs, so that none of these is None.
    places: Sequence[tuple[slice, slice]] = ndimage.find_objects(labels)
    boxes = np.array([(x.start, y.start, x.stop, y.stop) for y, x in places], np.float32).reshape(-1, 4)
    area = float(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).astype(np.float64).sum())
    parts = np.zeros(len(places), np.int64)
    if area <= _MAX_COVER * labels.size:
        for at, place in enumerate(places):
            parts[at] = count_parts(labels[place] == at + 1)
    left, right = labels[:, :-1], labels[:, 1:]
    beside = (left > 0) & (right > 0)
    uniform = float((left[beside] == right[beside]).mean()) if beside.any() else 1.0
    return Instances(values, boxes, parts, _count_touching(labels, len(places)), uniform)


def count_parts(mask: NDArray[np.bool_]) -> int:
    """Of how many separate pieces a mask [height, width] consists; diagonal neighbours belong together.

    >>> count_parts(np.array([[True, False, False], [False, True, False], [False, False, False], [True, False, False]]))
    2
    """
    from scipy import ndimage

    _, count = cast("tuple[NDArray[np.int32], int]", ndimage.label(mask, _NEIGHBOURS))
    return count


def grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask [height, width] with all pixels beside it.

    >>> grown(np.array([[True, False, False]])).tolist()
    [[True, True, False]]
    """
    from scipy import ndimage

    return cast("NDArray[np.bool_]", ndimage.binary_dilation(mask, _NEIGHBOURS))


def _renumbered(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The values of the objects, ascending, and the image with 1, 2, ... for them: lists as long as the values could not be.

    Some rows at a time, because NumPy makes large copies on the way.
    """
    rows = range(0, image.shape[0], max(1, _AT_ONCE // image.shape[1]))
    blocks = [slice(start, start + rows.step) for start in rows]
    labels = np.empty(image.shape, np.int32)
    highest = int(image.max())
    if highest < _TABLE:  # much faster than sorting
        present = np.zeros(highest + 1, np.bool_)
        for block in blocks:
            present[image[block]] = True
        present[0] = False
        number = np.cumsum(present, dtype=np.int32)
        number[~present] = 0
        for block in blocks:
            labels[block] = number[image[block]]
        return np.flatnonzero(present), labels
    values = np.unique(np.concatenate([np.unique(image[block]) for block in blocks]))
    values = values[values != 0]
    for block in blocks:
        labels[block] = np.where(image[block] == 0, 0, np.searchsorted(values, image[block]) + 1)
    return values, labels


def _count_touching(labels: NDArray[np.int32], count: int) -> int:
    touching = np.zeros(count + 1, np.bool_)
    for one, other in (
        (labels[:, 1:], labels[:, :-1]),
        (labels[1:], labels[:-1]),
        (labels[1:, 1:], labels[:-1, :-1]),
        (labels[1:, :-1], labels[:-1, 1:]),
    ):
        meet = (one != other) & (one > 0) & (other > 0)
        touching[one[meet]] = True
        touching[other[meet]] = True
    return int(touching.sum())
