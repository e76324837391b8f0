"""What `speed_of_steps.py` runs in an environment with KerasHub: seconds of its RetinaNet's steps, as JSON.

    python benchmarks/speed_of_kerashub.py resnet50 train|detect --side 512 --batch 4 --classes 3 --steps 5

RetinaJ is not imported here.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import keras_hub
import numpy as np
import tensorflow as tf

WARM_UP = 2
BOXES = 20


def main() -> None:
    """Build, run, and print {"parameters": ..., "seconds": [...]}."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbone", choices=("resnet50", "mobilenet_v2"))
    parser.add_argument("task", choices=("train", "detect"))
    parser.add_argument("--side", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = detector(options.backbone, options.side, options.classes)
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (options.batch, options.side, options.side, 3)).astype(np.float32)
    corner = random.uniform(0, options.side - 64, (options.batch, BOXES, 2))
    boxes = np.concatenate([corner, corner + random.uniform(16, 64, corner.shape)], axis=-1).astype(np.float32)
    labels = random.integers(0, options.classes, (options.batch, BOXES)).astype(np.float32)
    # Through tf.data, as its guides do: its predict takes pairs only, and its compiled losses refuse a plain dictionary.
    batches = iter(tf.data.Dataset.from_tensors((images, {"boxes": boxes, "labels": labels})).repeat())
    model.compile(optimizer=keras.optimizers.SGD(0.001, momentum=0.9, global_clipnorm=10.0))  # "auto": Huber and focal loss
    if options.task == "train":
        model.make_train_function()
        function = model.train_function
    else:
        model.make_predict_function()
        predict = model.predict_function

        def function(batches: Any) -> Any:
            return predict([next(batches)])

    seconds: list[float] = []
    for _ in range(WARM_UP + options.steps):
        began = time.perf_counter()
        keras.tree.map_structure(np.asarray, function(batches))
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"parameters": model.count_params(), "seconds": seconds[WARM_UP:]}))


def detector(backbone: str, side: int, classes: int) -> keras.Model:
    """KerasHub's RetinaNet as its own presets build it: levels 3 to 7, 9 anchors per cell, four convolutions in a head."""
    image_shape = (side, side, 3)
    if backbone == "resnet50":
        encoder = keras_hub.models.ResNetBackbone(
            input_conv_filters=[64],
            input_conv_kernel_sizes=[7],
            stackwise_num_filters=[64, 128, 256, 512],
            stackwise_num_blocks=[3, 4, 6, 3],
            stackwise_num_strides=[1, 2, 2, 2],
            block_type="bottleneck_block",
            image_shape=image_shape,
        )
    else:
        encoder = _mobilenet_v2(image_shape)
    pyramid = keras_hub.models.RetinaNetBackbone(
        image_encoder=encoder, min_level=3, max_level=7, use_p5=False, use_fpn_batch_norm=False, image_shape=image_shape
    )
    return keras_hub.models.RetinaNetObjectDetector(backbone=pyramid, num_classes=classes, bounding_box_format="xyxy")


def _mobilenet_v2(image_shape: tuple[int, int, int]) -> keras.Model:
    """MobileNet v2 of keras.applications, which KerasHub has not, with the pyramid that KerasHub asks of an encoder."""
    encoder = keras.applications.MobileNetV2(input_shape=image_shape, include_top=False, weights=None)
    encoder.pyramid_outputs = {
        "P3": encoder.get_layer("block_6_expand_relu").output,
        "P4": encoder.get_layer("block_13_expand_relu").output,
        "P5": encoder.get_layer("out_relu").output,
    }
    return encoder


if __name__ == "__main__":
    main()
