"""ONNX nodes written one after the other, with operators whose form has been the same since opset 11."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


class OnnxNodes:
    """Nodes and constants of a graph under construction. Each method adds to them and returns the name of the result.

    Attributes:
        nodes: in their order.
        constants: initializers.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """A node with one output, which may be named."""
        name = output or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def top(self, value: str, count: int, axis: int) -> tuple[str, str]:
        """The `count` highest values along an axis, in falling order, and their indices."""
        names = f"top{len(self.nodes)}_values", f"top{len(self.nodes)}_indices"
        self.nodes.append(helper.make_node("TopK", [value, self.ints(count)], list(names), axis=axis))
        return names

    def floats(self, *values: float, shape: Sequence[int] = (-1,)) -> str:
        """A constant, float32 [values] or of another shape."""
        return self._constant(np.array(values, np.float32).reshape(shape))

    def ints(self, *values: int, shape: Sequence[int] = (-1,)) -> str:
        """A constant, int64 [values] or of another shape."""
        return self._constant(np.array(values, np.int64).reshape(shape))

    def zeros(self, *shape: int) -> str:
        """A constant of zeros, float32."""
        return self._constant(np.zeros(shape, np.float32))

    def concat(self, *values: str, axis: int = 0) -> str:
        """Values one after the other along an axis."""
        return self.add("Concat", *values, axis=axis)

    def reshape(self, value: str, *shape: int) -> str:
        """The same numbers in another shape; -1 is what is left."""
        return self.add("Reshape", value, self.ints(*shape))

    def columns(self, rows: str, start: int, stop: int) -> str:
        """rows[:, start:stop]."""
        return self.add("Slice", rows, self.ints(start), self.ints(stop), self.ints(1))

    def size(self, value: str, axis: int) -> str:
        """The length of an axis, float32 [1]."""
        return self.to_float(self.add("Gather", self.add("Shape", value), self.ints(axis)))

    def to_float(self, value: str) -> str:
        """As float32."""
        return self.add("Cast", value, to=TensorProto.FLOAT)

    def to_int(self, value: str) -> str:
        """As int64."""
        return self.add("Cast", value, to=TensorProto.INT64)

    def _constant(self, array: NDArray[Any]) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name
