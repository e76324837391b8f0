"""What a foreign ONNX detector takes and gives: found in the file, compared with what its user says."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import Any, Literal

import onnx
from onnx import TensorProto, inliner

from retinaj.errors import RetinaJError
from retinaj.prediction.onnx_runtime import has_external_data

_OLDEST_OPSET = 11
_LARGEST_SIDE = 8192
_LONGEST_NAMES = 200_000
OutputKind = Literal["boxes", "rows", "raw"]
_NEEDED: dict[OutputKind, tuple[str, ...]] = {"boxes": ("boxes", "labels", "scores"), "rows": ("rows",), "raw": ("raw",)}
_Shape = tuple[int | None, ...]
_WHOLE = frozenset({TensorProto.INT32, TensorProto.INT64})
_ROW = 6  # x_min, y_min, x_max, y_max, score, class
# What Ultralytics calls the tasks of its models, in its files: those with boxes, and of these, those with more after them.
_BOX_TASKS = ("", "detect", "segment", "pose")
_LONGER_TASKS = ("segment", "pose")


@dataclass(frozen=True)
class ForeignInput:
    """The image input of a foreign graph.

    Attributes:
        name: of the input.
        element_type: as in onnx.TensorProto.
        rank: 4, or 3 without a batch axis.
        channels_first: [channel, y, x] and not [y, x, channel].
        channels: 1 or 3.
        size: (y, x) in pixels, or None where any size goes.
    """

    name: str
    element_type: int
    rank: int
    channels_first: bool
    channels: int
    size: tuple[int, int] | None


@dataclass(frozen=True)
class ForeignOutputs:
    """The outputs of a foreign graph.

    Attributes:
        kind: `boxes`: [N, 4], labels [N] and scores [N]; `rows`: [N, columns]; `raw`: [columns, A] or [A, columns]; each with
            or without a batch axis of 1.
        names: what the graph calls `boxes`, `labels` and `scores`, or `rows`, or `raw`.
        columns: of `rows`: 6; of `raw`: four coordinates and a score for each class. More, of masks or keypoints, are left out.
        raw_last: of `raw`: [A, columns].
    """

    kind: OutputKind
    names: dict[str, str]
    columns: int = _ROW
    raw_last: bool = False


def load_foreign(content: bytes, origin: str) -> onnx.ModelProto:
    """Parse an ONNX file and write out its local functions.

    Raises:
        RetinaJError: if it is not ONNX, older than opset 11, or refers to other files.
    """
    try:
        model = onnx.load_model_from_string(content)
        # First of all: the checker would look for the other files.
        if has_external_data(model):
            raise RetinaJError(
                f"{origin} keeps its weights in another file. Export it into one file: with PyTorch, external_data=False."
            )
        onnx.checker.check_model(model)
        model = inliner.inline_local_functions(model)
    except RetinaJError:
        raise
    except Exception as error:  # protobuf's and the checker's errors have no common base class
        raise RetinaJError(f"{origin} is not an ONNX file: {' '.join(str(error).split())[:300]}") from error
    opset = opset_of(model)
    if opset < _OLDEST_OPSET:
        raise RetinaJError(f"{origin} has opset {opset}; export it again with {_OLDEST_OPSET} or higher, best 17 or 18.")
    return model


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators that a model uses."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def find_input(model: onnx.ModelProto, origin: str) -> ForeignInput:
    """The one input, an image.

    Raises:
        RetinaJError: if there are more, or it is no image of 1 or 3 channels, or a batch of several.
    """
    given = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in given]
    if len(inputs) != 1:
        listed = ", ".join(f"{value.name:.40}" for value in inputs)[:300]
        raise RetinaJError(f"{origin} has {len(inputs)} inputs ({listed}); expected one, the image.")
    shape = _shape(inputs[0])
    sides = shape[-3:]
    if len(shape) not in (3, 4) or not {sides[0], sides[2]} & {1, 3}:
        raise RetinaJError(
            f"{origin} has the input {inputs[0].name:.40} of shape {_shown(shape)}; expected an image of 1 or 3 channels, "
            "[1, channel, y, x] or [1, y, x, channel], with or without the 1."
        )
    if len(shape) == 4 and shape[0] not in (None, 1):
        raise RetinaJError(f"{origin} takes {shape[0]} images at a time; export it for one.")
    channels_first = sides[0] in (1, 3)
    channels, height, width = (sides[0], sides[1], sides[2]) if channels_first else (sides[2], sides[0], sides[1])
    if (height is None) != (width is None) or max(height or 0, width or 0) > _LARGEST_SIDE:
        raise RetinaJError(
            f"{origin} takes images of {_shown((height, width))} pixels (y, x); "
            f"expected both free, or both at most {_LARGEST_SIDE}."
        )
    return ForeignInput(
        name=inputs[0].name,
        element_type=inputs[0].type.tensor_type.elem_type,
        rank=len(shape),
        channels_first=channels_first,
        channels=channels or 1,
        size=None if height is None or width is None else (height, width),
    )


def find_outputs(model: onnx.ModelProto, outputs: str, origin: str) -> ForeignOutputs:
    """The outputs that `outputs` means: see `retinaj_zoo.foreign_graph.ForeignOptions`.

    Raises:
        RetinaJError: if it is not understood, or the graph has no such outputs.
    """
    shapes = {value.name: _shape(value) for value in model.graph.output}
    whole = {value.name for value in model.graph.output if value.type.tensor_type.elem_type in _WHOLE}
    names = list(shapes)
    listed = ", ".join(f"{name:.40} {_shown(shape)}" for name, shape in shapes.items())[:500]
    if outputs == "torchvision":
        if len(names) < 3:
            raise RetinaJError(f"{origin} has the outputs {listed}; expected boxes, labels and scores, as of torchvision.")
        # Labels and scores follow in an order that differs between its models; only labels are whole numbers.
        boxes, labels, scores = names[0], *sorted(names[1:3], key=lambda name: name not in whole)
        return ForeignOutputs("boxes", {"boxes": boxes, "labels": labels, "scores": scores})
    if outputs == "ultralytics":
        shape = shapes[names[0]]
        if len(shape) != 3:
            raise RetinaJError(f"{origin} has the outputs {listed}; expected [1, N, 6] or [1, 4 + classes, N] first.")
        kind: OutputKind | None = "rows" if _has_rows(shape, _task(model, origin)) else "raw"
        return ForeignOutputs(kind, {kind: names[0]})
    given = dict(part.split("=", 1) for part in outputs.replace(" ", "").split(",") if "=" in part)
    kind = next((kind for kind, needed in _NEEDED.items() if set(needed) == set(given)), None)
    if kind is None:
        raise RetinaJError(
            f"--outputs is {outputs!r:.200}; expected torchvision, ultralytics, boxes=NAME,labels=NAME,scores=NAME, "
            f"rows=NAME or raw=NAME. {origin} has the outputs {listed}."
        )
    missing = [name for name in given.values() if name not in shapes]
    if missing:
        raise RetinaJError(f"{origin} has no output {missing[0]:.40}; it has {listed}.")
    if given.get("scores") in whole:
        raise RetinaJError(
            f"{origin} has whole numbers in the output {given['scores']:.40}, which --outputs calls the scores; in some models "
            "of torchvision, labels come last. Name them the other way round, or give --outputs torchvision."
        )
    return ForeignOutputs(kind, given)


def check_columns(model: onnx.ModelProto, outputs: ForeignOutputs, classes: int, origin: str) -> ForeignOutputs:
    """Tell which axis of rows or of a raw output is which, and how long it is.

    Raises:
        RetinaJError: if rows are not six numbers, or a raw output has no axis of four coordinates and a score for each class.
    """
    if outputs.kind == "boxes":
        return outputs
    name = outputs.names[outputs.kind]
    shape = next(_shape(value) for value in model.graph.output if value.name == name)
    more = _task(model, origin) in _LONGER_TASKS
    if outputs.kind == "rows":
        columns = (shape[-1] if shape else None) or _ROW
        if columns != _ROW and not (more and columns > _ROW):
            raise RetinaJError(
                f"{origin} has the output {name:.40} of shape {_shown(shape)}; expected rows of {_ROW}: x_min, y_min, x_max, "
                "y_max, score, class."
            )
        return replace(outputs, columns=columns)
    needed = classes + 4
    for at in (-2, -1) if len(shape) >= 2 else ():
        if shape[at] == needed:
            return replace(outputs, columns=needed, raw_last=at == -1)
    if more and len(shape) >= 2 and (shape[-2] or 0) > needed:
        return replace(outputs, columns=shape[-2] or needed)
    raise RetinaJError(
        f"{origin} has the output {name:.40} of shape {_shown(shape)}; with {classes} class{'es' * (classes > 1)}, one side "
        f"must be {needed}: x, y, width, height and a score for each class."
    )


def row_limit(model: onnx.ModelProto, outputs: ForeignOutputs) -> int | None:
    """The number of rows that the graph always gives, which is its limit of boxes; None where that is free or not known."""
    if outputs.kind != "rows":
        return None
    shape = next(_shape(value) for value in model.graph.output if value.name == outputs.names["rows"])
    return shape[-2] if len(shape) >= 2 else None


def _task(model: onnx.ModelProto, origin: str) -> str:
    """What Ultralytics's file says that its model does; empty for files of others.

    Raises:
        RetinaJError: if that gives no upright boxes.
    """
    task = next((entry.value for entry in model.metadata_props if entry.key == "task"), "")
    if task not in _BOX_TASKS:
        raise RetinaJError(
            f"{origin} says that it is for the task {task:.40}, which gives no upright boxes; expected a detector "
            "(Ultralytics's detect, segment or pose)."
        )
    return task


def _has_rows(shape: _Shape, task: str) -> bool:
    """Whether Ultralytics's first output has a row for each box and not a column for each anchor."""
    count, columns = shape[1:]
    if task in _LONGER_TASKS:
        return columns is not None and columns < (count or 0)  # there are always more anchors than numbers of each
    return columns == _ROW and count != _ROW


def names_in_file(model: onnx.ModelProto, origin: str) -> tuple[str, ...]:
    """The class names that Ultralytics writes into its files, as the text of a Python dictionary.

    Raises:
        RetinaJError: if there are none.
    """
    text = next((entry.value for entry in model.metadata_props if entry.key == "names"), "")
    missing = RetinaJError(
        f"{origin} does not name its classes: give them as --classes, separated by commas, or in a text file."
    )
    if len(text) > _LONGEST_NAMES:
        raise missing
    try:
        value: Any = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise missing from error
    if isinstance(value, dict):
        value = [value.get(index) for index in range(len(value))]
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name.strip() for name in value):
        raise missing
    return tuple(value)


def _shape(value: onnx.ValueInfoProto) -> _Shape:
    """None for each free side."""
    return tuple(side.dim_value or None for side in value.type.tensor_type.shape.dim)


def _shown(shape: _Shape) -> str:
    return "[" + ", ".join("any" if side is None else str(side) for side in shape) + "]"
