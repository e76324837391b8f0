"""Boxes: the one currency in which readers, the network, metrics, drawings, ROIs and packages exchange objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from retinaj.errors import RetinaJError


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of one image, as arrays.

    Coordinates are pixels; the origin is the top-left corner of the top-left pixel, and boxes are half open: a box that
    covers exactly the first pixel is (0, 0, 1, 1), so that width = x_max - x_min.

    Attributes:
        xyxy: float32 [N, 4], (x_min, y_min, x_max, y_max) in pixels.
        label: int32 [N], an index into `class_names`.
        class_names: the names of the classes, in the order of their labels.
        score: float32 [N] in 0..1, or None for ground truth.
        plane: int32 [N, 3], 0-based (t, c, z) of the plane that each box lies in, or None for a single plane.

    Raises:
        RetinaJError: on construction, if shapes disagree, a value is not finite, or a label has no class name.

    >>> boxes = Boxes(xyxy=[[0, 0, 10, 20], [5, 5, 6, 6]], label=[0, 1], class_names=("cell", "debris"))
    >>> len(boxes), boxes.width.tolist(), boxes.names
    (2, [10.0, 1.0], ['cell', 'debris'])
    >>> boxes.select(boxes.area > 50).names
    ['cell']
    """

    xyxy: NDArray[np.float32]
    label: NDArray[np.int32]
    class_names: tuple[str, ...]
    score: NDArray[np.float32] | None = None
    plane: NDArray[np.int32] | None = field(default=None)

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "xyxy", np.asarray(self.xyxy, np.float32).reshape(-1, 4))
        set_field(self, "label", np.asarray(self.label, np.int32).reshape(-1))
        set_field(self, "class_names", tuple(self.class_names))
        count = len(self.xyxy)
        if len(self.label) != count:
            raise RetinaJError(f"{count} boxes came with {len(self.label)} labels; each box needs one.")
        if not np.isfinite(self.xyxy).all():
            bad = int(np.flatnonzero(~np.isfinite(self.xyxy).all(axis=1))[0])
            raise RetinaJError(f"Box {bad} has a coordinate that is not a number: {self.xyxy[bad].tolist()}.")
        if count and not (self.label.min() >= 0 and self.label.max() < len(self.class_names)):
            raise RetinaJError(
                f"Labels run from {self.label.min()} to {self.label.max()}, "
                f"but there are {len(self.class_names)} classes: {list(self.class_names)}."
            )
        if self.score is not None:
            set_field(self, "score", np.asarray(self.score, np.float32).reshape(-1))
            if len(self.score) != count:
                raise RetinaJError(f"{count} boxes came with {len(self.score)} scores; each box needs one.")
        if self.plane is not None:
            set_field(self, "plane", np.asarray(self.plane, np.int32).reshape(-1, 3))
            if len(self.plane) != count:
                raise RetinaJError(f"{count} boxes came with {len(self.plane)} planes; each box needs one.")

    @classmethod
    def empty(cls, class_names: Sequence[str], *, scored: bool = False) -> Boxes:
        """No boxes at all, of the given classes; `scored` gives an empty score array instead of None."""
        return cls(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.int32),
            tuple(class_names),
            np.zeros(0, np.float32) if scored else None,
        )

    def __len__(self) -> int:
        return len(self.xyxy)

    @property
    def width(self) -> NDArray[np.float32]:
        """float32 [N], in pixels."""
        return self.xyxy[:, 2] - self.xyxy[:, 0]

    @property
    def height(self) -> NDArray[np.float32]:
        """float32 [N], in pixels."""
        return self.xyxy[:, 3] - self.xyxy[:, 1]

    @property
    def area(self) -> NDArray[np.float32]:
        """float32 [N], in square pixels; zero for a box whose corners are swapped."""
        return np.maximum(self.width, 0) * np.maximum(self.height, 0)

    @property
    def names(self) -> list[str]:
        """The class name of each box."""
        return [self.class_names[i] for i in self.label]

    def select(self, index: NDArray[np.bool_] | NDArray[np.integer] | Sequence[int]) -> Boxes:
        """The boxes at a boolean mask [N] or at integer positions, in that order."""
        index = np.asarray(index)
        if index.size == 0 and index.dtype != np.bool_:
            index = index.astype(np.intp)
        return replace(
            self,
            xyxy=self.xyxy[index],
            label=self.label[index],
            score=None if self.score is None else self.score[index],
            plane=None if self.plane is None else self.plane[index],
        )

    def clipped(self, width: float, height: float) -> Boxes:
        """Coordinates limited to an image of `width` x `height` pixels; no box is removed."""
        limit = np.array([width, height, width, height], np.float32)
        return replace(self, xyxy=np.clip(self.xyxy, 0, limit))

    def moved(self, x: float, y: float) -> Boxes:
        """The same boxes, shifted by (x, y) pixels.

        >>> Boxes([[0, 0, 1, 2]], [0], ("cell",)).moved(10, 20).xyxy.tolist()
        [[10.0, 20.0, 11.0, 22.0]]
        """
        return replace(self, xyxy=self.xyxy + np.array([x, y, x, y], np.float32))

    def on_plane(self, t: int, c: int, z: int) -> Boxes:
        """The same boxes, all on plane (t, c, z), 0-based."""
        return replace(self, plane=np.tile(np.array([[t, c, z]], np.int32), (len(self), 1)))

    def by_score(self) -> Boxes:
        """The same boxes, highest score first; ground truth is returned as it is."""
        return self if self.score is None else self.select(np.argsort(-self.score, kind="stable"))

    @staticmethod
    def concatenate(parts: Sequence[Boxes]) -> Boxes:
        """All boxes of `parts`, which must agree in their classes and in having scores and planes.

        Raises:
            RetinaJError: if `parts` is empty or they do not agree.
        """
        if not parts:
            raise RetinaJError("There is nothing to concatenate: give at least one Boxes.")
        first = parts[0]
        for part in parts[1:]:
            if (part.class_names, part.score is None, part.plane is None) != (
                first.class_names,
                first.score is None,
                first.plane is None,
            ):
                raise RetinaJError("Boxes of different classes, or with and without scores or planes, do not mix.")
        return replace(
            first,
            xyxy=np.concatenate([p.xyxy for p in parts]),
            label=np.concatenate([p.label for p in parts]),
            score=None if first.score is None else np.concatenate([p.score for p in parts if p.score is not None]),
            plane=None if first.plane is None else np.concatenate([p.plane for p in parts if p.plane is not None]),
        )


def iou_matrix(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of each box of `a` with each of `b`.

    Args:
        a: float [N, 4], xyxy in pixels.
        b: float [M, 4], xyxy in pixels.

    Returns:
        float32 [N, M] in 0..1; 0 where both boxes have no area.

    >>> iou_matrix(np.array([[0, 0, 2, 2]]), np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
    [[1.0, 0.333..., 0.0]]
    """
    a, b = np.asarray(a, np.float32).reshape(-1, 4), np.asarray(b, np.float32).reshape(-1, 4)
    corner = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = np.prod(np.maximum(corner[1] - corner[0], 0), axis=2)
    area_a = np.prod(np.maximum(a[:, 2:] - a[:, :2], 0), axis=1)
    area_b = np.prod(np.maximum(b[:, 2:] - b[:, :2], 0), axis=1)
    union = area_a[:, None] + area_b[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
