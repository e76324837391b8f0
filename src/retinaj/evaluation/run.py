"""Evaluating a model on annotated images: figures as JSON and Markdown, and a report to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from retinaj.boxes import Boxes
from retinaj.dataset import Dataset, load_dataset
from retinaj.errors import RetinaJError
from retinaj.evaluation import EvaluationResult, evaluate_boxes
from retinaj.files import atomic_folder, require_absent
from retinaj.images import read_image
from retinaj.prediction.detector import DEFAULT_THRESHOLD, Detector, check_fraction

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
    """

    dataset: Dataset
    predictions: tuple[Boxes, ...]
    result: EvaluationResult


def evaluate(
    images: Path,
    annotations: Path,
    detector: Detector,
    output: Path,
    *,
    names: Path | None = None,
    threshold: float = DEFAULT_THRESHOLD,
    overlap: float | None = None,
    history: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Detect on annotated images and compare with their ground truth.

    Args:
        images: folder of images.
        annotations: folder of PASCAL VOC files or of ImageJ ROI files, or a COCO JSON file.
        detector: the model.
        output: the folder to make, with evaluation.json, evaluation.md and report.html; it must not exist.
        names: a text file with the names of the images to use, one a line; default: all.
        threshold: detections from this score on count as found in the numbers of right and wrong detections; AP uses all.
        overlap: see `Detector.detect`.
        history: the history.csv of the model's training, for the report's curves.
        progress: called as progress(images done, images in all); an exception from it cancels, and leaves nothing.

    Raises:
        RetinaJError: if images or annotations cannot be used, a class is unknown to the model, or the output exists.
    """
    from retinaj.report import write_report  # Matplotlib, only now

    require_absent(output)
    check_fraction("threshold", threshold)
    dataset = load_dataset(images, annotations, names=names, class_names=detector.class_names)
    predictions: list[Boxes] = []
    for sample in dataset.samples:
        if progress is not None:
            progress(len(predictions), len(dataset.samples))
        image = read_image(sample.image_path)
        try:
            predictions.append(detector.detect(image, threshold=detector.score_floor, overlap=overlap))
        except RetinaJError as error:
            raise RetinaJError(f"{sample.image_path}: {error}") from error
    truth = [sample.boxes for sample in dataset.samples]
    result = evaluate_boxes(truth, predictions, max_detections=detector.max_detections, threshold=threshold)
    result = replace(result, weights_sha256=detector.weights_sha256)
    if progress is not None:
        progress(len(predictions), len(dataset.samples))
    evaluation = Evaluation(dataset, tuple(predictions), result)
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
