"""How good detections are: average precision by COCO's and VOC's methods, and counts of found and missed objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retinaj.boxes import Boxes
from retinaj.evaluation.coco_ap import AP, AP30, AP50, AP75, CocoCurves, coco_curves
from retinaj.evaluation.matching import Matches, best_of_each_class, match_boxes, require_pairs
from retinaj.evaluation.result import Curve, EvaluationResult, Scores
from retinaj.evaluation.voc_ap import all_point_ap, eleven_point_ap, precision_recall
from retinaj.prediction.detector import DEFAULT_THRESHOLD

__all__ = ["Curve", "EvaluationResult", "Matches", "Scores", "evaluate_boxes", "match_boxes"]


def evaluate_boxes(
    ground_truth: Sequence[Boxes],
    predictions: Sequence[Boxes],
    *,
    max_detections: int,
    threshold: float = DEFAULT_THRESHOLD,
) -> EvaluationResult:
    """Compare detections with ground truth.

    Args:
        ground_truth: the objects, one Boxes per image, in pixels of the original image.
        predictions: the detections, one Boxes per image in the same order and of the same class names, with all scores
            that the model gives: AP needs the low ones too.
        max_detections: how many detections of each class and image count.
        threshold: detections from this score on count in the numbers of found and missed objects.

    Raises:
        RetinaJError: if there are no images, or the two lists do not belong together.

    >>> truth = Boxes([[0, 0, 10, 10], [20, 20, 30, 30]], [0, 0], ("cell",))
    >>> found = Boxes([[0, 0, 10, 10]], [0], ("cell",), [0.9])
    >>> result = evaluate_boxes([truth], [found], max_detections=100)
    >>> round(result.overall.ap50, 3), result.overall.precision, result.overall.recall
    (0.505, 1.0, 0.5)
    """
    require_pairs(ground_truth, predictions)
    class_names = ground_truth[0].class_names
    predictions = [best_of_each_class(predicted, max_detections) for predicted in predictions]
    curves = coco_curves(ground_truth, predictions, max_detections=max_detections)

    truth_label = np.concatenate([boxes.label for boxes in ground_truth])
    label = np.concatenate([boxes.label for boxes in predictions])
    score = np.concatenate([boxes.score for boxes in predictions if boxes.score is not None])
    matches = [match_boxes(truth, predicted) for truth, predicted in zip(ground_truth, predictions, strict=True)]
    hit = np.concatenate([match.partner for match in matches]) >= 0

    classes: list[Scores] = []
    for at, name in enumerate(class_names):
        objects = int((truth_label == at).sum())
        counted = (label == at) & (score >= threshold)
        precision, recall = precision_recall(ground_truth, predictions, at)
        found = int(hit[counted].sum())
        classes.append(
            Scores(
                name,
                objects,
                **_average_precisions(curves, at),
                voc_ap50=all_point_ap(precision, recall) if objects else None,
                voc11_ap50=eleven_point_ap(precision, recall) if objects else None,
                true_positives=found,
                false_positives=int(counted.sum()) - found,
                false_negatives=objects - found,
            )
        )
    overall = Scores(
        "all",
        len(truth_label),
        **_average_precisions(curves, None),
        voc_ap50=_mean([each.voc_ap50 for each in classes]),
        voc11_ap50=_mean([each.voc11_ap50 for each in classes]),
        true_positives=sum(each.true_positives for each in classes),
        false_positives=sum(each.false_positives for each in classes),
        false_negatives=sum(each.false_negatives for each in classes),
    )
    best_threshold, best_f1 = _best_threshold(score, hit, len(truth_label))
    return EvaluationResult(
        images=len(ground_truth),
        max_detections=max_detections,
        threshold=threshold,
        best_threshold=best_threshold,
        best_f1=best_f1,
        overall=overall,
        classes=tuple(classes),
        curves=tuple(_curve(curves, at, name) for at, name in enumerate(class_names)),
    )


def _average_precisions(curves: CocoCurves, label: int | None) -> dict[str, float | None]:
    named = {"ap": AP, "ap30": AP30, "ap50": AP50, "ap75": AP75}
    return {name: curves.average(thresholds, label) for name, thresholds in named.items()}


def _curve(curves: CocoCurves, label: int, name: str) -> Curve:
    precision, score = curves.precision[AP50, :, label][0], curves.score[AP50, :, label][0]
    if (precision < 0).any():  # no objects of this class
        return Curve(name, (), ())
    return Curve(name, tuple(precision.round(5).tolist()), tuple(score.round(5).tolist()))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _best_threshold(score: np.ndarray, hit: np.ndarray, objects: int) -> tuple[float | None, float]:
    """The score at which F1 is highest, and that F1."""
    if not hit.any():
        return None, 0.0
    order = np.argsort(-score, kind="stable")
    found = hit[order].cumsum()
    f1 = 2 * found / (np.arange(1, len(order) + 1) + objects)
    # Detections of one score come together: only the last of them is a possible threshold.
    last = np.append(np.diff(score[order]) != 0, True)
    best = int(np.where(last, f1, -1).argmax())
    return float(score[order][best]), float(f1[best])
