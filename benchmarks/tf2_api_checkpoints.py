"""Checkpoints of the real TF2 Object Detection API, imported and compared with it: raw outputs and detections. Prints a table.

    python benchmarks/tf2_api_checkpoints.py IMAGES... --api-python PYTHON [--fixture DIR]

For each model, the API builds it, every variable is given a value (`tests/helpers/tf2_weights.py`), the API saves a checkpoint
and says what it finds on each image; `retinaj import-tf2` reads the checkpoint and RetinaJ looks at the same images. Class
logits and box encodings are compared for every anchor, before any sigmoid or decoding. The environment of the API is made by
`benchmarks/tf2_api_environment.py`. `--fixture` writes what the tests hold against RetinaJ, from made-up images, and no table.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.images import read_image
from retinaj.importing.checkpoint import GRAPH
from retinaj.importing.pipeline import Pipeline, read_pipeline
from retinaj.importing.tf2_model import import_tf2
from retinaj.model_folder import load_network
from retinaj.network.config import NetworkConfig
from retinaj.network.detection import clip_to_image, network_input, select_detections
from retinaj.network.retinanet import flatten_levels
from retinaj.network.untyped import tf
from retinaj.prediction.detector import to_channels

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))
from tf2_weights import cloudy_image

SIDE = Path(__file__).with_name("tf2_api_models.py")
HEIGHT, WIDTH = 384, 512  # whole strides of P7, so that nothing is padded, and not square
CLOUDS = (256, 384)
SAMPLED = 400  # anchors in a fixture
TOLERANCE = 1e-4
HEADER = "| model | weights | classes | anchors | largest difference, class logits | box encodings | same detections |"
CONFIG = Template("""model { ssd {
  num_classes: $classes
  add_background_class: $background
  box_coder { faster_rcnn_box_coder { y_scale: $y  x_scale: $x  height_scale: $h  width_scale: $w } }
  matcher { argmax_matcher { matched_threshold: 0.5 unmatched_threshold: 0.5 } }
  similarity_calculator { iou_similarity { } }
  encode_background_as_zeros: true
  anchor_generator { multiscale_anchor_generator {
    min_level: $low  max_level: $high  anchor_scale: $base  aspect_ratios: $ratios  scales_per_octave: $octave
  } }
  image_resizer { fixed_shape_resizer { height: $height  width: $width } }
  feature_extractor {
    type: "ssd_${backbone}_fpn_keras"
    use_depthwise: $pyramid_separable
    fpn { min_level: $low  max_level: $high  additional_layer_depth: $pyramid_width }
    min_depth: 16  # as in the zoo
    depth_multiplier: 1.0
    conv_hyperparams {
      activation: $activation,
      initializer { random_normal_initializer { stddev: 0.01 } }
      regularizer { l2_regularizer { weight: 4e-5 } }
      batch_norm { scale: true, decay: 0.997, epsilon: $epsilon, }
    }
    override_base_feature_extractor_hyperparams: $override
  }
  box_predictor { weight_shared_convolutional_box_predictor {
    depth: $head_width
    num_layers_before_predictor: $layers
    kernel_size: 3
    class_prediction_bias_init: -4.6
    share_prediction_tower: $shared
    use_depthwise: $head_separable
    conv_hyperparams {
      activation: $activation,
      initializer { random_normal_initializer { stddev: 0.01 } }
      regularizer { l2_regularizer { weight: 4e-5 } }
      batch_norm { scale: $head_scale, decay: 0.997, epsilon: 0.001, }
    }
  } }
  loss {
    classification_loss { weighted_sigmoid_focal { alpha: 0.25 gamma: 2.0 } }
    localization_loss { weighted_smooth_l1 { } }
  }
  post_processing {
    batch_non_max_suppression {
      score_threshold: 1e-8  iou_threshold: 0.6  max_detections_per_class: 100  max_total_detections: 100
    }
    score_converter: SIGMOID
  }
} }
train_input_reader: { label_map_path: "PATH_TO_BE_CONFIGURED/label_map.txt" }
""")
AS_IN_ZOO: dict[str, object] = {
    "classes": 3,
    "background": "true",
    "y": 10.0,
    "x": 10.0,
    "h": 5.0,
    "w": 5.0,
    "low": 3,
    "high": 7,
    "base": 4.0,
    "ratios": "[1.0, 2.0, 0.5]",
    "octave": 2,
    "pyramid_separable": "false",
    "pyramid_width": 256,
    "activation": "RELU_6",
    "epsilon": 0.001,
    "override": "true",
    "head_width": 256,
    "layers": 4,
    "shared": "false",
    "head_separable": "false",
    "head_scale": "true",
}


@dataclass(frozen=True)
class Case:
    """A model to import.

    Attributes:
        title: in the table and, with dashes, of its fixture.
        backbone: as in the name of the feature extractor.
        different: what is not as in the zoo's ResNets.
        fixture: whether the tests repeat it.
    """

    title: str
    backbone: str
    different: dict[str, object] = field(default_factory=dict[str, object])

    def config(self, height: int, width: int) -> str:
        """Its pipeline.config, for images of this size."""
        return CONFIG.substitute(AS_IN_ZOO | self.different, backbone=self.backbone, height=height, width=width)


LITE: dict[str, object] = {
    "classes": 90,
    "pyramid_separable": "true",
    "head_separable": "true",
    "shared": "true",
    "pyramid_width": 128,
    "head_width": 128,
}
CASES = (
    Case("ResNet50 v1 FPN", "resnet50_v1"),
    Case("ResNet101 v1 FPN", "resnet101_v1"),
    Case("ResNet152 v1 FPN", "resnet152_v1"),
    Case("MobileNet v1 FPN", "mobilenet_v1"),
    Case("MobileNet v2 FPNLite", "mobilenet_v2", LITE),
    # What the zoo does not have, but a pipeline.config may.
    Case(
        "ResNet50, other options",
        "resnet50_v1",
        {
            "override": "false",
            "epsilon": 0.01,
            "base": 3.0,
            "ratios": "[0.5, 3.0]",
            "octave": 3,
            "y": 5.0,
            "x": 8.0,
            "h": 2.0,
            "w": 3.0,
            "head_separable": "true",
            "head_width": 32,
            "background": "false",
        },
    ),
    Case(
        "MobileNet v1, other options",
        "mobilenet_v1",
        {
            "pyramid_separable": "true",
            "activation": "RELU",
            "head_scale": "false",
            "override": "false",
            "low": 2,
            "high": 6,
            "pyramid_width": 64,
            "head_width": 64,
            "layers": 1,
            "ratios": "1.0",
            "octave": 1,
            "classes": 1,
        },
    ),
    Case(
        "MobileNet v2, other options",
        "mobilenet_v2",
        {
            "high": 5,
            "shared": "true",
            "layers": 2,
            "pyramid_width": 48,
            "head_width": 80,
            "ratios": "[1.0, 2.0]",
            "override": "false",
        },
    ),
)


@dataclass(frozen=True)
class Compared:
    """How far RetinaJ is from the API on some images."""

    anchors: int
    classes: float
    encodings: float
    same: int
    detections: int


def main() -> None:
    """Compare, print the table; exit 1 if something is not the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, help=f"images of at least {WIDTH} x {HEIGHT} pixels")
    parser.add_argument("--api-python", type=Path, required=True, help="the Python of the API's environment")
    parser.add_argument("--only", help="of these models alone: a part of their titles")
    parser.add_argument("--fixture", type=Path, help="write the tests' files to this folder, which must not exist")
    options = parser.parse_args()
    if bool(options.images) == bool(options.fixture):
        parser.error("give images, or --fixture")
    images = {path.name: middle(path) for path in options.images}
    height, width = (HEIGHT, WIDTH) if images else CLOUDS
    wrong = False
    if images:
        print(f"{HEADER}\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for case in (case for case in CASES if (options.only or "") in case.title):
        with TemporaryDirectory() as name:
            work = Path(name)
            (work / "pipeline.config").write_text(case.config(height, width))
            np.savez(work / "images.npz", allow_pickle=False, **(images or {"clouds": cloudy_image(height, width)}))
            command = [options.api_python, SIDE, work / "pipeline.config", work / "images.npz", work / "model"]
            subprocess.run(command, check=True, env=os.environ | {"TF_USE_LEGACY_KERAS": "1"})
            if options.fixture:
                write_fixture(options.fixture / case.title.lower().replace(",", "").replace(" ", "-"), work / "model")
                continue
            compared = compare(work, images)
            size = (work / "imported" / "model.weights.h5").stat().st_size
        wrong |= max(compared.classes, compared.encodings) > TOLERANCE or compared.same < compared.detections
        print(
            f"| {case.title} | {size / 1e6:.0f} MB | {(AS_IN_ZOO | case.different)['classes']} | {compared.anchors:,} | "
            f"{compared.classes:.1e} | {compared.encodings:.1e} | {compared.same} of {compared.detections} |",
            flush=True,
        )
    raise SystemExit(wrong)


def middle(path: Path) -> NDArray[np.uint8]:
    """The middle of an image [y, x, 3], grey ones three times."""
    pixels = to_channels(read_image(path), 3).astype(np.uint8)
    top, left = (pixels.shape[0] - HEIGHT) // 2, (pixels.shape[1] - WIDTH) // 2
    if min(top, left) < 0:
        raise SystemExit(f"{path} is smaller than {WIDTH} x {HEIGHT} pixels.")
    return pixels[top : top + HEIGHT, left : left + WIDTH]


def compare(work: Path, images: dict[str, NDArray[np.uint8]]) -> Compared:
    """Import what the API saved, and look at the images with it."""
    pipeline = read_pipeline(work / "model" / "pipeline.config")
    import_tf2(work / "model", work / "imported", log=lambda _: None)
    record, network = load_network(work / "imported")
    config = record.network
    found: list[tuple[int, float, float, int, int]] = []
    with np.load(work / "model" / "outputs.npz") as outputs:
        for name, image in images.items():
            api = {what: outputs[f"{name}/{what}"] for what in ("classes", "encodings", "boxes", "scores", "labels")}
            said = network(network_input(record.normalization(image)[None], config), training=False)
            classes = np.asarray(flatten_levels(said["class_logits"], config.num_classes))[0]
            deltas = np.asarray(flatten_levels(said["box_deltas"], 4))[0]
            same, detections = same_detections(said, config, image, api)
            found.append(
                (
                    len(classes),
                    float(np.abs(classes - in_our_order(api["classes"], config)[:, int(pipeline.background) :]).max()),
                    float(np.abs(as_encodings(deltas, pipeline) - in_our_order(api["encodings"], config)).max()),
                    same,
                    detections,
                )
            )
    anchors, logits, encodings, same, detections = zip(*found, strict=True)
    return Compared(anchors[0], max(logits), max(encodings), sum(same), sum(detections))


def in_our_order(rows: NDArray[np.float32], config: NetworkConfig) -> NDArray[np.float32]:
    """[A, values] of the API, whose anchors of a cell go by aspect ratio first, in the order of RetinaJ."""
    anchors = config.anchors
    cells = rows.reshape(-1, len(anchors.aspect_ratios), len(anchors.scales), rows.shape[-1])
    return cells.swapaxes(1, 2).reshape(rows.shape)


def as_encodings(deltas: NDArray[np.float32], pipeline: Pipeline) -> NDArray[np.float32]:
    """(x, y, width, height) as the API's multiplied (y, x, height, width)."""
    return deltas[:, [1, 0, 3, 2]] * np.array(pipeline.box_scales, np.float32)


def same_detections(said: Any, config: NetworkConfig, image: NDArray[np.uint8], api: dict[str, Any]) -> tuple[int, int]:
    """How many of the API's detections RetinaJ has, too, and how many there are.

    The API drops boxes outside the image before it takes the best 100, so RetinaJ is asked for more, and for the best 100 of
    those inside.
    """
    more = config.model_copy(update={"max_detections": 3 * config.max_detections})
    rows = np.array(select_detections(said, more, config.overlap))[0]
    rows[:, :4] = np.asarray(clip_to_image(rows[None, :, :4], image[None].astype(np.float32)))[0]
    inside = (rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1]) & (rows[:, 4] > 0)
    rows = rows[inside][: config.max_detections]
    height, width = image.shape[:2]
    boxes = api["boxes"][:, [1, 0, 3, 2]] * np.array([width, height, width, height], np.float32)
    real = api["scores"] > 0
    same = 0
    for box, score, label in zip(boxes[real], api["scores"][real], api["labels"][real] + 1, strict=True):
        near = (
            (np.abs(rows[:, :4] - box).max(axis=1) <= 0.05) & (np.abs(rows[:, 4] - score) <= TOLERANCE) & (rows[:, 5] == label)
        )
        same += bool(near.any())
    return same, int(real.sum())


def write_fixture(folder: Path, model: Path) -> None:
    """What the tests need: pipeline.config, which object holds which variable, the variables' shapes, and sampled outputs."""
    folder.mkdir(parents=True)
    (folder / "pipeline.config").write_bytes((model / "pipeline.config").read_bytes())
    checkpoint = tf.train.load_checkpoint(str(model / "checkpoint" / "ckpt-0"))
    shapes = checkpoint.get_variable_to_shape_map()
    with np.load(model / "outputs.npz") as outputs:
        api = {name.removeprefix("clouds/"): outputs[name] for name in outputs.files}
    chosen = np.sort(np.random.default_rng(0).choice(len(api["classes"]), SAMPLED, replace=False))
    names = sorted(shapes.keys() - {GRAPH})
    np.savez_compressed(
        folder / "expected.npz",
        names=np.array(names),
        shapes=np.array([" ".join(map(str, shapes[name])) for name in names]),
        graph=np.frombuffer(checkpoint.get_tensor(GRAPH), np.uint8),
        height_width=np.array(CLOUDS),
        anchors=chosen,
        **{what: api[what][chosen] for what in ("classes", "encodings")},
        **{what: api[what] for what in ("boxes", "scores", "labels")},
    )


if __name__ == "__main__":
    main()
