"""Other people's ONNX detectors behind our graph's interface: `image` [1, y, x, channel] in, `detections` [1, K, 6] out.

The foreign graph stays as it is, every name in it prefixed, between a front that brings the image into its form and a back that
brings its boxes into ours, both in its own opset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx
from onnx import TensorProto, compose, helper

from retinaj.errors import RetinaJError
from retinaj.prediction.onnx_runtime import INPUT, OUTPUT, OVERLAP
from retinaj_zoo.foreign_signature import (
    ForeignInput,
    ForeignOutputs,
    check_columns,
    find_input,
    find_outputs,
    load_foreign,
    names_in_file,
    opset_of,
    row_limit,
)
from retinaj_zoo.onnx_nodes import OnnxNodes

_PREFIX = "foreign/"
_COLUMNS = 6  # of the output: x_min, y_min, x_max, y_max, score, label
# The grey that Ultralytics pads with, which is also about ImageNet's mean: a share of the pixel range.
_PADDING = 114 / 255
# Roi and scales became optional inputs of Resize.
_RESIZE_BY_SIZES = 13


@dataclass(frozen=True)
class ForeignOptions:
    """How a foreign detector is to be understood.

    Attributes:
        outputs: `torchvision`: boxes [N, 4] as x_min, y_min, x_max, y_max in pixels, then labels [N], whole numbers, and
            scores [N], or scores and labels. `ultralytics`: first output either rows [1, N, 6] of x_min, y_min, x_max, y_max,
            score, class, or raw [1, 4 + C, A] of centre x and y, width, height and C scores; its files say whether masks or
            keypoints follow. Or the same by name: `boxes=a,labels=b,scores=c`, `rows=a`, `raw=a`.
        class_names: in the order of its labels; may be empty if the file names them, as Ultralytics's do.
        first_label: the number of the first class; default: 1 for boxes, where 0 is background, and 0 for rows.
        pixel_range: what it wants the black and white of 8-bit images to be.
        mean, std: of each channel, subtracted and divided by after that; empty for none.
        multiple: of a graph of free size: pad images to whole multiples of this; default: 1 for boxes, 32 for others.
        max_detections: K, at most; a graph that always gives fewer rows has their number as K.
        score_floor: boxes below it are never reported.
        overlap: default of NMS; default: 0.5 for raw outputs, and 1, which drops nothing, for others, which had theirs.
    """

    outputs: str
    class_names: tuple[str, ...] = ()
    first_label: int | None = None
    pixel_range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    multiple: int | None = None
    max_detections: int = 300
    score_floor: float = 0.02
    overlap: float | None = None


@dataclass(frozen=True)
class WrappedDetector:
    """A foreign detector with our interface.

    Attributes:
        model: the graph: input `image`, float32 [1, y, x, channel] in the pixel range; overridable initializer `overlap`;
            output `detections` as `retinaj.prediction.detector.Runtime` describes it.
        opset: of the graph.
        class_names: in the order of the labels.
        channels: of the image.
        overlap: the default of NMS.
        max_detections: K.
        description: how the original was understood, for people.
    """

    model: bytes
    opset: int
    class_names: tuple[str, ...]
    channels: int
    overlap: float
    max_detections: int
    description: str


def wrap_detector(content: bytes, options: ForeignOptions, origin: str) -> WrappedDetector:
    """Put a foreign ONNX detector behind our interface.

    Images of any size go in: a graph of free size gets them padded to `multiple` at the bottom and right; a graph of fixed size
    gets them scaled to fit, proportions kept, and padded. Boxes come back in pixels of the image, best first, after NMS per
    class at `overlap`, clipped to the image. Left out are boxes that lie outside it, in the padding, and labels that no class
    name belongs to.

    Args:
        content: of the .onnx file.
        options: how to understand it.
        origin: its name, for messages.

    Raises:
        RetinaJError: if it is not ONNX, older than opset 11, refers to other files, or its input, outputs or classes are not
            what `options` say.
    """
    model = load_foreign(content, origin)
    source = find_input(model, origin)
    outputs = find_outputs(model, options.outputs, origin)
    names = options.class_names or names_in_file(model, origin)
    outputs = check_columns(model, outputs, len(names), origin)
    for option, values in (("mean", options.mean), ("std", options.std)):
        if values and len(values) != source.channels:
            raise RetinaJError(f"--{option} has {len(values)} values, but {origin} takes {source.channels} channels.")
    opset = opset_of(model)
    multiple = options.multiple or (1 if outputs.kind == "boxes" else 32)
    first_label = int(outputs.kind == "boxes") if options.first_label is None else options.first_label
    overlap = (0.5 if outputs.kind == "raw" else 1.0) if options.overlap is None else options.overlap
    graph = OnnxNodes()
    size = graph.size(INPUT, 1), graph.size(INPUT, 2)
    scale = _prepare_image(graph, source, options, multiple, size, opset)
    front = len(graph.nodes)
    boxes, scores, labels = _read_outputs(graph, outputs, first_label, len(names))
    most = min(options.max_detections, row_limit(model, outputs) or options.max_detections)
    _to_detections(graph, (boxes, scores, labels), size, scale, len(names), most, options.score_floor)
    wrapped = _assembled(model, graph, front, source, most, overlap)
    try:
        onnx.checker.check_model(wrapped)
    except Exception as error:  # the checker's errors have no common base class
        raise RetinaJError(f"{origin} cannot be wrapped: {' '.join(str(error).split())[:300]}") from error
    return WrappedDetector(
        model=wrapped.SerializeToString(),
        opset=opset,
        class_names=names,
        channels=source.channels,
        overlap=overlap,
        max_detections=most,
        description=_described(source, outputs, multiple),
    )


def _prepare_image(
    graph: OnnxNodes, source: ForeignInput, options: ForeignOptions, multiple: int, size: tuple[str, str], opset: int
) -> tuple[str, str] | None:
    """From `image` to the foreign input; returns the factors (y, x) by which the image was scaled, if it was."""
    image = graph.add("Transpose", INPUT, perm=[0, 3, 1, 2])
    scale: tuple[str, str] | None = None
    margins: list[str] = []
    if source.size is not None:
        wanted = [graph.floats(side) for side in source.size]
        ratio = graph.add("Min", *(graph.add("Div", side, now) for side, now in zip(wanted, size, strict=True)))
        half, one = graph.floats(0.5), graph.floats(1)
        fitted = [
            graph.add("Max", one, graph.add("Floor", graph.add("Add", graph.add("Mul", now, ratio), half))) for now in size
        ]
        sizes = graph.concat(graph.ints(1, source.channels), *(graph.to_int(side) for side in fitted))
        unused = "" if opset >= _RESIZE_BY_SIZES else graph.zeros(0)
        image = graph.add("Resize", image, unused, unused, sizes, mode="linear", coordinate_transformation_mode="half_pixel")
        scale = graph.add("Div", fitted[0], size[0]), graph.add("Div", fitted[1], size[1])
        margins = [graph.add("Sub", side, now) for side, now in zip(wanted, fitted, strict=True)]
    elif multiple > 1:
        step = graph.floats(multiple)
        whole = [graph.add("Mul", graph.add("Ceil", graph.add("Div", side, step)), step) for side in size]
        margins = [graph.add("Sub", side, now) for side, now in zip(whole, size, strict=True)]
    if margins:
        pads = graph.concat(graph.ints(0, 0, 0, 0, 0, 0), *(graph.to_int(margin) for margin in margins))
        low, high = options.pixel_range
        image = graph.add("Pad", image, pads, graph.floats(low + (high - low) * _PADDING, shape=()))
    if options.mean:
        image = graph.add("Sub", image, graph.floats(*options.mean, shape=(-1, 1, 1)))
    if options.std:
        image = graph.add("Div", image, graph.floats(*options.std, shape=(-1, 1, 1)))
    if not source.channels_first:
        image = graph.add("Transpose", image, perm=[0, 2, 3, 1])
    if source.rank == 3:
        image = graph.add("Gather", image, graph.ints(0, shape=()), axis=0)
    graph.add("Cast", image, to=source.element_type, output=_PREFIX + source.name)
    return scale


def _read_outputs(graph: OnnxNodes, outputs: ForeignOutputs, first_label: int, classes: int) -> tuple[str, str, str]:
    """Boxes [N, 4] xyxy in pixels of the foreign input, scores [N], labels [N] from 1, all float32."""
    found = {role: graph.to_float(_PREFIX + name) for role, name in outputs.names.items()}
    if outputs.kind == "raw":
        rows = found["raw"]
        if outputs.raw_last:
            rows = graph.reshape(rows, -1, outputs.columns)
        else:
            rows = graph.add("Transpose", graph.reshape(rows, outputs.columns, -1), perm=[1, 0])
        centre = graph.columns(rows, 0, 2)
        half = graph.add("Mul", graph.columns(rows, 2, 4), graph.floats(0.5))
        boxes = graph.concat(graph.add("Sub", centre, half), graph.add("Add", centre, half), axis=1)
        scores, labels = graph.top(graph.columns(rows, 4, 4 + classes), 1, axis=1)
        labels, first_label = graph.to_float(labels), 0
    elif outputs.kind == "rows":
        rows = graph.reshape(found["rows"], -1, outputs.columns)
        boxes, scores, labels = (graph.columns(rows, start, stop) for start, stop in ((0, 4), (4, 5), (5, 6)))
    else:
        boxes, scores, labels = graph.reshape(found["boxes"], -1, 4), found["scores"], found["labels"]
    labels = graph.add("Add", graph.reshape(labels, -1), graph.floats(1 - first_label))
    return boxes, graph.reshape(scores, -1), labels


def _to_detections(
    graph: OnnxNodes,
    found: tuple[str, str, str],
    size: tuple[str, str],
    scale: tuple[str, str] | None,
    classes: int,
    most: int,
    score_floor: float,
) -> None:
    """Boxes, scores and labels to `detections`."""
    boxes, scores, labels = found
    if scale is not None:
        boxes = graph.add("Div", boxes, graph.concat(scale[1], scale[0], scale[1], scale[0]))
    # K rows of score 0 more: so there is never nothing, which some operators refuse.
    boxes, scores, labels = (
        graph.concat(value, graph.zeros(*shape)) for value, shape in ((boxes, (most, 4)), (scores, (most,)), (labels, (most,)))
    )
    limit = graph.concat(size[1], size[0], size[1], size[0])
    clipped = graph.add("Min", graph.add("Max", boxes, graph.floats(0)), limit)
    lengths = graph.add("Sub", graph.columns(clipped, 2, 4), graph.columns(clipped, 0, 2))
    shorter = graph.reshape(graph.add("Min", graph.columns(lengths, 0, 1), graph.columns(lengths, 1, 2)), -1)
    inside = graph.add("Greater", shorter, graph.floats(0))
    scores = graph.add("Where", inside, scores, graph.floats(0))
    of_class = graph.add("Equal", graph.floats(*range(1, classes + 1), shape=(-1, 1)), graph.reshape(labels, 1, -1))
    by_class = graph.add("Where", of_class, graph.reshape(scores, 1, -1), graph.floats(0))
    kept = graph.add(
        "NonMaxSuppression",
        graph.reshape(boxes, 1, -1, 4),
        graph.reshape(by_class, 1, classes, -1),
        graph.ints(most),
        graph.reshape(OVERLAP, 1),
        graph.floats(score_floor),
    )
    label, box = (graph.add("Gather", kept, graph.ints(column, shape=()), axis=1) for column in (1, 2))
    label = graph.add("Add", graph.to_float(label), graph.floats(1))
    columns = [graph.add("Gather", clipped, box, axis=0)]
    columns += [graph.reshape(value, -1, 1) for value in (graph.add("Gather", scores, box, axis=0), label)]
    rows = graph.concat(graph.concat(*columns, axis=1), graph.zeros(most, _COLUMNS))
    _, best = graph.top(graph.reshape(graph.columns(rows, 4, 5), -1), most, axis=0)
    best_rows = graph.add("Gather", rows, best, axis=0)
    graph.add("Reshape", best_rows, graph.ints(1, most, _COLUMNS), output=OUTPUT)


def _assembled(
    model: onnx.ModelProto, graph: OnnxNodes, front: int, source: ForeignInput, max_detections: int, overlap: float
) -> onnx.ModelProto:
    inner = compose.add_prefix(model, _PREFIX)
    float_tensor: Any = TensorProto.FLOAT
    image = helper.make_tensor_value_info(INPUT, float_tensor, [1, "y", "x", source.channels])
    option = helper.make_tensor_value_info(OVERLAP, float_tensor, [])
    rows = helper.make_tensor_value_info(OUTPUT, float_tensor, [1, max_detections, _COLUMNS])
    default = helper.make_tensor(OVERLAP, float_tensor, [], [overlap])
    nodes = [*graph.nodes[:front], *inner.graph.node, *graph.nodes[front:]]
    weights = [*inner.graph.initializer, *graph.constants, default]
    whole = helper.make_graph(nodes, "foreign detector", [image, option], [rows], weights)
    whole.sparse_initializer.extend(inner.graph.sparse_initializer)
    # Overridable initializers came with version 4 of the file format.
    return helper.make_model(whole, opset_imports=list(inner.opset_import), ir_version=max(inner.ir_version, 4))


def _described(source: ForeignInput, outputs: ForeignOutputs, multiple: int) -> str:
    if source.size is not None:
        size = f"images are scaled to fit {source.size[1]} x {source.size[0]} pixels and padded"
    elif multiple > 1:
        size = f"images are padded to multiples of {multiple} pixels"
    else:
        size = "images go in as they are"
    kinds = {
        "boxes": "boxes, labels and scores are outputs of the original",
        "rows": "rows of box, score and class are the output of the original",
        "raw": "the original gives a box and class scores for every anchor; NMS was added",
    }
    return f"{size}; {kinds[outputs.kind]}"
