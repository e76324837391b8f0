"""A model that needs no training, to try everything out with: it finds bright pixels, so that every box is known beforehand."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from retinaj.normalization import FixedScale
from retinaj.prediction.onnx_runtime import INPUT, OUTPUT, OVERLAP
from retinaj_zoo.foreign_record import ForeignRecord

NAME = "RetinaJ trial model"
CLASS_NAMES = ("left", "right")
# A box reaches this far from the middle of its pixel.
HALF = 4.0
# A pixel is an object above this share of 255, which is also its score.
BRIGHT = 0.5
MAX_DETECTIONS = 500
_OPSET, _IR_VERSION = 17, 8  # what ONNX Runtime has read since 2022


def write_trial_package(path: Path) -> Path:
    """Write a package.zip that `retinaj_zoo.open_package` opens, for grey images of 8 bits.

    Its detector finds every pixel brighter than BRIGHT x 255: a box of 2 x HALF pixels around it, of the class "left" at even x
    and "right" at odd x, with the score brightness / 255.
    """
    weights = trial_graph().SerializeToString()
    digest = hashlib.sha256(weights).hexdigest()
    record = ForeignRecord(
        name=NAME,
        class_names=CLASS_NAMES,
        channels=1,
        pixel_type="uint8",
        normalization=FixedScale(gain=1 / 255, offset=0.0),
        max_detections=MAX_DETECTIONS,
        score_floor=BRIGHT,
        overlap=0.5,
        outputs="made by RetinaJ",
        onnx_file="weights.onnx",
        onnx_sha256=digest,
        weights_sha256=digest,
    )
    description = {
        "type": "model",
        "format_version": "0.5.4",
        "name": NAME,
        "config": {"retinaj": record.model_dump(mode="json")},
        "weights": {"onnx": {"source": "weights.onnx", "sha256": digest}},
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rdf.yaml", json.dumps(description))  # JSON is YAML
        archive.writestr("weights.onnx", weights)
    return path


def trial_image(*places: tuple[int, int, int], height: int = 64, width: int = 96) -> NDArray[np.uint8]:
    """A black image uint8 [height, width] with a pixel of this brightness at each (y, x, brightness)."""
    image = np.zeros((height, width), np.uint8)
    for y, x, brightness in places:
        image[y, x] = brightness
    return image


def trial_graph() -> onnx.ModelProto:
    """The graph: `image` [1, y, x, 1] in 0..1 -> `detections` [1, MAX_DETECTIONS, 6]."""
    node = helper.make_node
    constants = {
        OVERLAP: np.array(0.5, np.float32),
        "axes": np.array([0, 3]),
        "bright": np.array(BRIGHT, np.float32),
        "half": np.array(HALF, np.float32),
        "centre": np.array(0.5, np.float32),
        "zero": np.array(0.0, np.float32),
        "one": np.array(1.0, np.float32),
        "two": np.array(2.0, np.float32),
        "yx_to_xy": np.array([1, 0]),
        "first": np.array([0]),
        "column": np.array([-1, 1]),
        "padding": np.zeros((MAX_DETECTIONS, 6), np.float32),
        "start": np.array([0]),
        "stop": np.array([MAX_DETECTIONS]),
        "batch": np.array([1, MAX_DETECTIONS, 6]),
    }
    nodes = [
        node("Squeeze", [INPUT, "axes"], ["plane"]),
        node("Greater", ["plane", "bright"], ["is_bright"]),
        node("NonZero", ["is_bright"], ["places"]),
        node("Transpose", ["places"], ["yx"], perm=[1, 0]),
        node("GatherND", ["plane", "yx"], ["scores"]),
        node("Gather", ["yx", "yx_to_xy"], ["xy_whole"], axis=1),
        node("Cast", ["xy_whole"], ["xy"], to=TensorProto.FLOAT),
        node("Add", ["xy", "centre"], ["middle"]),
        node("Sub", ["middle", "half"], ["low"]),
        node("Add", ["middle", "half"], ["high"]),
        node("Gather", ["xy", "first"], ["x"], axis=1),
        node("Mod", ["x", "two"], ["odd"], fmod=1),
        node("Add", ["odd", "one"], ["labels"]),
        node("Reshape", ["scores", "column"], ["score_column"]),
        # No two pixels have one box, so that there is nothing to suppress; the graph must take an overlap all the same.
        node("Mul", [OVERLAP, "zero"], ["nothing"]),
        node("Add", ["score_column", "nothing"], ["final_scores"]),
        node("Concat", ["low", "high", "final_scores", "labels"], ["found"], axis=1),
        node("Concat", ["found", "padding"], ["padded"], axis=0),
        node("Slice", ["padded", "start", "stop", "first"], ["rows"]),
        node("Reshape", ["rows", "batch"], [OUTPUT]),
    ]
    graph = helper.make_graph(
        nodes,
        "trial",
        [
            helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, "y", "x", 1]),
            helper.make_tensor_value_info(OVERLAP, TensorProto.FLOAT, []),  # with a default, below
        ],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, MAX_DETECTIONS, 6])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
