"""Validation after each epoch: loss, AP@.5:.95 and AP@.5 of the averaged weights on whole images."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.boxes import Boxes
from retinaj.dataset import Sample
from retinaj.evaluation import EvaluationResult, evaluate_boxes
from retinaj.model_folder import ModelRecord
from retinaj.training.data import ImageStore, validation_images
from retinaj.training.step import ValidationStep

_MEASURED_IMAGES = 4  # the first compiles


class Validator:
    """Measures a network on the validation images.

    Args:
        samples: the validation images.
        record: of the model.
        store: where images are kept.
        network: the averaged weights.
    """

    def __init__(self, samples: tuple[Sample, ...], record: ModelRecord, store: ImageStore, network: Any) -> None:
        self._samples, self._record, self._store = samples, record, store
        self._step = ValidationStep(record, network)

    def __call__(self) -> tuple[float, EvaluationResult]:
        """(mean loss, evaluation) with the network's present weights."""
        losses: list[float] = []
        found: list[Boxes] = []
        for image in validation_images(self._samples, self._record, self._store):
            loss, rows = self._step(image.image, image.targets.label, image.targets.boxes)
            losses.append(loss)
            found.append(self._boxes(rows).clipped(*image.size))
        truth = [sample.boxes for sample in self._samples]
        result = evaluate_boxes(truth, found, max_detections=self._record.network.max_detections)
        return float(np.mean(losses)), result

    def seconds(self) -> float:
        """How long validation takes on all images, guessed from the first few."""
        times: list[float] = []
        for image in validation_images(self._samples[:_MEASURED_IMAGES], self._record, self._store):
            began = time.perf_counter()
            self._step(image.image, image.targets.label, image.targets.boxes)
            times.append(time.perf_counter() - began)
        return median(times[1:] or times) * len(self._samples)

    def _boxes(self, rows: NDArray[np.float32]) -> Boxes:
        rows = rows[rows[:, 4] > 0]
        return Boxes(rows[:, :4], rows[:, 5].astype(np.int32) - 1, self._record.class_names, rows[:, 4])
