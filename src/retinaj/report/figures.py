"""The report's figures, as SVG that takes the colours of the page it is put into."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from retinaj.colours import class_colour, hex_colour
from retinaj.evaluation.coco_ap import RECALLS
from retinaj.evaluation.result import EvaluationResult
from retinaj.report.examples import ImageReport
from retinaj.report.history import HistoryRow

# Stand for the page's own colours while Matplotlib draws: unlikely enough to be replaced in its output.
_TEXT, _LINE = "#010203", "#040506"
_BLUE, _ORANGE = hex_colour(class_colour(6)), hex_colour(class_colour(3))
_PANEL = (4.4, 3.1)  # inches


def draw_precision_recall(result: EvaluationResult) -> str:
    """Precision over recall at IoU .5, a line for each class that has objects."""
    with _figure("precision-recall") as (figure, finish):
        axes = _axes(figure, "Recall: share of the objects that are found", "Precision: share of boxes that are right")
        for label, curve in enumerate(result.curves):
            if curve.precision:
                axes.plot(RECALLS, curve.precision, color=hex_colour(class_colour(label)), label=_plain(curve.name))
                above = [at for at, score in enumerate(curve.score) if score >= result.threshold]
                if above:
                    at = above[-1]
                    axes.plot(RECALLS[at], curve.precision[at], "o", color=hex_colour(class_colour(label)), markersize=5)
        axes.set(xlim=(0, 1.01), ylim=(0, 1.03))
        if axes.lines:
            axes.legend(loc="lower left")
        return finish(f"Precision over recall of each class; the dots are at the threshold {result.threshold:g}")


def draw_counts(reviews: Sequence[ImageReport], class_names: Sequence[str]) -> str:
    """Boxes over annotated objects, a dot for each image and class."""
    with _figure("counts") as (figure, finish):
        axes = _axes(figure, "Annotated objects in an image", "Boxes in the image")
        highest = 1
        for label, name in enumerate(class_names):
            counts = np.array(
                [(np.sum(review.sample.boxes.label == label), np.sum(review.detections.label == label)) for review in reviews]
            )
            highest = max(highest, int(counts.max(initial=1)))
            axes.plot(*counts.T, "o", color=hex_colour(class_colour(label)), alpha=0.6, markersize=5, mew=0, label=_plain(name))
        axes.plot([0, highest], [0, highest], color=_TEXT, linewidth=0.8, zorder=0)
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
            [("training", [row.loss for row in rows], _BLUE), ("validation", [row.val_loss for row in rows], _ORANGE)],
        ),
        (
            "precision",
            "Average precision, validation",
            [("AP@.5", [row.val_ap50 for row in rows], _BLUE), ("AP@.5:.95", [row.val_ap for row in rows], _ORANGE)],
        ),
        ("rate", "Learning rate at the epoch's end", [("learning rate", [row.learning_rate for row in rows], _BLUE)]),
    ]
    drawings: list[str] = []
    for name, title, lines in panels:
        with _figure(f"history-{name}") as (figure, finish):
            axes = _axes(figure, "Epoch", title)
            for label, values, colour in lines:
                # A single epoch has no line, so its point must be seen.
                axes.plot(epochs, values, color=colour, label=label, marker="o" if len(rows) < 30 else "", markersize=3)
            axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
            axes.set_ylim(0, 1.02 if name == "precision" else None)
            if len(lines) > 1:
                axes.legend(loc="best")
            drawings.append(finish(f"{title} over epochs"))
    return "\n".join(drawings)


@contextmanager
def _figure(name: str) -> Generator[tuple[Figure, Callable[[str], str]]]:
    """A figure, and the function that turns it into SVG with a description for screen readers."""
    style: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text, in the page's font
        "svg.hashsalt": name,  # the same figure gives the same ids, two figures in a page never share one
        "font.size": 9.5,
        "text.color": _TEXT,
        "axes.labelcolor": _TEXT,
        "axes.edgecolor": _TEXT,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": _LINE,
        "grid.linewidth": 0.6,
        "xtick.color": _TEXT,
        "ytick.color": _TEXT,
        "lines.linewidth": 1.8,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=_PANEL)
        yield figure, lambda description: _svg(figure, description)


def _axes(figure: Figure, x: str, y: str) -> Axes:
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y)
    axes.set_axisbelow(True)
    return axes


def _svg(figure: Figure, description: str) -> str:
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace("<svg", f'<svg class="figure" role="img" aria-label="{_attribute(description)}"', 1)
    # Names of groups would be there once per figure; only what is referred to needs one, and has one that is its own.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    # Matplotlib's list of fonts would replace the page's font.
    svg = re.sub(r"font: ([^;\"]*?px) [^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    return svg.replace(_TEXT, "currentColor").replace(_LINE, "var(--line)")


def _plain(name: str) -> str:
    """A class name as it is: Matplotlib takes $...$ as a formula, and hides labels that begin with an underscore."""
    name = name.replace("$", r"\$")
    return f"\u200b{name}" if name.startswith("_") else name


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
