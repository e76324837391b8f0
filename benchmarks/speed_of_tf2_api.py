"""What `speed_of_steps.py` runs in the environment of the TF2 Object Detection API: seconds of its models' steps, as JSON.

    TF_USE_LEGACY_KERAS=1 python benchmarks/speed_of_tf2_api.py PIPELINE_CONFIG train|detect --side 512 --batch 4 --steps 5

RetinaJ is not imported here.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from object_detection.builders import model_builder
from object_detection.protos import pipeline_pb2

WARM_UP = 2
BOXES = 20


def main() -> None:
    """Build, run, and print {"parameters": ..., "seconds": [...]}."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("task", choices=("train", "detect"))
    parser.add_argument("--side", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    options = parser.parse_args()
    tf.random.set_seed(0)
    pipeline = text_format.Parse(options.config.read_text(), pipeline_pb2.TrainEvalPipelineConfig())
    training = options.task == "train"
    model = model_builder.build(pipeline.model, is_training=training)
    random = np.random.default_rng(0)
    images = tf.constant(random.uniform(0, 255, (options.batch, options.side, options.side, 3)), tf.float32)
    corner = random.uniform(0, 0.85, (options.batch, BOXES, 2))
    boxes = tf.constant(np.concatenate([corner, corner + random.uniform(0.03, 0.13, corner.shape)], axis=-1), tf.float32)
    classes = tf.one_hot(
        random.integers(0, pipeline.model.ssd.num_classes, (options.batch, BOXES)), pipeline.model.ssd.num_classes
    )
    model.predict(*model.preprocess(images))  # makes the variables
    optimizer = tf.keras.optimizers.SGD(0.001, momentum=0.9)

    @tf.function
    def train(images: Any, boxes: Any, classes: Any) -> Any:
        model.provide_groundtruth(groundtruth_boxes_list=tf.unstack(boxes), groundtruth_classes_list=tf.unstack(classes))
        prepared, shapes = model.preprocess(images)
        with tf.GradientTape() as tape:
            losses = model.loss(model.predict(prepared, shapes), shapes)
            loss = tf.add_n([*losses.values(), *model.regularization_losses()])
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, model.trainable_variables), 10.0)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    @tf.function
    def detect(images: Any, boxes: Any, classes: Any) -> Any:
        prepared, shapes = model.preprocess(images)
        return model.postprocess(model.predict(prepared, shapes), shapes)

    step = train if training else detect
    seconds: list[float] = []
    for _ in range(WARM_UP + options.steps):
        began = time.perf_counter()
        tf.nest.map_structure(np.asarray, step(images, boxes, classes))
        seconds.append(time.perf_counter() - began)
    parameters = sum(int(np.prod(each.shape)) for each in model._feature_extractor.variables + model._box_predictor.variables)
    print(json.dumps({"parameters": parameters, "seconds": seconds[WARM_UP:]}))


if __name__ == "__main__":
    main()
