"""The detection graph on TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.network.config import NetworkConfig
from retinaj.network.detection import detections
from retinaj.network.untyped import tf


class KerasRuntime:
    """Runs a network of ours; implements `retinaj.prediction.detector.Runtime`.

    Args:
        network: made by `build_network(config)`, with its weights.
        config: what it was built from.
    """

    def __init__(self, network: Any, config: NetworkConfig) -> None:
        self._detect = tf.function(
            lambda image, overlap: detections(network, config, image, overlap),
            input_signature=[
                tf.TensorSpec([None, None, None, config.channels], tf.float32),
                tf.TensorSpec([], tf.float32),
            ],
        )

    def __call__(self, batch: NDArray[np.float32], overlap: float) -> NDArray[np.float32]:
        """See `Runtime`."""
        return self._detect(tf.convert_to_tensor(batch, tf.float32), tf.constant(overlap, tf.float32)).numpy()
