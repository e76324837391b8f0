"""The figures of the report of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from retinaj.colours import class_colour, hex_colour
from retinaj.evaluation.coco_ap import RECALLS
from retinaj.evaluation.result import EvaluationResult
from retinaj.report.drawing import BLUE, ORANGE, TEXT, axes_of, figure_for, plain
from retinaj.report.examples import ImageReport
from retinaj.report.history import HistoryRow


def draw_precision_recall(result: EvaluationResult) -> str:
    """Precision over recall at IoU .5, a line for each class that has objects."""
    with figure_for("precision-recall") as (figure, finish):
        axes = axes_of(figure, "Recall: share of the objects that are found", "Precision: share of boxes that are right")
        for label, (curve, scores) in enumerate(zip(result.curves, result.classes, strict=True)):
            if curve.precision:
                axes.plot(RECALLS, curve.precision, color=hex_colour(class_colour(label)), label=plain(curve.name))
                if scores.true_positives + scores.false_positives:
                    # As in the table; the curve is interpolated and may lie above.
                    axes.plot(scores.recall, scores.precision, "o", color=hex_colour(class_colour(label)), markersize=5)
        axes.set(xlim=(0, 1.01), ylim=(0, 1.03))
        if axes.lines:
            axes.legend(loc="lower left")
        return finish(f"Precision over recall of each class; the dots are at the threshold {result.threshold:g}")


def draw_counts(reviews: Sequence[ImageReport], class_names: Sequence[str]) -> str:
    """Boxes over annotated objects, a dot for each image and class."""
    with figure_for("counts") as (figure, finish):
        axes = axes_of(figure, "Annotated objects in an image", "Boxes in the image")
        highest = 1
        for label, name in enumerate(class_names):
            counts = np.array(
                [(np.sum(review.sample.boxes.label == label), np.sum(review.detections.label == label)) for review in reviews]
            )
            highest = max(highest, int(counts.max(initial=1)))
            axes.plot(*counts.T, "o", color=hex_colour(class_colour(label)), alpha=0.6, markersize=5, mew=0, label=plain(name))
        axes.plot([0, highest], [0, highest], color=TEXT, linewidth=0.8, zorder=0)
        axes.set(xlim=(-0.03 * highest, 1.05 * highest), ylim=(-0.03 * highest, None))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6, integer=True))
        axes.legend(loc="upper left")
        return finish("Boxes found over annotated objects, one dot for each image and class")


def draw_history(rows: Sequence[HistoryRow]) -> str:
    """Loss, average precision and learning rate over the epochs: three figures."""
    epochs = [row.epoch for row in rows]
    panels: list[tuple[str, str, list[tuple[str, list[float], str]]]] = [
        (
            "loss",
            "Loss",
            [("training", [row.loss for row in rows], BLUE), ("validation", [row.val_loss for row in rows], ORANGE)],
        ),
        (
            "precision",
            "Average precision, validation",
            [("AP@.5", [row.val_ap50 for row in rows], BLUE), ("AP@.5:.95", [row.val_ap for row in rows], ORANGE)],
        ),
        ("rate", "Learning rate at the epoch's end", [("learning rate", [row.learning_rate for row in rows], BLUE)]),
    ]
    drawings: list[str] = []
    for name, title, lines in panels:
        with figure_for(f"history-{name}") as (figure, finish):
            axes = axes_of(figure, "Epoch", title)
            for label, values, colour in lines:
                # A single epoch has no line, so its point must be seen.
                axes.plot(epochs, values, color=colour, label=label, marker="o" if len(rows) < 30 else "", markersize=3)
            axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
            axes.set_ylim(0, 1.02 if name == "precision" else None)
            if len(lines) > 1:
                axes.legend(loc="best")
            drawings.append(finish(f"{title} over epochs"))
    return "\n".join(drawings)
