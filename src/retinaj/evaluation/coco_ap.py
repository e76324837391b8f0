"""COCO's average precision by faster-coco-eval, whose figures equal pycocotools'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from retinaj.boxes import Boxes

# AP@.3 first, for objects that need only be found and counted; then COCO's own ten.
IOU_THRESHOLDS = np.array([0.3, *np.linspace(0.5, 0.95, 10)])
RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class CocoCurves:
    """Interpolated precision, and the score where it is reached, for every IoU threshold, recall and class.

    Attributes:
        precision: float [11 IoU thresholds, 101 recalls, classes]; -1 for classes without objects.
        score: float, of the same shape; 0 where a recall is never reached.
    """

    precision: NDArray[np.float64]
    score: NDArray[np.float64]

    def average(self, thresholds: slice, label: int | None = None) -> float | None:
        """Mean precision over a range of IoU thresholds, of one class or of all that have objects; None without objects."""
        chosen = self.precision[thresholds] if label is None else self.precision[thresholds, :, label]
        chosen = chosen[chosen > -1]
        return min(1.0, float(chosen.mean())) if chosen.size else None


AP30, AP50, AP75, AP = slice(0, 1), slice(1, 2), slice(6, 7), slice(1, None)


def coco_curves(ground_truth: Sequence[Boxes], predictions: Sequence[Boxes], *, max_detections: int) -> CocoCurves:
    """Evaluate boxes in the pixel coordinates that they have.

    Args:
        ground_truth: objects, one Boxes per image.
        predictions: scored detections, one Boxes per image.
        max_detections: how many detections of each class and image count. COCO's summary always takes 100, which is too few
            for a field full of nuclei; so the figures are computed here from the precision array.
    """
    truth, predicted = _as_coco(ground_truth), _as_coco(predictions)
    evaluation = COCOeval_faster(truth, predicted, iouType="bbox", print_function=_quiet)
    evaluation.params.iouThrs = IOU_THRESHOLDS
    evaluation.params.recThrs = RECALLS
    evaluation.params.maxDets = [max_detections]
    evaluation.params.areaRng = [[0, 1e10]]
    evaluation.params.areaRngLbl = ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    # [IoU, recall, class, area range, detections]
    precision = np.asarray(evaluation.eval["precision"], np.float64)[..., 0, 0]
    return CocoCurves(precision, np.asarray(evaluation.eval["scores"], np.float64)[..., 0, 0])


def _as_coco(images: Sequence[Boxes]) -> COCO:
    annotations: list[dict[str, Any]] = []
    for image_id, boxes in enumerate(images, 1):
        corners = boxes.xyxy.astype(np.float64)
        sides = corners[:, 2:] - corners[:, :2]
        scores = [0.0] * len(boxes) if boxes.score is None else boxes.score.tolist()
        for corner, side, label, score in zip(corners.tolist(), sides.tolist(), boxes.label.tolist(), scores, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": label + 1,
                    "bbox": [corner[0], corner[1], *side],
                    "area": side[0] * side[1],
                    "iscrowd": 0,
                    "score": score,
                }
            )
    return COCO(
        {
            "images": [{"id": image_id} for image_id in range(1, len(images) + 1)],
            "annotations": annotations,
            "categories": [{"id": at, "name": name} for at, name in enumerate(images[0].class_names, 1)],
        },
        print_function=_quiet,
    )


def _quiet(*_: object) -> None:
    """Takes the place of the library's printing."""
