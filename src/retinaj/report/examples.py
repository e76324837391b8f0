"""Images beside their ground truth: which went well, which did not, and how that looks."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retinaj.boxes import Boxes
from retinaj.dataset import Sample
from retinaj.evaluation.matching import Matches, match_boxes
from retinaj.images.reducing import reduced
from retinaj.prediction.overlay import to_rgb

_LONGEST_SIDE = 900  # of a picture in the page, in pixels
# Reading a large image, as many are kept, so that what is shown is averaged once more.
_ENOUGH = 4 * _LONGEST_SIDE
_MOST_LABELS = 40  # more would cover the picture; the numbers still show under the mouse


@dataclass(frozen=True)
class DrawnBox:
    """One box as the page draws it, in pixels of the image."""

    x: float
    y: float
    width: float
    height: float
    name: str
    label: str
    right: bool


@dataclass(frozen=True)
class ImageReport:
    """One image of the evaluation.

    Attributes:
        sample: the image and its objects.
        detections: those from the threshold on, the best first.
        matches: of the two.
        picture: the image as a data URL; "" until `with_picture`.
        size: (width, height) in pixels; (0, 0) until `with_picture`.
    """

    sample: Sample
    detections: Boxes
    matches: Matches
    picture: str = ""
    size: tuple[int, int] = (0, 0)

    @property
    def f1(self) -> float:
        """1 for an image without objects on which nothing was found."""
        right, wrong = self.matches.true_positives, self.matches.false_positives + self.matches.false_negatives
        return 2 * right / (2 * right + wrong) if right or wrong else 1.0

    @property
    def objects(self) -> list[DrawnBox]:
        """The ground truth; `right` is whether it was found."""
        return drawn_boxes(self.sample.boxes, self.matches.found)

    @property
    def found(self) -> list[DrawnBox]:
        """The detections; `right` is whether there is such an object."""
        return drawn_boxes(self.detections, self.matches.partner >= 0)

    @property
    def labelled(self) -> bool:
        """Whether scores are written beside the detections."""
        return len(self.detections) <= _MOST_LABELS

    def with_picture(self) -> ImageReport:
        """The same, with the image read and made small enough for a page.

        Raises:
            RetinaJError: if the image cannot be read.
        """
        image = self.sample.open()
        pixels = to_rgb(reduced(image, _ENOUGH)[0])
        return replace(self, picture=picture_address(pixels, _LONGEST_SIDE), size=(image.sizes["x"], image.sizes["y"]))


def review_images(samples: Sequence[Sample], predictions: Sequence[Boxes], threshold: float) -> list[ImageReport]:
    """Every image with its matches at the threshold, the worst F1 first, of equals the one with more objects."""
    reviews: list[ImageReport] = []
    for sample, predicted in zip(samples, predictions, strict=True):
        kept = predicted.by_score()
        kept = kept if kept.score is None else kept.select(kept.score >= np.float32(threshold))
        reviews.append(ImageReport(sample, kept, match_boxes(sample.boxes, kept)))
    # ... and at the good end of the list, equals with more objects are the better ones
    return sorted(reviews, key=lambda review: (review.f1, len(review.sample.boxes) * (1 if review.f1 > 0.5 else -1)))


def picture_address(pixels: NDArray[np.uint8], longest_side: int) -> str:
    """Pixels uint8 [y, x, 3] as a data URL, made smaller where a side is longer than `longest_side` pixels."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest_side, longest_side))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def drawn_boxes(boxes: Boxes, right: NDArray[np.bool_]) -> list[DrawnBox]:
    """Boxes for a page; `right` bool [N] says which are drawn as right."""
    score = [""] * len(boxes) if boxes.score is None else [f"{value:.2f}" for value in boxes.score]
    corners = boxes.xyxy.astype(np.float64).round(2).tolist()
    return [
        DrawnBox(x_min, y_min, x_max - x_min, y_max - y_min, name, label, bool(is_right))
        for (x_min, y_min, x_max, y_max), name, label, is_right in zip(corners, boxes.names, score, right, strict=True)
    ]
