"""PASCAL VOC's average precision, all-point (2010 on) and 11-point (2007), to be quoted beside COCO's.

Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 2010, section 4.2, and the development kit. Unlike
COCO, a detection is compared only with the object that it overlaps most: if that one is taken, it is a false alarm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retinaj.boxes import Boxes, iou_matrix


def precision_recall(
    ground_truth: Sequence[Boxes], predictions: Sequence[Boxes], label: int, *, iou: float = 0.5
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall of one class after each detection, best score first over all images.

    Args:
        ground_truth: objects, one Boxes per image.
        predictions: scored detections, one Boxes per image.
        label: the class.
        iou: the least intersection over union that counts as found.

    Returns:
        precision [D] and recall [D] in 0..1 for the D detections of that class; recall is NaN if there are no objects.
    """
    scores: list[NDArray[np.float32]] = []
    hits: list[NDArray[np.bool_]] = []
    objects = 0
    for truth, predicted in zip(ground_truth, predictions, strict=True):
        truth, predicted = truth.select(truth.label == label), predicted.select(predicted.label == label).by_score()
        objects += len(truth)
        hit = np.zeros(len(predicted), np.bool_)
        if len(truth) and len(predicted):
            overlap = iou_matrix(predicted.xyxy, truth.xyxy)
            nearest = overlap.argmax(axis=1)
            near = np.flatnonzero(overlap.max(axis=1) >= np.float32(iou) - np.float32(1e-6))
            # of the detections that mean the same object, the one with the best score has it
            hit[near[np.unique(nearest[near], return_index=True)[1]]] = True
        hits.append(hit)
        scores.append(np.zeros(0, np.float32) if predicted.score is None else predicted.score)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    found = np.concatenate(hits)[order].cumsum().astype(np.float64)
    precision = found / np.arange(1, len(found) + 1)
    return precision, found / objects if objects else np.full(len(found), np.nan)


def all_point_ap(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    """The area under the curve after making precision fall monotonically (VOC 2010-2012).

    >>> all_point_ap(np.array([1.0, 0.5, 2 / 3]), np.array([0.5, 0.5, 1.0]))
    0.8333...
    """
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return min(1.0, float((np.diff(recall, prepend=0.0) * envelope).sum()))  # a sum of roundings can exceed 1


def eleven_point_ap(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    """The mean, over recall 0, .1, ... 1, of the best precision at that recall or above (VOC 2007).

    >>> eleven_point_ap(np.array([1.0, 0.5, 2 / 3]), np.array([0.5, 0.5, 1.0]))
    0.8484...
    """
    steps = np.arange(11) / 10
    return float(np.mean([precision[recall >= step - 1e-9].max(initial=0.0) for step in steps]))
