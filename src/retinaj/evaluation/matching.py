"""Which prediction found which object: greedy matching, as COCO does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinaj.boxes import Boxes, iou_matrix
from retinaj.errors import RetinaJError

MATCH_IOU = 0.5


@dataclass(frozen=True, eq=False)
class Matches:
    """The outcome for one image.

    Attributes:
        partner: int [P], for each prediction the object that it found, or -1 for a false alarm.
        found: bool [G], for each object whether a prediction found it.
    """

    partner: NDArray[np.intp]
    found: NDArray[np.bool_]

    @property
    def true_positives(self) -> int:
        """Predictions that found an object."""
        return int(self.found.sum())

    @property
    def false_positives(self) -> int:
        """Predictions that found none."""
        return int((self.partner < 0).sum())

    @property
    def false_negatives(self) -> int:
        """Objects that no prediction found."""
        return int((~self.found).sum())


def match_boxes(ground_truth: Boxes, predictions: Boxes, *, iou: float = MATCH_IOU) -> Matches:
    """Give each prediction, best score first, the free object of its class that it overlaps most.

    Because better scores choose first, raising the threshold never changes what the remaining predictions found.

    Args:
        ground_truth: the objects of one image.
        predictions: what was detected on it, of the same class names, with scores, in any order.
        iou: the least intersection over union that counts as found.

    Raises:
        RetinaJError: if the class names differ or the predictions have no scores.

    >>> truth = Boxes([[0, 0, 10, 10]], [0], ("cell",))
    >>> found = Boxes([[0, 0, 10, 9], [0, 0, 10, 10]], [0, 0], ("cell",), [0.9, 0.8])
    >>> match_boxes(truth, found).partner.tolist()
    [0, -1]
    """
    require_comparable(ground_truth, predictions)
    overlap = iou_matrix(predictions.xyxy, ground_truth.xyxy)
    overlap[predictions.label[:, None] != ground_truth.label[None, :]] = -1
    partner = np.full(len(predictions), -1, np.intp)
    found = np.zeros(len(ground_truth), np.bool_)
    if overlap.size:
        # In float32 an IoU of exactly one half can come out a hair below it.
        limit = np.float32(iou - 1e-6)
        for at in by_score(predictions):
            best = int(overlap[at].argmax())
            if overlap[at, best] >= limit:
                partner[at], found[best] = best, True
                overlap[:, best] = -1
    return Matches(partner, found)


def by_score(predictions: Boxes) -> NDArray[np.intp]:
    """Positions of the predictions, best score first, ties in their order."""
    score = np.zeros(len(predictions), np.float32) if predictions.score is None else predictions.score
    return np.argsort(-score, kind="stable")


def best_of_each_class(predictions: Boxes, max_detections: int) -> Boxes:
    """At most `max_detections` predictions of each class, those with the best scores."""
    order = by_score(predictions)
    label = predictions.label[order]
    kept = [order[label == each][:max_detections] for each in range(len(predictions.class_names))]
    return predictions.select(np.sort(np.concatenate(kept)))


def require_comparable(ground_truth: Boxes, predictions: Boxes) -> None:
    """Refuse what cannot be compared.

    Raises:
        RetinaJError: if the class names differ or the predictions have no scores.
    """
    if predictions.score is None:
        raise RetinaJError("The predictions have no scores, so they cannot be ranked; give scored boxes.")
    if predictions.class_names != ground_truth.class_names:
        raise RetinaJError(
            f"The predictions have the classes {list(predictions.class_names)}, the ground truth has "
            f"{list(ground_truth.class_names)}; load the ground truth with the model's class names."
        )


def require_pairs(ground_truth: Sequence[Boxes], predictions: Sequence[Boxes]) -> None:
    """Refuse lists that do not belong together.

    Raises:
        RetinaJError: if they are empty, of different length, or `require_comparable` refuses a pair.
    """
    if len(ground_truth) != len(predictions) or not ground_truth:
        raise RetinaJError(
            f"There are predictions for {len(predictions)} images and ground truth for {len(ground_truth)}; "
            "give both for each image, and at least one image."
        )
    for truth, predicted in zip(ground_truth, predictions, strict=True):
        if truth.class_names != ground_truth[0].class_names:
            raise RetinaJError(f"Ground truth of different classes: {truth.class_names}, {ground_truth[0].class_names}.")
        require_comparable(truth, predicted)
