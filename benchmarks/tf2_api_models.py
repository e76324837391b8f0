"""What runs inside the environment of the TF2 Object Detection API: its own models, made, saved and asked.

    TF_USE_LEGACY_KERAS=1 python benchmarks/tf2_api_models.py PIPELINE_CONFIG IMAGES.npz FOLDER

Builds the detection model of PIPELINE_CONFIG, gives every variable the values of `tests/helpers/tf2_weights.py`, saves it as
the model zoo does (FOLDER/pipeline.config, FOLDER/checkpoint/ckpt-0), and writes to FOLDER/outputs.npz what it says about each
of the images. `benchmarks/tf2_api_checkpoints.py` calls it; RetinaJ is not imported here.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from object_detection.builders import model_builder
from object_detection.protos import pipeline_pb2
from tensorflow.python.checkpoint.trackable_view import TrackableView

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))
from tf2_weights import seeded_array


def main() -> None:
    """Make one checkpoint and its outputs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("images", type=Path, help=".npz of uint8 [y, x, 3]")
    parser.add_argument("folder", type=Path, help="must not exist")
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    shutil.copyfile(options.config, options.folder / "pipeline.config")
    pipeline = text_format.Parse(options.config.read_text(), pipeline_pb2.TrainEvalPipelineConfig())
    model = model_builder.build(pipeline.model, is_training=False)
    with np.load(options.images) as stored:
        images = {name: stored[name] for name in stored.files}
    raw(model, next(iter(images.values())))  # makes the variables
    checkpoint = tf.train.Checkpoint(model=model)
    names = fill(checkpoint)
    checkpoint.write(str(options.folder / "checkpoint" / "ckpt-0"))
    saved = {name for name, _ in tf.train.list_variables(str(options.folder / "checkpoint" / "ckpt-0"))}
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    if lost := {name + suffix for name in names} ^ {name for name in saved if name.endswith(suffix)}:
        raise SystemExit(f"not all variables are named as they are saved: {sorted(lost)}")
    outputs: dict[str, Any] = {}
    for name, image in images.items():
        outputs |= {f"{name}/{what}": value for what, value in raw(model, image).items()}
    np.savez(options.folder / "outputs.npz", **outputs)


def fill(checkpoint: Any) -> list[str]:
    """Give every variable its values, and return their names in the checkpoint."""
    view = TrackableView(checkpoint)
    _, paths = view._descendants_with_paths()
    names: list[str] = []
    for trackable, path in paths.items():
        if isinstance(trackable, tf.Variable) and trackable.dtype == tf.float32:
            name = "/".join(reference.name for reference in path)
            trackable.assign(seeded_array(name, tuple(trackable.shape)))
            names.append(name)
    return names


def raw(model: Any, image: np.ndarray) -> dict[str, np.ndarray]:
    """The model's outputs for one image, before and after its postprocessing."""
    inputs, shapes = model.preprocess(tf.constant(image[None], tf.float32))
    predicted = model.predict(inputs, shapes)
    found = model.postprocess(predicted, shapes)
    return {
        "input_shape": np.array(inputs.shape),
        "classes": predicted["class_predictions_with_background"].numpy()[0],
        "encodings": predicted["box_encodings"].numpy()[0].reshape(-1, 4),
        "anchors": model.anchors.get().numpy(),
        "decoded": found["raw_detection_boxes"].numpy()[0],
        "boxes": found["detection_boxes"].numpy()[0],
        "scores": found["detection_scores"].numpy()[0],
        "labels": found["detection_classes"].numpy()[0].astype(np.int32),
    }


if __name__ == "__main__":
    main()
