"""Validation after each epoch: loss, AP@.5:.95 and AP@.5 of the averaged weights on whole images."""

from __future__ import annotations

import time
from itertools import islice
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.boxes import Boxes
from retinaj.dataset import Sample
from retinaj.evaluation import EvaluationResult, evaluate_boxes
from retinaj.model_folder import ModelRecord
from retinaj.prediction.tile_merging import merge_tiles
from retinaj.training.image_store import ImageStore
from retinaj.training.step import ValidationStep
from retinaj.training.validation_images import ValidationImage, validation_grid, validation_images

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
        of_tiles: list[tuple[float, Boxes]] = []
        for image in validation_images(self._samples, self._record, self._store):
            of_tiles.append(self._search(image))
            if len(of_tiles) == len(image.grid.tiles):
                losses.append(float(np.mean([loss for loss, _ in of_tiles])))
                parts = [boxes for _, boxes in of_tiles]
                found.append(merge_tiles(image.grid, parts, self._record.network.overlap) if len(parts) > 1 else parts[0])
                of_tiles = []
        truth = [sample.boxes for sample in self._samples]
        # In tiles a model may give more, and all of them count.
        most = max(self._record.network.max_detections, *map(len, found))
        return float(np.mean(losses)), evaluate_boxes(truth, found, max_detections=most)

    def seconds(self) -> float:
        """How long validation takes on all images, guessed from the first few."""
        times: list[float] = []
        images = validation_images(self._samples, self._record, self._store)
        for image in islice(images, _MEASURED_IMAGES):
            began = time.perf_counter()
            self._step(image.image, image.targets.label, image.targets.boxes)
            times.append(time.perf_counter() - began)
        count = sum(len(validation_grid(sample, self._record, self._store).tiles) for sample in self._samples)
        return median(times[1:] or times) * count

    def _search(self, image: ValidationImage) -> tuple[float, Boxes]:
        """(loss, boxes in pixels of the whole image) of an image or a tile."""
        loss, rows = self._step(image.image, image.targets.label, image.targets.boxes)
        tile = image.tile
        boxes = self._boxes(rows).clipped(tile.right - tile.left, tile.bottom - tile.top)
        return loss, boxes.select(boxes.area > 0).moved(tile.left, tile.top)  # as `Detector` does it: none in the padding

    def _boxes(self, rows: NDArray[np.float32]) -> Boxes:
        rows = rows[rows[:, 4] > 0]
        return Boxes(rows[:, :4], rows[:, 5].astype(np.int32) - 1, self._record.class_names, rows[:, 4])
