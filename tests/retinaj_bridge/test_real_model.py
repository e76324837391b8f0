"""A network of our own, and detectors of other programs, opened by their paths as a user gives them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_detectors import detector, expected_rows, spots
from tiny_models import noise_pixels, write_tiny_model
from written_images import write_image

import retinaj_zoo
from retinaj.annotations.imagej_roi import roi_names
from retinaj.images import read_image
from retinaj_bridge import MacroOutcome


def test_entries_equal_the_prediction(
    run_macro: Callable[..., MacroOutcome], imagej: Callable[[str], Any], tmp_path: Path
) -> None:
    model = write_tiny_model(tmp_path / "a model", channels=1, pixel_type="uint16")
    image = write_image(tmp_path / "a.tif", noise_pixels(96, 110, 1, "uint16", seed=5)[..., 0])
    expected = retinaj_zoo.open_model(model).detect(read_image(image), threshold=0.45, overlap=0.3)
    assert len(expected) > 5
    run_macro(f'open("{image}"); run("RetinaJ Detect...", "model=[{model}] threshold=0.45 overlap=0.3");')
    rois = imagej("ij.plugin.frame.RoiManager").getInstance().getRoisAsArray()
    assert [str(roi.getName()) for roi in rois] == roi_names(expected)
    bounds = [roi.getFloatBounds() for roi in rois]
    corners = [(b.getX(), b.getY(), b.getX() + b.getWidth(), b.getY() + b.getHeight()) for b in bounds]
    np.testing.assert_array_equal(corners, expected.xyxy)


# Brightnesses well apart, so that the order of the boxes is certain.
PLACES = tuple((12 + 14 * (i // 6), 9 + 15 * (i % 6), 250 - 6 * i) for i in range(18))


@pytest.mark.parametrize(
    ("form", "outputs", "size"),
    [
        ("torchvision", "torchvision", None),
        ("torchvision_scores_first", "torchvision", None),
        ("rows", "ultralytics", None),
        ("rows_and_masks", "ultralytics", None),
        ("raw", "ultralytics", (80, 110)),
        ("raw_and_masks", "ultralytics", None),
    ],
)
def test_detectors_of_other_programs(
    run_macro: Callable[..., MacroOutcome],
    imagej: Callable[[str], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    outputs: str,
    size: tuple[int, int] | None,
) -> None:
    from retinaj_zoo.checking import CheckResult
    from retinaj_zoo.foreign_graph import ForeignOptions
    from retinaj_zoo.foreign_packaging import package_foreign
    from retinaj_zoo.metadata import Citation, Metadata

    image = write_image(tmp_path / "spots.tif", spots((80, 110), *PLACES))
    (tmp_path / "theirs.onnx").write_bytes(detector(form, size=size).SerializeToString())
    monkeypatch.setattr("retinaj_zoo.finishing.check_package", lambda package: CheckResult(1, 0.0, ()))
    package = tmp_path / "theirs.zip"
    metadata = Metadata(license="MIT", cite=(Citation(text="Their paper", url="https://example.org/paper"),))
    options = ForeignOptions(outputs, ("even", "odd"))
    package_foreign(tmp_path / "theirs.onnx", package, options=options, image=image, metadata=metadata, log=lambda line: None)
    run_macro(f'open("{image}"); run("RetinaJ Detect...", "model=[{package}] threshold=0.5");')
    rois = imagej("ij.plugin.frame.RoiManager").getInstance().getRoisAsArray()
    expected = expected_rows(*PLACES)
    bounds = [roi.getFloatBounds() for roi in rois]
    corners = [(b.getX(), b.getY(), b.getX() + b.getWidth(), b.getY() + b.getHeight()) for b in bounds]
    np.testing.assert_allclose(corners, expected[:, :4].clip(0, [110, 80, 110, 80]), atol=1e-3)
    names = [("even", "odd")[int(label) - 1] for label in expected[:, 5]]
    assert [str(roi.getProperty("class")) for roi in rois] == names
