"""Collecting the objects of one image while its file is read: what cannot be read is kept as a fault beside the rest."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from retinaj.annotations.annotation import NO_DETAILS, Annotation, ObjectDetails
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError

MAX_FAULTS = 1000  # in one file; with more it is not of this format, or damaged as a whole
MAX_PIXELS = 1e9  # no image is as large, and float32 still tells pixels 64 apart


class ObjectCollector:
    """The objects of one image, in arrays, so that a million of them need little memory."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.faults: list[str] = []
        self.notes: list[str] = []
        self.planes = array("i")  # t, c, z of each object, or of none: for the reader's own use
        self._corners = array("d")
        self._scores = array("f")
        self._label = array("i")
        self._names: dict[str, int] = {}
        self._details: list[ObjectDetails] = []
        self._places: list[str] = []

    def __len__(self) -> int:
        return len(self._label)

    @property
    def names(self) -> list[str]:
        """The classes found so far, in the order of their first objects."""
        return list(self._names)

    def add(
        self,
        place: str,
        name: str,
        corners: Sequence[float],
        *,
        score: float | None = None,
        details: ObjectDetails = NO_DETAILS,
    ) -> None:
        """Add one object: (x_min, y_min, x_max, y_max), in pixels or, until `annotation`, in shares of the image."""
        self._corners.extend(corners)
        self._label.append(self._names.setdefault(name, len(self._names)))
        if score is not None:
            self._scores.append(score)
        self._details.append(details)
        self._places.append(place)

    def fault(self, text: str) -> None:
        """Keep one sentence, beginning with the place, about an object that could not be read.

        Raises:
            RetinaJError: if there are more than MAX_FAULTS.
        """
        self.faults.append(text)
        if len(self.faults) > MAX_FAULTS:
            raise RetinaJError(
                f"{self.source} has more than {MAX_FAULTS:,} objects that cannot be read, the first: {self.faults[0]} "
                "Is it of another format? Say which with --format."
            )

    def forget(self, why: str) -> None:
        """Give up all objects, for one reason that goes to the faults."""
        self.fault(f"{self._places[0]} and all others: {why}" if len(self) > 1 else f"{self._places[0]}: {why}")
        for values in (self.planes, self._corners, self._scores, self._label, self._details, self._places):
            del values[:]
        self._names.clear()

    def annotation(
        self,
        image_name: str,
        class_names: Sequence[str] | None = None,
        *,
        stem: str | None = None,
        size: tuple[int, int] | None = None,
        in_shares: bool = False,
    ) -> Annotation:
        """All that was collected.

        Args:
            image_name: the image's file name, or "".
            class_names: the order of the classes; default: those found, sorted.
            stem: where one file annotates one image, that image's stem.
            size: (width, height) of the image in pixels.
            in_shares: whether the corners are in shares of that size.
        """
        chosen = tuple(sorted(self._names)) if class_names is None else tuple(class_names)
        index = {name: label for label, name in enumerate(chosen)}
        label = np.array([index[name] for name in self._names], np.int32)
        corners = np.frombuffer(self._corners, np.float64).reshape(-1, 4)
        if in_shares and size is not None:
            # Shares lose the last digits: rounded, a box at the border is not 1e-10 pixels outside.
            corners = np.round(corners * (*size, *size), 6) + 0.0
        scored = 0 < len(self._scores) == len(self)
        if self._scores and not scored:
            self.notes.append(f"only {len(self._scores):,} of its {len(self):,} objects have a score: scores are left out")
        return Annotation(
            source=self.source,
            image_name=image_name,
            boxes=Boxes(
                corners.astype(np.float32),
                label[np.frombuffer(self._label, np.int32)] if len(self) else np.zeros(0, np.int32),
                chosen,
                np.array(self._scores, np.float32) if scored else None,
            ),
            size=size,
            notes=tuple(self.notes),
            stem=stem,
            details=tuple(self._details) if any(each is not NO_DETAILS for each in self._details) else (),
            places=tuple(self._places),
            faults=tuple(self.faults),
        )


def number(text: str, what: str, *, limit: float = MAX_PIXELS) -> float:
    """The number that a text is.

    Args:
        text: as in the file.
        what: the place and what stands there, to begin the error with.
        limit: what its absolute value must stay below.

    Raises:
        RetinaJError: if it is no number, not finite or beyond the limit.

    >>> number("12.5", "line 1: left")
    12.5
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < limit:
        raise RetinaJError(f"{what} is {text[:40]!r}; expected a number.")
    return value


def share(text: str, what: str) -> float:
    """A score or degree, from 0 to 1.

    Raises:
        RetinaJError: if it is something else.
    """
    value = number(text, what)
    if not 0 <= value <= 1:
        raise RetinaJError(f"{what} is {text[:40]!r}; expected a number from 0 to 1.")
    return value
