"""The detection graph of a package on ONNX Runtime. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx.external_data_helper import uses_external_data

from retinaj.errors import RetinaJError

# The input, the output, and the optional input with a default, that every graph of ours has.
INPUT, OUTPUT, OVERLAP = "image", "detections", "overlap"
_ERRORS_ONLY = 3
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


class OnnxRuntime:
    """Runs ONNX weights that RetinaJ exported; implements `retinaj.prediction.detector.Runtime`.

    The graph has the input `image` and the output `detections`, as `Runtime` describes them, and `overlap` as an overridable
    initializer. Runs on the GPU where onnxruntime-gpu is installed.

    Args:
        model: the content of the .onnx file.
        threads: processor threads to use; default: one per core.
        origin: where it came from, for messages.

    Raises:
        RetinaJError: if it is not such a graph, or refers to files outside itself.
    """

    def __init__(self, model: bytes, *, threads: int | None = None, origin: str = "The ONNX model") -> None:
        self._origin = origin
        _refuse_external_data(model, origin)
        options = onnxruntime.SessionOptions()
        # ONNX Runtime warns of every overridable initializer; ours is meant.
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = threads or 0  # 0: ONNX Runtime's own choice, one per core
        available = onnxruntime.get_available_providers()
        providers = [name for name in _PROVIDERS if name in available]
        try:
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=providers)
        except Exception as error:  # ONNX Runtime has no common base class for what it raises
            raise RetinaJError(f"{origin} cannot be loaded by ONNX Runtime: {_first_line(error)}") from error
        inputs = [value.name for value in self._session.get_inputs()]
        outputs = [value.name for value in self._session.get_outputs()]
        options_of_graph = [value.name for value in self._session.get_overridable_initializers()]
        if (inputs, outputs, options_of_graph) != ([INPUT], [OUTPUT], [OVERLAP]):
            raise RetinaJError(
                f"{origin} has the inputs {inputs + options_of_graph} and the outputs {outputs}; expected image and overlap, "
                "and detections. It was not exported by RetinaJ."
            )

    def __call__(self, batch: NDArray[np.float32], overlap: float) -> NDArray[np.float32]:
        """See `Runtime`.

        Raises:
            RetinaJError: if the graph fails on this image, or answers with anything but detections.
        """
        feed = {INPUT: np.ascontiguousarray(batch, np.float32), OVERLAP: np.array(overlap, np.float32)}
        try:
            found: Any = self._session.run([OUTPUT], feed)[0]
        except Exception as error:  # as above; running out of memory comes this way too
            size = f"{batch.shape[2]} x {batch.shape[1]} pixels"
            raise RetinaJError(f"{self._origin} failed on an image of {size}: {_first_line(error)}") from error
        if found.ndim != 3 or found.shape[0] != len(batch) or found.shape[2] != 6 or found.dtype != np.float32:
            raise RetinaJError(
                f"{self._origin} answered with {found.dtype} {list(found.shape)}; "
                f"expected detections, float32 [{len(batch)}, K, 6]."
            )
        return found


def _refuse_external_data(model: bytes, origin: str) -> None:
    """Weights outside the file would be read from any path that the file names."""
    try:
        proto = onnx.load_model_from_string(model)
    except Exception as error:  # protobuf's errors have no public base class
        raise RetinaJError(f"{origin} is not an ONNX file: {_first_line(error)}") from error
    if has_external_data(proto):
        raise RetinaJError(f"{origin} refers to weights in another file; it is not opened.")


def has_external_data(model: onnx.ModelProto) -> bool:
    """Whether an ONNX model refers to weights in other files, which loading it would read from any path."""
    return any(uses_external_data(tensor) for tensor in _model_tensors(model))


def _model_tensors(model: onnx.ModelProto) -> Iterable[onnx.TensorProto]:
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterable[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterable[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(inner)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:300]
