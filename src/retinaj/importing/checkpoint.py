"""Checkpoints of TensorFlow 2: what is saved in them, found by the names of the objects that hold it."""

from __future__ import annotations

import glob
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.errors import RetinaJError
from retinaj.network.untyped import tf

_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_SLOT = "/.OPTIMIZER_SLOT/"
# ResNet152's index has 100 KB; its weights 300 MB, and an optimizer that was saved with them takes as much again or twice.
_LARGEST_INDEX, _LARGEST_DATA = 16 * 2**20, 2 * 2**30  # bytes


@dataclass(frozen=True)
class Stored:
    """A variable of a checkpoint.

    Attributes:
        key: its name in the file.
        made_as: the name that it had in the program that saved it, such as "conv1_conv/kernel"; "" if that is not told.
    """

    key: str
    made_as: str


class Checkpoint:
    """An object-based checkpoint, opened. Nothing in it is executed; a variable is read only when its shape is as expected.

    Attributes:
        prefix: the path of its files without .index.
        bytes: of its data.
        shapes: of every variable, by key.
    """

    def __init__(self, prefix: Path) -> None:
        """Open a checkpoint.

        Args:
            prefix: such as checkpoint/ckpt-0.

        Raises:
            RetinaJError: if files are missing, too large or damaged, or it is a checkpoint of TensorFlow 1.
        """
        self.prefix = prefix
        index = prefix.with_name(f"{prefix.name}.index")
        self._data = sorted(prefix.parent.glob(f"{glob.escape(prefix.name)}.data-?????-of-?????"))
        self.bytes = sum(path.stat().st_size for path in self._data)
        if not index.is_file() or not self._data:
            raise RetinaJError(
                f"{prefix}: expected the files {index.name} and {prefix.name}.data-00000-of-00001 beside each other."
            )
        if index.stat().st_size > _LARGEST_INDEX or self.bytes > _LARGEST_DATA:
            raise RetinaJError(f"{prefix} is larger than any model that RetinaJ imports; it is something else.")
        try:
            self._reader = tf.train.load_checkpoint(str(prefix))
            shapes: dict[str, list[int]] = self._reader.get_variable_to_shape_map()
            self._types: dict[str, Any] = self._reader.get_variable_to_dtype_map()
            if shapes.get(_GRAPH) != []:
                raise RetinaJError(
                    f"{prefix} is not a checkpoint of TensorFlow 2: it does not say which objects its variables belong to. "
                    "Models of TensorFlow 1 cannot be imported."
                )
            graph = self._reader.get_tensor(_GRAPH)
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            raise self._damaged(error) from error
        self.shapes = {key: tuple(shape) for key, shape in shapes.items()}
        self._nodes = self._parsed(graph).nodes

    def _parsed(self, graph: object) -> Any:
        from google.protobuf.message import DecodeError
        from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

        if not isinstance(graph, bytes):
            raise RetinaJError(f"{self.prefix} is damaged: {_GRAPH} is not what TensorFlow writes.")
        try:
            parsed: Any = TrackableObjectGraph.FromString(graph)
        except DecodeError as error:
            raise self._damaged(error) from error
        if not parsed.nodes:
            raise RetinaJError(f"{self.prefix} holds no object at all.")
        return parsed

    def _damaged(self, error: Exception) -> RetinaJError:
        return RetinaJError(
            f"{self.prefix} cannot be read as a checkpoint of TensorFlow 2: {' '.join(str(error).split())[:300]}."
        )

    def find(self, path: str) -> Stored | None:
        """A variable by the names of the objects that lead to it from the whole, such as "model/_box_predictor/.../kernel".

        One object may be reached in several ways; its name in the file is only one of them.
        """
        node = self._nodes[0]
        for name in path.split("/"):
            following = [child.node_id for child in node.children if child.local_name == name]
            if not following or not 0 <= following[0] < len(self._nodes):
                return None
            node = self._nodes[following[0]]
        for attribute in node.attributes:
            if attribute.name == "VARIABLE_VALUE" and attribute.checkpoint_key in self.shapes:
                return Stored(attribute.checkpoint_key, attribute.full_name)
        return None

    def under(self, name: str) -> set[str]:
        """The keys of all variables below an object of the whole, without what an optimizer keeps about them."""
        return {key for key in self.shapes if key.startswith(f"{name}/") and key.endswith(_VALUE) and _SLOT not in key}

    def read(self, key: str) -> NDArray[np.float32]:
        """The values of a variable whose shape was checked.

        Raises:
            RetinaJError: if they are no 32-bit numbers, not all finite, or damaged.
        """
        if self._types[key] != tf.float32:
            raise RetinaJError(f"{self.prefix}: {key} is {self._types[key].name}; expected float32.")
        try:
            array: NDArray[np.float32] = self._reader.get_tensor(key)
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            raise self._damaged(error) from error
        if not np.isfinite(array).all():
            raise RetinaJError(f"{self.prefix}: {key} has values that are not numbers; a training that failed was saved.")
        return array

    def sha256(self) -> str:
        """The SHA-256 of its data files, one after the other, as hexadecimal."""
        digest = hashlib.sha256()
        for path in self._data:
            with path.open("rb") as stream:
                while block := stream.read(2**20):
                    digest.update(block)
        return digest.hexdigest()
