"""The report of an evaluation: one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from markupsafe import Markup

from retinaj.boxes import Boxes
from retinaj.colours import class_colours, hex_colour
from retinaj.dataset import Dataset
from retinaj.evaluation.result import EvaluationResult
from retinaj.files import write_text
from retinaj.model_folder import ModelRecord
from retinaj.report.examples import ImageReport, review_images
from retinaj.report.facts import anchor_table, model_facts
from retinaj.report.figures import draw_counts, draw_history, draw_precision_recall
from retinaj.report.history import read_history
from retinaj.report.templates import environment
from retinaj.report.words import describe

__all__ = ["write_report"]


def write_report(
    path: Path,
    *,
    record: ModelRecord | None,
    history: Path | None,
    dataset: Dataset,
    predictions: Sequence[Boxes],
    result: EvaluationResult,
) -> None:
    """Write the report of an evaluation: what the figures are and mean, curves, the best and the worst images.

    Pictures and styles are inside the page; it loads nothing, runs no script, and prints.

    Args:
        path: the HTML file; it is written whole or not at all.
        record: of the model; None leaves its section out.
        history: the history.csv of its training; None, or one without an epoch, leaves the curves out.
        dataset: the images that were evaluated, with their ground truth.
        predictions: all detections, one Boxes per sample of the dataset, in its order.
        result: the figures.

    Raises:
        RetinaJError: if an image cannot be read any more, or the history is not one.
    """
    reviews = review_images(dataset.samples, predictions, result.threshold)
    rows = [] if history is None else read_history(history)
    shown = min(3, (len(reviews) + 1) // 2)
    worst, best = reviews[:shown], reviews[::-1][: min(3, len(reviews) - shown)]
    colours = {name: hex_colour(colour) for name, colour in class_colours(_class_names(result)).items()}
    page = (
        environment()
        .get_template("page.html")
        .render(
            title=record.name if record is not None else "Detection",
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            version=version("retinaj"),
            result=result,
            colours=colours,
            sentences=describe(result, reviews),
            facts=[] if record is None else model_facts(record),
            anchors=[] if record is None else anchor_table(record),
            history=Markup(draw_history(rows)) if rows else "",  # noqa: S704  (drawn by us from numbers)
            precision_recall=Markup(draw_precision_recall(result)),  # noqa: S704  (drawn by us, text escaped)
            counts=Markup(draw_counts(reviews, _class_names(result))),  # noqa: S704  (as above)
            groups=_groups(worst, best),
            notes=dataset.notes,
        )
    )
    write_text(Path(path), page)


def _class_names(result: EvaluationResult) -> list[str]:
    """The names of the classes, in the order of their labels."""
    return [scores.name for scores in result.classes]


def _groups(worst: Sequence[ImageReport], best: Sequence[ImageReport]) -> list[tuple[str, list[ImageReport]]]:
    groups = [("The worst images", [review.with_picture() for review in worst])]
    if best:
        groups.append(("The best images", [review.with_picture() for review in best]))
    return groups
