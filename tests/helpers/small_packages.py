"""Packages of ONNX graphs that are made in milliseconds, without TensorFlow, and run as any other package does."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from retinaj.normalization import FixedScale, PercentileScale
from retinaj_zoo.foreign_record import ForeignRecord


def write_small_package(
    path: Path, boxes: NDArray[np.float32], *, pixel_type: str = "uint8", classes: tuple[str, ...] = ("even", "odd")
) -> Path:
    """A package of a grey model that finds the same boxes on every image that is bright in its top-left pixel, and else none.

    Args:
        path: of the zip to write.
        boxes: float32 [n, 6]: x_min, y_min, x_max, y_max, score, label from 1.
        pixel_type: of the images that it is for.
        classes: what the labels mean.
    """
    weights = _graph(boxes).SerializeToString()
    digest = hashlib.sha256(weights).hexdigest()
    record = ForeignRecord(
        name="Small package",
        class_names=classes,
        channels=1,
        pixel_type=pixel_type,  # pyright: ignore[reportArgumentType]
        normalization=FixedScale(gain=1 / 255, offset=0.0) if pixel_type == "uint8" else PercentileScale(),
        max_detections=max(len(boxes), 1),
        score_floor=0.05,
        overlap=0.5,
        outputs="detections",
        onnx_file="small.onnx",
        onnx_sha256=digest,
        weights_sha256=digest,
    )
    description = {
        "type": "model",
        "format_version": "0.5.4",
        "config": {"retinaj": json.loads(record.model_dump_json())},
        "weights": {"onnx": {"source": "weights.onnx", "sha256": digest}},
    }
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("rdf.yaml", json.dumps(description))  # JSON is YAML
        package.writestr("weights.onnx", weights)
    return path


def boxes_in_rows(count: int, side: int) -> NDArray[np.float32]:
    """float32 [count, 6]: small boxes on a grid over an image of `side` x `side`, scores falling, labels 1 and 2 in turn."""
    columns = int(np.ceil(np.sqrt(count)))
    pitch = side / columns
    at = np.arange(count)
    x, y = (at % columns) * pitch, (at // columns) * pitch
    scores = np.linspace(1.0, 0.5, count)
    return np.stack([x, y, x + pitch / 2, y + pitch / 2, scores, at % 2 + 1], axis=1).astype(np.float32)


def _graph(boxes: NDArray[np.float32]) -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("Slice", ["image", "zeros", "ones"], ["pixel"]),
        node("Squeeze", ["pixel", "last"], ["corner"]),
        node("Greater", ["corner", "half"], ["bright"]),
        node("Cast", ["bright"], ["wanted"], to=TensorProto.FLOAT),
        node("Mul", ["boxes", "wanted"], ["scaled"]),
        node("Mul", ["overlap", "nothing"], ["unused"]),
        node("Add", ["scaled", "unused"], ["detections"]),
    ]
    constants = {
        "zeros": np.zeros(4, np.int64),
        "ones": np.ones(4, np.int64),
        "last": np.array([3], np.int64),
        "half": np.array(0.5, np.float32),
        "boxes": boxes[None],
        "nothing": np.array(0.0, np.float32),
        "overlap": np.array(0.5, np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "small",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, "y", "x", 1]),
            helper.make_tensor_value_info("overlap", TensorProto.FLOAT, []),
        ],
        [helper.make_tensor_value_info("detections", TensorProto.FLOAT, [1, len(boxes), 6])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
