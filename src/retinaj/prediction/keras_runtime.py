"""The detection graph on TensorFlow, from a model folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retinaj.model_folder import ModelRecord, load_network
from retinaj.network.detection import detections
from retinaj.network.untyped import tf


class KerasRuntime:
    """Runs a model folder's network; implements `retinaj.prediction.detector.Runtime`.

    Raises:
        RetinaJError: if the folder is not a RetinaJ model or was tampered with.
    """

    def __init__(self, folder: Path) -> None:
        self.record: ModelRecord
        self.record, network = load_network(folder)
        config = self.record.network
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
