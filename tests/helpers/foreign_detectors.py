"""Small ONNX detectors in the forms of other programs: they find bright spots, so that every box can be told beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
BOX = 8
MASKS, ROWS = 3, 50


def detector(
    form: str, *, size: tuple[int, int] | None = None, layout: str = "nchw", opset: int = 17, classes: int = 2
) -> onnx.ModelProto:
    """A detector whose boxes are 8 pixels wide round the pixels brighter than 0.5; the class is 1 where x is even.

    Args:
        form: the outputs: `torchvision`, or `torchvision_scores_first`, as of its one-stage detectors; `rows` or `raw`, or with
            masks, as of Ultralytics's segmentation: `rows_and_masks` or `raw_and_masks`.
        size: (y, x) if only this size goes.
        layout: `nchw`, `nhwc` or `chw`.
        opset: of the operators.
        classes: how many.
    """
    sides: list[Any] = list(size or ("h", "w"))
    shape: list[Any] = {"nchw": [1, 3, *sides], "nhwc": [1, *sides, 3], "chw": [3, *sides]}[layout]
    masks = MASKS if form.endswith("masks") else 0
    constants = {
        "grey_axis": np.array(0),
        "threshold": np.array(0.5, np.float32),
        "pick_yx": np.array([1, 0]),
        "half": np.array(BOX / 2, np.float32),
        "two": np.array(2.0, np.float32),
        "centre": np.array(0.5, np.float32),
        "flat": np.array([-1]),
        "column": np.array([-1, 1]),
        "side": np.array(BOX, np.float32),
        "class_numbers": np.arange(classes, dtype=np.float32).reshape(1, -1),
        "batch": np.array([1, -1, 6 + masks]),
        "batch_raw": np.array([1, 4 + classes + masks, -1]),
        "no_rows": np.zeros((ROWS, 6 + masks), np.float32),
        "start": np.array([0]),
        "stop": np.array([ROWS]),
        "row_axis": np.array([0]),
        "first": np.array(1, np.int64),
        "zero": np.array(0.0, np.float32),
    }
    node = helper.make_node
    first_of_batch = node("Gather", ["images", "grey_axis"], ["image"], axis=0)
    to_plane = {
        "nchw": [first_of_batch, node("Gather", ["image", "grey_axis"], ["grey"], axis=0)],
        "nhwc": [first_of_batch, node("Gather", ["image", "grey_axis"], ["grey"], axis=2)],
        "chw": [node("Gather", ["images", "grey_axis"], ["grey"], axis=0)],
    }[layout]
    nodes = [
        *to_plane,
        node("Greater", ["grey", "threshold"], ["bright"]),
        node("NonZero", ["bright"], ["places"]),
        node("Transpose", ["places"], ["yx"], perm=[1, 0]),
        node("GatherND", ["grey", "yx"], ["scores"]),
        node("Gather", ["yx", "pick_yx"], ["xy_whole"], axis=1),
        node("Cast", ["xy_whole"], ["xy_float"], to=FLOAT),
        node("Add", ["xy_float", "centre"], ["xy"]),
        node("Sub", ["xy", "half"], ["low"]),
        node("Add", ["xy", "half"], ["high"]),
        node("Concat", ["low", "high"], ["boxes"], axis=1),
        node("Gather", ["xy_float", "grey_axis"], ["x"], axis=1),
        node("Mod", ["x", "two"], ["odd"], fmod=1),
    ]
    outputs = {
        "torchvision": [("boxes", FLOAT, ["n", 4]), ("labels", INT64, ["n"]), ("scores", FLOAT, ["n"])],
        "torchvision_scores_first": [("boxes", FLOAT, ["n", 4]), ("scores", FLOAT, ["n"]), ("labels", INT64, ["n"])],
        "rows": [("output0", FLOAT, [1, "n", 6])],
        "rows_and_masks": [("output0", FLOAT, [1, ROWS, 6 + MASKS])],
        "raw": [("output0", FLOAT, [1, 4 + classes, "a"])],
        "raw_and_masks": [("output0", FLOAT, [1, 4 + classes + MASKS, "a"])],
    }[form]
    if form.startswith("torchvision"):
        nodes += [node("Cast", ["odd"], ["odd_whole"], to=INT64), node("Add", ["odd_whole", "first"], ["labels"])]
    elif form == "rows":
        nodes += [
            node("Reshape", ["scores", "column"], ["score_column"]),
            node("Reshape", ["odd", "column"], ["odd_column"]),
            node("Concat", ["boxes", "score_column", "odd_column"], ["rows"], axis=1),
            node("Reshape", ["rows", "batch"], ["output0"]),
        ]
    elif form == "rows_and_masks":  # always as many rows, as of `nms=True`: those of no box are zeros
        nodes += [
            node("Reshape", ["scores", "column"], ["score_column"]),
            node("Reshape", ["odd", "column"], ["odd_column"]),
            *[node("Identity", ["score_column"], [f"mask{at}"]) for at in range(MASKS)],
            node("Concat", ["boxes", "score_column", "odd_column", *(f"mask{at}" for at in range(MASKS))], ["found"], axis=1),
            node("Concat", ["found", "no_rows"], ["rows"], axis=0),
            node("Slice", ["rows", "start", "stop", "row_axis"], ["rows_cut"]),
            node("Reshape", ["rows_cut", "batch"], ["output0"]),
        ]
    else:
        nodes += [
            node("Reshape", ["scores", "column"], ["score_column"]),
            node("Reshape", ["odd", "column"], ["odd_column"]),
            node("Equal", ["odd_column", "class_numbers"], ["is_class"]),
            node("Where", ["is_class", "score_column", "zero"], ["class_scores"]),
            node("Sub", ["high", "low"], ["wh"]),
            *[node("Identity", ["score_column"], [f"mask{at}"]) for at in range(masks)],
            node("Concat", ["xy", "wh", "class_scores", *(f"mask{at}" for at in range(masks))], ["anchors"], axis=1),
            node("Transpose", ["anchors"], ["columns"], perm=[1, 0]),
            node("Reshape", ["columns", "batch_raw"], ["output0"]),
        ]
    used = {name for entry in nodes for name in entry.input}
    graph = helper.make_graph(
        nodes,
        form,
        [helper.make_tensor_value_info("images", FLOAT, shape)],
        [helper.make_tensor_value_info(name, kind, dims) for name, kind, dims in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items() if name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    if masks:
        model.metadata_props.add(key="task", value="segment")
    return model


def spots(size: tuple[int, int], *places: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A black image [y, x, 3] with one bright pixel at each (y, x, brightness)."""
    image = np.zeros((*size, 3), np.uint8)
    for y, x, brightness in places:
        image[y, x] = brightness
    return image


def expected_rows(*places: tuple[int, int, int]) -> NDArray[np.float32]:
    """The detections [N, 6] of such an image, best first."""
    rows = [(x - 3.5, y - 3.5, x + 4.5, y + 4.5, value / 255, x % 2 + 1) for y, x, value in places]
    return np.array(sorted(rows, key=lambda row: -row[4]), np.float32)
