"""Stacks in ImageJ: the channels that the model was trained on, and palettes as the reader takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from fake_detector import fake_detector, patches
from tiny_models import tiny_record

from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj.images.plane_choice import PlaneChoice
from retinaj.prediction.detector import Detector
from retinaj_bridge import MacroOutcome, to_xarray

Classes = Callable[[str], Any]
RunMacro = Callable[..., MacroOutcome]
Serve = Callable[[Callable[[Path], Detector]], None]


def detector_of(channels: tuple[int | str, ...]) -> Detector:
    """A detector that was trained on one of several channels."""
    record = tiny_record(1, "uint8")
    settings = record.training.settings.model_copy(update={"planes": PlaneChoice(channels=channels)})
    training = record.training.model_copy(update={"settings": settings})
    return replace(fake_detector(1), record=record.model_copy(update={"training": training}))


def test_the_model_looks_at_the_channel_that_it_was_trained_on(
    run_macro: RunMacro, imagej: Classes, serve: Serve, tmp_path: Path
) -> None:
    pixels = np.stack([np.stack([patches(2 * z + c) for c in range(3)]) for z in range(2)])
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata={"axes": "ZCYX"})
    (tmp_path / "model").mkdir()
    code = f'open("{tmp_path / "a.tif"}"); run("RetinaJ Detect...", "model=[{tmp_path}/model] replace");'
    serve(lambda path: detector_of((2,)))
    run_macro(code)
    expected = detector_of((2,)).detect(read_image(tmp_path / "a.tif"))
    rois = list(imagej("ij.plugin.frame.RoiManager").getInstance().getRoisAsArray())
    assert len(rois) > 0
    assert expected.plane is not None
    corners = [(b.x, b.y, b.x + b.width, b.y + b.height) for b in (roi.getFloatBounds() for roi in rois)]
    np.testing.assert_array_equal(corners, expected.xyxy)
    assert [roi.getZPosition() - 1 for roi in rois] == expected.plane[:, 2].tolist()
    run_macro(code.replace("replace", "replace channel=2"))
    by_number = list(imagej("ij.plugin.frame.RoiManager").getInstance().getRoisAsArray())
    assert [str(roi.getFloatBounds()) for roi in by_number] == [str(roi.getFloatBounds()) for roi in rois]
    serve(lambda path: detector_of(("DAPI",)))
    with pytest.raises(RetinaJError, match=r"looks at channel DAPI .* it has 3, without names.* channel=1 to channel=3"):
        run_macro(code)


@pytest.mark.parametrize("kind", ["green", "hot", "colours"])
def test_palettes_of_tiffs_as_the_reader_takes_them(imagej: Classes, tmp_path: Path, kind: str) -> None:
    ramp = np.arange(256)
    tables = {
        "green": np.stack([ramp * 0, ramp, ramp * 0]),
        "hot": np.clip(np.stack([3 * ramp, 3 * ramp - 255, 3 * ramp - 510]), 0, 255),
        "colours": np.random.default_rng(0).integers(0, 256, (3, 256)),
    }
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, patches(), photometric="palette", colormap=(tables[kind] * 257).astype(np.uint16))
    image = imagej("ij.IJ").openImage(str(path))
    np.testing.assert_array_equal(to_xarray(image), read_image(path))
    assert ("c" in read_image(path).dims) == (kind == "colours")
