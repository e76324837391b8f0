"""What `speed_of_steps.py` runs with RetinaJ: seconds of its RetinaNet's steps, as JSON.

    python benchmarks/speed_of_retinaj.py resnet50 train|detect --side 512 --batch 4 --classes 3 --steps 5 [--config FILE]

`--config` builds the network that a pipeline.config of the TF2 Object Detection API describes, instead of RetinaJ's own.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from retinaj.importing.pipeline import read_pipeline
from retinaj.model_folder import ModelRecord, TrainingRecord
from retinaj.network.config import AnchorConfig, NetworkConfig
from retinaj.network.retinanet import build_network
from retinaj.network.untyped import keras
from retinaj.normalization import FixedScale
from retinaj.prediction.keras_runtime import KerasRuntime
from retinaj.training.data import assign_targets
from retinaj.training.replicas import Replicas
from retinaj.training.settings import TrainingSettings
from retinaj.training.step import TrainingStep
from retinaj.training.updates import Updates

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
    parser.add_argument("--config", type=Path)
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    network_config = (
        read_pipeline(options.config).network
        if options.config
        else NetworkConfig(
            backbone=options.backbone,
            num_classes=options.classes,
            anchors=AnchorConfig(min_level=3, max_level=7, aspect_ratios=(0.5, 1.0, 2.0)),
        )
    )
    network = build_network(network_config)
    maker = training_step if options.task == "train" else detection_step
    step = maker(network, network_config, options)
    seconds: list[float] = []
    for _ in range(WARM_UP + options.steps):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"parameters": network.count_params(), "seconds": seconds[WARM_UP:]}))


def training_step(network: Any, config: NetworkConfig, options: argparse.Namespace) -> Callable[[], None]:
    """From images and boxes to changed weights, with the assignment of targets, which RetinaJ otherwise does beside it."""
    settings = TrainingSettings(
        backbone=options.backbone,
        norm=config.norm,
        optimizer="sgd",
        weight_decay=0,
        learning_rate=0.001,
        window=options.side,
        batch_size=options.batch,
        precision="float32",
        box_loss="smooth_l1",
        assignment="iou",
    )
    record = ModelRecord(
        name="timed",
        class_names=tuple(f"class {number}" for number in range(config.num_classes)),
        pixel_type="uint8",
        network=config,
        normalization=FixedScale(),
        training=TrainingRecord(
            settings=settings,
            window=options.side,
            images=options.batch,
            boxes=options.batch * BOXES,
            class_counts={},
            validation_images=0,
            anchor_coverage=0.0,
            class_coverage={},
        ),
        versions={},
    )
    average = build_network(config)
    step = TrainingStep(record, network, average, Updates(settings, network), Replicas())
    random = np.random.default_rng(0)
    images = random.uniform(-2, 2, (options.batch, options.side, options.side, 3)).astype(np.float32)
    corner = random.uniform(0, options.side - 64, (options.batch, BOXES, 2))
    boxes = np.concatenate([corner, corner + random.uniform(16, 64, corner.shape)], axis=-1).astype(np.float32)
    labels = random.integers(0, config.num_classes, (options.batch, BOXES)).astype(np.int32)

    def run() -> None:
        targets = [assign_targets(record, images.shape[1:], *each) for each in zip(boxes, labels, strict=True)]
        batch = images, np.stack([each.label for each in targets]), np.stack([each.boxes for each in targets])
        step(batch, 0.001, 1)

    return run


def detection_step(network: Any, config: NetworkConfig, options: argparse.Namespace) -> Callable[[], None]:
    """From normalised images to boxes, with NMS."""
    runtime = KerasRuntime(network, config)
    random = np.random.default_rng(0)
    images = random.uniform(-2, 2, (options.batch, options.side, options.side, 3)).astype(np.float32)

    def run() -> None:
        runtime(images, config.overlap)

    return run


if __name__ == "__main__":
    main()
