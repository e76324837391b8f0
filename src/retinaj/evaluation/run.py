"""Evaluating a model on annotated images: figures as JSON and Markdown, and a report to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retinaj.annotations import Reading
from retinaj.boxes import Boxes
from retinaj.dataset import Dataset, load_dataset
from retinaj.errors import RetinaJError
from retinaj.evaluation import EvaluationResult, evaluate_boxes
from retinaj.files import atomic_folder, require_absent
from retinaj.images.plane_choice import PlaneChoice
from retinaj.prediction.detector import DEFAULT_THRESHOLD, Detector, check_fraction, limit_words
from retinaj.prediction.tiles import Found, find_objects
from retinaj.prediction.tiling import TileChoice

EVALUATION_FILE = "evaluation.json"
TABLE_FILE = "evaluation.md"
REPORT_FILE = "report.html"


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        dataset: the images with their ground truth.
        predictions: all detections of each image, down to the model's lowest score.
        result: the figures.
        warnings: what makes the figures worse or better than they should be, for the user.
    """

    dataset: Dataset
    predictions: tuple[Boxes, ...]
    result: EvaluationResult
    warnings: tuple[str, ...] = ()


def evaluate(
    images: Path,
    annotations: Path,
    detector: Detector,
    output: Path,
    *,
    names: Path | None = None,
    threshold: float = DEFAULT_THRESHOLD,
    overlap: float | None = None,
    tiles: TileChoice = "auto",
    history: Path | None = None,
    reading: Reading | None = None,
    planes: PlaneChoice | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Detect on annotated images and compare with their ground truth.

    Args:
        images: folder of images.
        annotations: a file or folder of any format in `retinaj.annotations.FORMATS`.
        detector: the model.
        output: the folder to make, with evaluation.json, evaluation.md and report.html; it must not exist.
        names: a text file with the names of the images to use, one a line; default: all.
        threshold: detections from this score on count as found in the numbers of right and wrong detections; AP uses all.
        overlap: see `Detector.detect`.
        tiles: how large images are searched; see `retinaj.prediction.tiling.Tiling.cut`.
        history: the history.csv of the model's training, for the report's curves.
        reading: how to read the annotations, where they leave it open.
        planes: how images are read and stacks become planes; default: as in the model's training.
        progress: called as progress(images done, images in all); an exception from it cancels, and leaves nothing.

    Raises:
        RetinaJError: if images or annotations cannot be used, a class is unknown to the model, or the output exists.
    """
    from retinaj.report import write_report  # Matplotlib, only now

    require_absent(output)
    check_fraction("threshold", threshold)
    planes = detector.planes if planes is None else planes
    dataset = load_dataset(images, annotations, names=names, class_names=detector.class_names, reading=reading, planes=planes)
    searches: list[Found] = []
    for sample in dataset.samples:
        if progress is not None:
            progress(len(searches), len(dataset.samples))
        image = sample.open()
        try:
            searches.append(find_objects(detector, image, tiles=tiles, threshold=detector.score_floor, overlap=overlap))
        except RetinaJError as error:
            raise RetinaJError(f"{sample.image_path}: {error}") from error
    truth, predictions = [sample.boxes for sample in dataset.samples], [found.boxes for found in searches]
    # In tiles a model may give more, and all of them count.
    most = max(detector.max_detections, *map(len, predictions))
    result = evaluate_boxes(truth, predictions, max_detections=most, threshold=threshold)
    result = replace(result, weights_sha256=detector.weights_sha256)
    if progress is not None:
        progress(len(searches), len(dataset.samples))
    evaluation = Evaluation(dataset, tuple(predictions), result, tuple(_limit_warnings(dataset, searches, detector, threshold)))
    with atomic_folder(output) as folder:
        (folder / EVALUATION_FILE).write_text(result.to_json() + "\n", encoding="utf-8")
        (folder / TABLE_FILE).write_text(result.markdown() + "\n", encoding="utf-8")
        write_report(
            folder / REPORT_FILE,
            record=detector.record,
            history=history,
            dataset=dataset,
            predictions=predictions,
            result=result,
        )
    return evaluation


def _limit_warnings(dataset: Dataset, searches: Sequence[Found], detector: Detector, threshold: float) -> Iterator[str]:
    """Images on which the model's largest number of boxes, and not its skill, decides what is found."""
    most = detector.max_detections
    pairs = list(zip(dataset.samples, searches, strict=True))
    crowded = [sample.name for sample, found in pairs if found.tiles == 1 and len(sample.boxes) > most]
    if crowded:
        yield (
            f"{len(crowded)} images, such as {crowded[0]}, have more annotated objects than the {most} boxes that the model "
            "can give in one pass: the rest counts as missed."
        )
    full = [sample.name for sample, found in pairs if found.is_full(threshold)]
    if full:
        yield f"on {len(full)} images, such as {full[0]}, the model found {limit_words(detector)}."
