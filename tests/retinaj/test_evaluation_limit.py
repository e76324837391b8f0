"""An evaluation says when the model's largest number of boxes decides what is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from discs import CLASSES, write_discs
from numpy.typing import NDArray

from retinaj.evaluation.run import evaluate
from retinaj.normalization import FixedScale
from retinaj.prediction.detector import Detector


class SameBoxes:
    """Stands for a network: two confident boxes and a doubtful one on every image."""

    def __call__(self, batch: NDArray[np.float32], overlap: float) -> NDArray[np.float32]:
        rows = [(5, 5, 20, 20, 0.9, 1), (40, 40, 60, 60, 0.8, 2), (70, 70, 90, 90, 0.1, 1)]
        return np.array([rows] * len(batch), np.float32)


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (3, ["3 images, such as disc00, have more annotated objects than the 3 boxes"]),  # the fourth image is empty
        (2, ["3 images, such as disc00, have more", "on 4 images, such as disc00, the model found 2 boxes, as many as"]),
        (6, []),
    ],
)
def test_warns_where_the_limit_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, expected: list[str]
) -> None:
    monkeypatch.setattr("retinaj.report.write_report", lambda path, **content: None)  # its figures are not the point
    images, annotations = write_discs(tmp_path, 4)
    detector = Detector("same", CLASSES, 1, FixedScale(), SameBoxes(), 0.05, 0.5, most)
    warnings = evaluate(images, annotations, detector, tmp_path / "out", threshold=0.4).warnings
    assert len(warnings) == len(expected)
    for warning, start in zip(warnings, expected, strict=True):
        assert warning.startswith(start)
