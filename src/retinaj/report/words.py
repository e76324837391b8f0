"""What the figures mean, in sentences for someone who has not read about average precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retinaj.evaluation.result import EvaluationResult, Scores
from retinaj.percents import percent
from retinaj.report.examples import ImageReport

_FEW_OBJECTS = 50
_RESAMPLES = 2000


def describe(result: EvaluationResult, reviews: Sequence[ImageReport]) -> list[str]:
    """Sentences about an evaluation, the most important first.

    Args:
        result: the figures.
        reviews: every image with its matches at the threshold of the result.
    """
    overall = result.overall
    if not overall.objects:
        return [f"These {result.images} images have no annotated objects, so that nothing can be said about the model."]
    recall, precision = _intervals(reviews)
    sentences = [
        f"At the threshold {result.threshold:g} the model finds {percent(overall.recall)} of the {overall.objects:,} "
        f"annotated objects{_range(recall)}, and {percent(overall.precision)} of its boxes are right{_range(precision)}. "
        "Right means: of the same class, and at least half of the area that the two boxes cover is common (IoU ≥ .5).",
        _counting(overall),
    ]
    if result.best_threshold is not None and result.best_f1 > overall.f1 + 0.005:
        sentences.append(
            f"On these images the threshold {_threshold(result.best_threshold)} would balance the two best "
            f"(F1 {result.best_f1:.2f} instead of {overall.f1:.2f}); a lower one finds more, a higher one errs less."
        )
    sentences += _about_classes(result)
    if overall.ap50 is not None and overall.ap75 is not None:
        sentences.append(
            "Average precision (AP) needs no threshold: it is 1 for a model that misses nothing and ranks all right boxes "
            f"above all wrong ones. AP@.5 ({overall.ap50:.3f}) asks for roughly right boxes, AP@.75 ({overall.ap75:.3f}) "
            f"for tight ones. AP@.5:.95 ({overall.ap:.3f}) is the mean over ten demands from rough to nearly exact, "
            "and is what most papers quote."
        )
    return sentences


def _counting(overall: Scores) -> str:
    """Whether counts come out right, which is what most people use boxes for."""
    detections = overall.true_positives + overall.false_positives
    change = detections / overall.objects - 1
    if abs(change) < 0.01:
        return f"Counted together, that is {detections:,} boxes: as many as annotated objects, within one percent."
    more = "more" if change > 0 else "fewer"
    return (
        f"Counted together, that is {detections:,} boxes for {overall.objects:,} objects, {percent(abs(change))} {more}. "
        "Whether a box without an object is a mistake of the model or was forgotten by the annotator, the pictures below show."
    )


def _about_classes(result: EvaluationResult) -> list[str]:
    known = [scores for scores in result.classes if scores.ap50 is not None]
    sentences: list[str] = []
    if len(known) > 1:
        weakest = min(known, key=lambda scores: scores.ap50 or 0.0)
        sentences.append(
            f"The weakest class is {weakest.name}: {percent(weakest.recall)} of them are found, "
            f"and {percent(weakest.precision)} of the boxes called so are right (AP@.5 {weakest.ap50:.3f})."
        )
    few = [f"{scores.name} ({scores.objects})" for scores in known if scores.objects < _FEW_OBJECTS]
    if few:
        sentences.append(f"There are few objects of {', '.join(few)}: their figures may change a lot with other images.")
    absent = [scores.name for scores in result.classes if not scores.objects]
    if absent:
        sentences.append(f"There is no annotated object of {', '.join(absent)}, so that these images say nothing about it.")
    return sentences


def _intervals(reviews: Sequence[ImageReport]) -> tuple[tuple[float, float], tuple[float, float]]:
    """95 % ranges of recall and precision when other images of the same kind had been taken: bootstrap over images."""
    counts = np.array(
        [(r.matches.true_positives, r.matches.false_positives, r.matches.false_negatives) for r in reviews], np.float64
    )
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=_RESAMPLES) @ counts
    right, wrong, missed = drawn.T
    recall = right / np.maximum(right + missed, 1)
    precision = right / np.maximum(right + wrong, 1)
    low_recall, high_recall = np.percentile(recall, [2.5, 97.5])
    low_precision, high_precision = np.percentile(precision, [2.5, 97.5])
    return (float(low_recall), float(high_recall)), (float(low_precision), float(high_precision))


def _range(interval: tuple[float, float]) -> str:
    low, high = (percent(value) for value in interval)
    return "" if low == high else f" (with other images of this kind, likely {low} to {high})"


def _threshold(value: float) -> str:
    """Rounded down, so that the box at it still counts.

    >>> _threshold(0.4567)
    '0.45'
    """
    return f"{np.floor(value * 100) / 100:.2f}"
