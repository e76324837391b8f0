"""How pixel values become network input: decided from all images of a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retinaj.boxes import Boxes
from retinaj.dataset import Dataset, Sample
from retinaj.errors import RetinaJError
from retinaj.model_folder import ModelRecord
from retinaj.training.plan import plan_model
from retinaj.training.settings import TrainingSettings
from retinaj.training.survey import survey_images


def samples(folder: Path, brightest: list[int], *, colour: bool = False, dtype: str = "uint8") -> tuple[Sample, ...]:
    """Images of noise, each from 0 to its brightest."""
    random = np.random.default_rng(0)
    found: list[Sample] = []
    for at, most in enumerate(brightest):
        path = folder / f"{dtype}{colour}{at}.png"
        pixels = random.integers(0, most + 1, (64, 64, 3) if colour else (64, 64)).astype(dtype)
        Image.fromarray(pixels).save(path)
        found.append(Sample(path.stem, path, Boxes([[5, 5, 40, 40]], [0], ("cell",))))
    return tuple(found)


def planned(made: tuple[Sample, ...], **settings: object) -> tuple[ModelRecord, str]:
    data = Dataset(("cell",), made)
    lines: list[str] = []
    record = plan_model("a", data, data, TrainingSettings(**settings), lines.append)
    return record, "\n".join(lines)


def test_the_survey_counts_the_grey_values_between_the_percentiles(tmp_path: Path) -> None:
    made = samples(tmp_path, [30, 200])
    spans = survey_images(made).spans
    for sample, span in zip(made, spans, strict=True):
        low, high = np.percentile(np.asarray(Image.open(sample.image_path)), [1, 99.8], method="inverted_cdf")
        assert span == high - low


@pytest.mark.parametrize(
    ("brightest", "colour", "kind"),
    [
        ([30, 90, 240], False, "percentile"),
        ([200, 220, 240], False, "fixed"),
        ([30, 90, 240], True, "fixed"),
    ],
)
def test_grey_images_that_are_exposed_differently_are_each_stretched(tmp_path, brightest, colour, kind) -> None:
    record, said = planned(samples(tmp_path, brightest, colour=colour))
    assert record.normalization.kind == kind
    assert ("exposed differently" in said) == (kind == "percentile")
    assert record.pixel_type == "uint8"


def test_what_is_asked_for_goes_before_it(tmp_path: Path) -> None:
    assert planned(samples(tmp_path, [30, 90, 240]), normalization="fixed")[0].normalization.kind == "fixed"
    assert planned(samples(tmp_path, [240, 240]), normalization="percentile")[0].normalization.kind == "percentile"


def test_the_fixed_scale_is_refused_for_other_pixels(tmp_path: Path) -> None:
    with pytest.raises(RetinaJError, match="--normalization fixed is for 8-bit images, and among these are uint16 ones"):
        planned(samples(tmp_path, [3000, 4000], dtype="uint16"), normalization="fixed")
