"""All objects of a data set in arrays: sizes, classes, and how close the next one is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinaj.boxes import Boxes, iou_matrix
from retinaj.dataset import Dataset
from retinaj.network.config import NetworkConfig

# Of two detections of a class that overlap more, one is dropped.
MERGED_IOU: float = NetworkConfig.model_fields["overlap"].default
_ROWS = 64  # boxes that are compared at once with those near them
_MOST_PAIRS = 2 * 10**9  # of one image: about half a minute


@dataclass(frozen=True)
class Objects:
    """One row for each object of a data set.

    Attributes:
        xyxy: float32 [N, 4], in pixels.
        label: int32 [N], into the class names.
        image: int64 [N], index of the sample.
        neighbour: float32 [N], the highest IoU with another object of the image; NaN for those not compared, see `nearest_iou`.
        rival: float32 [N], the highest IoU with another object of the same class; NaN likewise.
    """

    xyxy: NDArray[np.float32]
    label: NDArray[np.int32]
    image: NDArray[np.int64]
    neighbour: NDArray[np.float32]
    rival: NDArray[np.float32]

    @property
    def width(self) -> NDArray[np.float32]:
        """float32 [N], in pixels."""
        return self.xyxy[:, 2] - self.xyxy[:, 0]

    @property
    def height(self) -> NDArray[np.float32]:
        """float32 [N], in pixels."""
        return self.xyxy[:, 3] - self.xyxy[:, 1]

    def per_image(self, images: int, label: int | None = None) -> NDArray[np.int64]:
        """int64 [images]: how many objects, of one class or of all, each image has."""
        chosen = self.image if label is None else self.image[self.label == label]
        return np.bincount(chosen, minlength=images)


def gather_objects(dataset: Dataset, progress: Callable[[int, int], None] | None = None) -> Objects:
    """The objects of all samples; their boxes have an area.

    Args:
        dataset: with one object at least.
        progress: called with (images done, images).
    """
    samples = dataset.samples
    neighbours: list[NDArray[np.float32]] = []
    rivals: list[NDArray[np.float32]] = []
    for at, sample in enumerate(samples):
        neighbour, rival = nearest_iou(sample.boxes)
        neighbours.append(neighbour)
        rivals.append(rival)
        if progress:
            progress(at + 1, len(samples))
    return Objects(
        np.concatenate([sample.boxes.xyxy for sample in samples]),
        np.concatenate([sample.boxes.label for sample in samples]),
        np.repeat(np.arange(len(samples)), [len(sample.boxes) for sample in samples]),
        np.concatenate(neighbours),
        np.concatenate(rivals),
    )


def nearest_iou(boxes: Boxes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """For each box the highest IoU with another one, of any class and of its own.

    Args:
        boxes: each with an area.

    Returns:
        Two arrays, float32 [N]; 0 where nothing overlaps. Where hundreds of thousands of boxes lie on top of each other, only
        some, evenly chosen, are compared with all, and the others are NaN.

    >>> any_class, own_class = nearest_iou(Boxes([[0, 0, 4, 4], [0, 0, 4, 8], [9, 9, 12, 12]], [0, 1, 0], ("a", "b")))
    >>> any_class.tolist(), own_class.tolist()
    ([0.5, 0.5, 0.0], [0.0, 0.0, 0.0])
    """
    count = len(boxes)
    order = np.argsort(boxes.xyxy[:, 0], kind="stable")
    xyxy, label = boxes.xyxy[order], boxes.label[order]
    reach = np.maximum.accumulate(xyxy[:, 2]) if count else xyxy[:, 2]  # the right end of all boxes so far
    starts = np.arange(0, count, _ROWS)
    # In the order of their left sides, what may overlap a run of boxes lies together.
    first = np.searchsorted(reach, xyxy[starts, 0], side="right")
    ends = np.maximum.reduceat(xyxy[:, 2], starts) if count else reach
    last = np.searchsorted(xyxy[:, 0], ends, side="left")
    step = max(1, -(-int((last - first).sum()) * _ROWS // _MOST_PAIRS))
    neighbour, rival = np.full(count, np.nan, np.float32), np.full(count, np.nan, np.float32)
    for start, begin, end in list(zip(starts.tolist(), first.tolist(), last.tolist(), strict=True))[::step]:
        rows = np.arange(start, min(start + _ROWS, count))
        iou = iou_matrix(xyxy[rows], xyxy[begin:end])
        iou[np.arange(len(rows)), rows - begin] = 0  # with itself
        neighbour[order[rows]] = iou.max(axis=1)
        rival[order[rows]] = np.where(label[rows, None] == label[begin:end], iou, 0).max(axis=1)
    return neighbour, rival
