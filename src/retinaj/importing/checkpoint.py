"""Checkpoints of TensorFlow 2: what is saved in them, found by the names of the objects that hold it."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from retinaj.errors import RetinaJError
from retinaj.network.untyped import tf

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
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


class SavedObjects:
    """Which object of the program that saved a checkpoint held which variable.

    Attributes:
        origin: what the checkpoint is called in messages.
        shapes: of every variable, by key.
    """

    def __init__(self, graph: object, shapes: Mapping[str, tuple[int, ...]], origin: str) -> None:
        """Take the objects from a checkpoint.

        Args:
            graph: the bytes that it stores about them.
            shapes: of every variable, by key.
            origin: what it is called in messages.

        Raises:
            RetinaJError: if the bytes are nothing that TensorFlow writes.
        """
        from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

        self.origin, self.shapes = origin, shapes
        try:
            parsed: Any = TrackableObjectGraph.FromString(graph if isinstance(graph, bytes) else b"")
        except DecodeError as error:
            raise RetinaJError(f"{origin} is damaged: what it says about its objects cannot be read.") from error
        if not parsed.nodes:
            raise RetinaJError(f"{origin} is damaged: it holds no objects.")
        self._nodes: Any = parsed.nodes

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


class Checkpoint:
    """An object-based checkpoint, opened. Nothing in it is executed.

    Attributes:
        prefix: the path of its files without .index.
        bytes: of its data.
        objects: what it holds.
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
            raise RetinaJError(f"{prefix}: expected {index.name} and {prefix.name}.data-00000-of-00001 beside each other.")
        if index.stat().st_size > _LARGEST_INDEX or self.bytes > _LARGEST_DATA:
            raise RetinaJError(f"{prefix} is larger than any model that RetinaJ imports; it is something else.")
        try:
            self._reader = tf.train.load_checkpoint(str(prefix))
            shapes: dict[str, list[int]] = self._reader.get_variable_to_shape_map()
            self._types: dict[str, Any] = self._reader.get_variable_to_dtype_map()
            graph = self._reader.get_tensor(GRAPH) if shapes.get(GRAPH) == [] else None
        except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
            raise self._damaged(error) from error
        if graph is None:
            raise RetinaJError(
                f"{prefix} is not a checkpoint of TensorFlow 2: it does not say which objects its variables belong to. "
                "Models of TensorFlow 1 cannot be imported."
            )
        self.objects = SavedObjects(graph, {key: tuple(shape) for key, shape in shapes.items()}, str(prefix))

    def read(self, key: str) -> NDArray[np.float32]:
        """The values of a variable, whose shape the caller has checked: it is not bounded here.

        Raises:
            RetinaJError: if they are no 32-bit numbers, not all finite, or damaged.
        """
        if self._types[key] != tf.float32:
            raise RetinaJError(f"{self.prefix}: {key} is {self._types[key].name}; expected float32.")
        try:
            array: NDArray[np.float32] = self._reader.get_tensor(key)
        except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
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

    def _damaged(self, error: Exception) -> RetinaJError:
        reason = " ".join(str(error).split())[:300]
        return RetinaJError(f"{self.prefix} cannot be read as a checkpoint of TensorFlow 2: {reason}.")
