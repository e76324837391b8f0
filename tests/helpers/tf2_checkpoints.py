"""Checkpoints as the TF2 Object Detection API saved them, made again from tests/retinaj/data/tf2_models."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tf2_weights import cloudy_image, seeded_array

from retinaj.importing.checkpoint import GRAPH

FIXTURES = Path(__file__).resolve().parents[1] / "retinaj" / "data" / "tf2_models"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


@dataclass(frozen=True)
class SavedModel:
    """A model that the API made.

    Attributes:
        folder: with its pipeline.config.
        shapes: of the variables in its checkpoint, by key.
        graph: what the checkpoint says about its objects.
        image: that it looked at, uint8 [y, x, 3].
        said: what it said about it: `classes` and `encodings` of some of its `anchors`, and the detections `boxes`, `scores`
            and `labels`.
    """

    folder: Path
    shapes: dict[str, tuple[int, ...]]
    graph: bytes
    image: NDArray[np.uint8]
    said: dict[str, NDArray[np.generic]]

    @classmethod
    def named(cls, name: str) -> SavedModel:
        """One of the fixtures."""
        with np.load(FIXTURES / name / "expected.npz", allow_pickle=False) as stored:
            said = {what: stored[what] for what in stored.files}
        shapes = zip(said.pop("names").tolist(), said.pop("shapes").tolist(), strict=True)
        height, width = said.pop("height_width").tolist()
        return cls(
            folder=FIXTURES / name,
            shapes={key: tuple(map(int, shape.split())) for key, shape in shapes},
            graph=said.pop("graph").tobytes(),
            image=cloudy_image(height, width),
            said=said,
        )

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The values of all variables, by key, as they were when the API looked at the image."""
        return {
            key: seeded_array(key.removesuffix(VALUE), shape) if key.endswith(VALUE) and shape else np.zeros(shape, np.int64)
            for key, shape in self.shapes.items()
        }

    def save(self, folder: Path) -> Path:
        """Save the checkpoint again, in a folder to make, as the model zoo packs it."""
        return save_checkpoint(folder, self.arrays(), self.graph, self.folder / "pipeline.config")


def save_checkpoint(folder: Path, arrays: Mapping[str, NDArray[np.generic]], graph: bytes | None, config: Path) -> Path:
    """A folder with pipeline.config and checkpoint/ckpt-0; without a graph, as TensorFlow 1 saves."""
    from retinaj.network.untyped import tf

    (folder / "checkpoint").mkdir(parents=True)
    shutil.copyfile(config, folder / "pipeline.config")
    names = [*arrays, *([GRAPH] if graph is not None else [])]
    tensors = [tf.constant(array) for array in arrays.values()] + ([tf.constant(graph)] if graph is not None else [])
    prefix = tf.constant(str(folder / "checkpoint" / "ckpt-0_temp"))
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors)
    target = tf.constant(str(folder / "checkpoint" / "ckpt-0"))
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=[prefix], destination_prefix=target)
    return folder
