"""A network of our own, opened by its path as a user gives it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
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
