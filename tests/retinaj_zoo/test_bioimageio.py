"""bioimageio.core sees in a package what RetinaJ sees in the model."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bioimageio.core import create_prediction_pipeline, load_model_description
from bioimageio.core.digest_spec import create_sample_for_model
from numpy.typing import NDArray
from tiny_models import Packaged, noise_pixels

from retinaj.errors import RetinaJError
from retinaj_zoo import open_package
from retinaj_zoo.checking import check_package
from retinaj_zoo.description import FILES
from retinaj_zoo.untrusted_yaml import load_yaml


def core_detections(packaged: Packaged, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """[K, 6] for one image [y, x, channel], through core's own preprocessing."""
    model = load_model_description(packaged.package, perform_io_checks=False)
    with create_prediction_pipeline(model, weight_format="onnx") as pipeline:
        sample = create_sample_for_model(model, inputs={"image": pixels[None]})
        result = pipeline.predict_sample_without_blocking(sample)
    return result.members["detections"].data.to_numpy()[0]


@pytest.mark.parametrize(("pixel_type", "size"), [("uint8", (96, 110)), ("uint16", (77, 91)), ("float32", (64, 50))], ids=str)
def test_core_predicts_what_retinaj_predicts(packaged: Packaged, pixel_type: str, size: tuple[int, int]) -> None:
    detector = open_package(packaged.package)
    values = "uint8" if detector.channels == 3 else "uint16"  # what the model was made for; the type is another matter
    pixels = noise_pixels(*size, detector.channels, values, seed=4).astype(pixel_type)
    expected = detector.runtime(detector.normalization(pixels)[None], detector.overlap)[0]
    assert (expected[:, 4] > 0).sum() >= 5
    np.testing.assert_allclose(core_detections(packaged, pixels), expected, atol=1e-3, rtol=1e-4)


def onnx_only(packaged: Packaged, target: Path, test_output: NDArray[np.float32]) -> Path:
    """The package with its ONNX weights alone, which test in a third of the time, and another test output."""
    np.save(target / "test_output.npy", test_output)
    content = (target / "test_output.npy").read_bytes()
    with zipfile.ZipFile(packaged.package) as source, zipfile.ZipFile(target / "onnx.zip", "w") as archive:
        description = load_yaml(source.read("rdf.yaml"), "rdf.yaml")
        description["weights"] = {"onnx": {**description["weights"]["onnx"], "parent": None}}
        description["outputs"][0]["test_tensor"]["sha256"] = hashlib.sha256(content).hexdigest()
        for name in source.namelist():
            replaced = name in ("rdf.yaml", FILES["test_output"])
            if not replaced and (name == FILES["onnx"] or not name.startswith("weights")):
                archive.writestr(name, source.read(name))
        archive.writestr("rdf.yaml", json.dumps(description))
        archive.writestr(FILES["test_output"], content)
    return target / "onnx.zip"


def test_a_wrong_test_output_fails_in_a_fresh_process(rgb: Packaged, tmp_path: Path) -> None:
    output = np.load(rgb.unpacked / FILES["test_output"])
    result = check_package(onnx_only(rgb, tmp_path, output))
    assert result.checks > 3
    output[0, 0, 0] += 3
    with pytest.raises(RetinaJError, match="1 of 240 elements disagree"):
        check_package(onnx_only(rgb, tmp_path, output))


def test_a_file_that_is_no_package_fails_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "p.zip").write_bytes(b"nothing")
    with pytest.raises(RetinaJError, match=r"test of the package failed\. ."):
        check_package(tmp_path / "p.zip")
