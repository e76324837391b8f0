"""The model folder and the three weight formats are one detector."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tiny_models import Packaged, as_image, assert_same_boxes, noise_pixels

from retinaj.prediction import open_model as open_model_folder
from retinaj.prediction.detector import Detector
from retinaj_zoo import open_package
from retinaj_zoo.description import FILES


def keras_weights(unpacked: Path) -> Callable[[NDArray[np.float32]], Any]:
    """As bioimageio.core loads them: in safe mode, without custom objects."""
    model = keras.models.load_model(unpacked / FILES["keras_v3"])
    return lambda batch: model(batch).numpy()


def saved_model_weights(unpacked: Path) -> Callable[[NDArray[np.float32]], Any]:
    folder = unpacked / "saved_model"
    if not folder.exists():
        with zipfile.ZipFile(unpacked / FILES["tensorflow_saved_model_bundle"]) as archive:
            archive.extractall(folder)
    loaded = tf.saved_model.load(folder)
    serve = loaded.signatures["serving_default"]
    return lambda batch: serve(image=tf.constant(batch))["detections"].numpy()


@cache
def detectors(packaged: Packaged) -> dict[str, Detector]:
    """The four forms of one model, each behind the same `Detector`."""
    folder = open_model_folder(packaged.model)

    def fixed_overlap(run: Callable[[NDArray[np.float32]], Any]) -> Detector:
        return replace(folder, runtime=lambda batch, overlap: run(batch))

    return {
        "folder": folder,
        "onnx": open_package(packaged.package),
        "keras_v3": fixed_overlap(keras_weights(packaged.unpacked)),
        "tensorflow_saved_model_bundle": fixed_overlap(saved_model_weights(packaged.unpacked)),
    }


@pytest.mark.parametrize("size", [(96, 110), (75, 101), (20, 9)], ids=str)
@pytest.mark.parametrize("weight_format", ["onnx", "keras_v3", "tensorflow_saved_model_bundle"])
def test_every_format_gives_the_boxes_of_the_model_folder(
    packaged: Packaged, weight_format: str, size: tuple[int, int]
) -> None:
    folder = detectors(packaged)["folder"]
    pixel_type = "uint8" if folder.channels == 3 else "uint16"
    image = as_image(noise_pixels(*size, folder.channels, pixel_type, seed=5))
    expected = folder.detect(image, threshold=folder.score_floor)
    assert len(expected) >= (5 if min(size) > 30 else 1)
    assert_same_boxes(detectors(packaged)[weight_format].detect(image, threshold=folder.score_floor), expected)


def test_a_batch_gives_what_its_images_give(rgb: Packaged) -> None:
    detector = detectors(rgb)["onnx"]
    images = [detector.normalization(noise_pixels(70, 90, 3, seed=seed)) for seed in range(3)]
    together = detector.runtime(np.stack(images), 0.5)
    alone = [detector.runtime(image[None], 0.5)[0] for image in images]
    np.testing.assert_allclose(together, alone, atol=1e-3)


def test_the_onnx_weights_take_any_overlap(rgb: Packaged) -> None:
    folder, package = detectors(rgb)["folder"], detectors(rgb)["onnx"]
    image = as_image(noise_pixels(96, 110, 3, seed=7))
    counts: list[int] = []
    for overlap in (0.1, 0.5, 0.9):
        expected = folder.detect(image, threshold=0.4, overlap=overlap)
        assert_same_boxes(package.detect(image, threshold=0.4, overlap=overlap), expected)
        counts.append(len(expected))
    assert counts[0] < counts[1] <= counts[2]


def test_consumers_of_the_onnx_weights_see_one_input(rgb: Packaged) -> None:
    path = rgb.unpacked / FILES["onnx"]
    session = onnxruntime.InferenceSession(path)
    assert [(value.name, value.shape) for value in session.get_inputs()] == [("image", ["batch", "y", "x", 3])]
    assert [(value.name, value.shape) for value in session.get_outputs()] == [("detections", ["batch", 40, 6])]
    assert [value.name for value in session.get_overridable_initializers()] == ["overlap"]
    image = np.load(rgb.unpacked / FILES["test_input"]).astype(np.float32) / 64 - 2
    default = session.run(None, {"image": image})[0]
    same = session.run(None, {"image": image, "overlap": np.array(0.5, np.float32)})[0]
    np.testing.assert_array_equal(default, same)


def test_the_onnx_weights_have_an_operator_set_that_jdll_reads(rgb: Packaged) -> None:
    model = onnx.load(rgb.unpacked / FILES["onnx"])
    versions = {opset.domain: opset.version for opset in model.opset_import}
    assert versions[""] <= 18
    assert model.ir_version >= 4  # initializers with defaults came with it
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}


def test_the_keras_weights_hold_stock_layers_only(rgb: Packaged) -> None:
    model: Any = keras.models.load_model(rgb.unpacked / FILES["keras_v3"], safe_mode=True)
    modules = {type(layer).__module__.split(".")[0] for layer in model.layers}
    assert modules == {"keras"}
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in model.layers)


def test_the_saved_model_stores_its_weights_once(rgb: Packaged) -> None:
    loaded: Any = tf.saved_model.load(str(_unzipped(rgb)))
    sizes = rgb.summary.weights_bytes
    assert sizes["tensorflow_saved_model_bundle"] < 1.1 * sizes["onnx"]
    signature = loaded.signatures["serving_default"]
    assert not signature.variables
    assert list(signature.structured_input_signature[1]) == ["image"]
    assert list(signature.structured_outputs) == ["detections"]


def _unzipped(packaged: Packaged) -> Path:
    saved_model_weights(packaged.unpacked)
    return packaged.unpacked / "saved_model"
