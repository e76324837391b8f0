"""The NMS of the graph against greedy NMS on real images: some of each data set; benchmarks/nms_agreement.py takes them all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from nms_reference import candidates, depth, expected_rows, first_plane, real_images

from retinaj.network.config import NetworkConfig
from retinaj.network.detection import network_input, select_detections
from retinaj.network.nms import ROUNDS
from retinaj.network.retinanet import build_network
from retinaj.network.untyped import keras
from retinaj.normalization import PercentileScale
from retinaj.prediction.detector import to_channels

# Random weights score boxes all over the image, close to each other: harder for NMS than what a trained model leaves.
CONFIG = NetworkConfig(
    num_classes=2, prior=0.3, pyramid_width=16, downsampling=8, max_candidates=300, score_floor=0.05, voting=0.7
)
OVERLAP = 0.5
IMAGES_OF_EACH = 2


def test_nms_equals_greedy_nms_on_real_images(shared_data: Path) -> None:
    keras.utils.set_random_seed(0)
    network = build_network(CONFIG)

    @tf.function(input_signature=[tf.TensorSpec((1, None, None, CONFIG.channels), tf.float32)])
    def run(image: tf.Tensor) -> tuple[dict[str, list[tf.Tensor]], tf.Tensor]:
        outputs = network(network_input(image, CONFIG))
        return outputs, select_detections(outputs, CONFIG, OVERLAP)

    boxes = 0
    for folder in sorted(path for path in shared_data.iterdir() if path.is_dir()):
        images = real_images(folder)
        for path in images[:: -(-len(images) // IMAGES_OF_EACH)]:
            plane = first_plane(path)
            if plane is None or plane.sizes.get("c", 1) not in (1, CONFIG.channels):
                continue
            outputs, rows = run(PercentileScale()(to_channels(plane, CONFIG.channels))[None])
            found = candidates(outputs, CONFIG)
            assert depth(found[0], found[2], OVERLAP) <= ROUNDS
            np.testing.assert_allclose(rows[0], expected_rows(found, CONFIG, OVERLAP), atol=1e-3, err_msg=str(path))
            boxes += int((np.asarray(rows)[0, :, 4] > 0).sum())
    assert boxes > 200


@pytest.mark.parametrize("length", [16, ROUNDS])
def test_depth_is_that_of_the_longest_chain(length: int) -> None:
    left = np.arange(length) * 3.0
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1).astype(np.float32)
    assert depth(boxes, np.zeros(length, np.int64), OVERLAP) == length - 1
