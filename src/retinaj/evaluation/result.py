"""The figures of one evaluation: stored as JSON, shown as a table."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from rich.box import SIMPLE_HEAD
from rich.table import Table

from retinaj.errors import RetinaJError

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, config=_STRICT)
class Scores:
    """The figures of one class, or of all: then AP is the mean over classes that have objects, and counts are sums.

    AP is average precision, 0..1, by COCO's method with 101 recalls; None where there are no objects.

    Attributes:
        name: the class, or "all".
        objects: how many are in the ground truth.
        ap: mean over the IoU thresholds .5, .55, ... .95: COCO's main figure.
        ap30: at IoU .3: found at all.
        ap50: at IoU .5: found, with a roughly right box.
        ap75: at IoU .75: found, with a tight box.
        voc_ap50: at IoU .5 by PASCAL VOC's all-point method.
        voc11_ap50: at IoU .5 by PASCAL VOC's 11-point method.
        true_positives: objects found, at the evaluation's threshold and IoU .5.
        false_positives: detections that are no such object.
        false_negatives: objects missed.
    """

    name: str
    objects: _Count
    ap: _Share | None
    ap30: _Share | None
    ap50: _Share | None
    ap75: _Share | None
    voc_ap50: _Share | None
    voc11_ap50: _Share | None
    true_positives: _Count
    false_positives: _Count
    false_negatives: _Count

    @property
    def precision(self) -> float:
        """The share of detections that are right; 0 without detections."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """The share of objects that are found; 0 without objects."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return _ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)


@dataclass(frozen=True, config=_STRICT)
class Curve:
    """Precision at IoU .5 of one class over 101 recalls from 0 to 1, interpolated as COCO does it.

    Attributes:
        name: the class.
        precision: at recall 0, .01, ... 1; empty for a class without objects.
        score: the threshold at which each recall is reached; 0 where it never is.
    """

    name: str
    precision: tuple[_Share, ...]
    score: tuple[float, ...]


@dataclass(frozen=True, config=_STRICT)
class EvaluationResult:
    """How good detections are on a set of images.

    Attributes:
        images: how many were evaluated.
        max_detections: how many detections of each class and image counted for AP.
        threshold: the score above which detections count in the numbers of found and missed objects.
        best_threshold: the score at which F1 over all classes is highest on these images; None if nothing was found.
        best_f1: F1 there.
        overall: all classes together.
        classes: each class, in the order of the labels.
        curves: each class's precision-recall curve.
        weights_sha256: of the model's weights: an evaluation speaks for no other. Empty where no model was given.
    """

    images: _Count
    max_detections: _Count
    threshold: _Share
    best_threshold: _Share | None
    best_f1: _Share
    overall: Scores
    classes: tuple[Scores, ...]
    curves: tuple[Curve, ...]
    weights_sha256: str = ""

    def to_json(self) -> str:
        """As JSON text, which `from_json` reads."""
        return _ADAPTER.dump_json(self, indent=2).decode()

    @staticmethod
    def from_json(text: str, source: str = "The evaluation") -> EvaluationResult:
        """Read what `to_json` wrote.

        Args:
            text: the JSON.
            source: the file's name, for the error.

        Raises:
            RetinaJError: if it is not an evaluation.
        """
        try:
            return _ADAPTER.validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise RetinaJError(f"{source} is not an evaluation by RetinaJ: {place}: {first['msg']}.") from error

    def table(self) -> Table:
        """For the terminal."""
        # narrow enough for a terminal of 80 columns
        table = Table(
            title=f"{self.images} images, {self.overall.objects:,} objects",
            box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        header, *rows = self._cells()
        for at, title in enumerate(header):
            table.add_column(title.replace(" ", "\n", 1), justify="left" if at == 0 else "right", overflow="fold")
        for row in rows:
            table.add_row(*row, style="bold" if row is rows[0] else None)
        return table

    def markdown(self) -> str:
        """The same table as Markdown."""
        header, *rows = self._cells()
        ruler = ["---", *["---:"] * (len(header) - 1)]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [header, ruler, *rows])

    def _cells(self) -> list[list[str]]:
        at = f"at {self.threshold:g}"
        header = ["class", "objects", "AP@.3", "AP@.5", "AP@.75", "AP@.5:.95", "VOC AP@.5", f"precision {at}", f"recall {at}"]
        rows = [
            [
                scores.name,
                f"{scores.objects:,}",
                *[
                    "-" if value is None else f"{value:.3f}"
                    for value in (scores.ap30, scores.ap50, scores.ap75, scores.ap, scores.voc_ap50)
                ],
                f"{scores.precision:.3f}",
                f"{scores.recall:.3f}",
            ]
            for scores in (self.overall, *self.classes)
        ]
        return [header, *rows]


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


_ADAPTER = TypeAdapter(EvaluationResult)
