"""Prediction with a trained model."""

from __future__ import annotations

from pathlib import Path

from retinaj.model_folder import load_network
from retinaj.prediction.detector import DEFAULT_THRESHOLD, Detector

__all__ = ["DEFAULT_THRESHOLD", "Detector", "open_model"]


def open_model(folder: Path) -> Detector:
    """Open a model folder for detection, on TensorFlow.

    Args:
        folder: as `retinaj train --output` writes it. `retinaj_zoo.open_model` opens packages too.

    Raises:
        RetinaJError: if it is not a RetinaJ model or was tampered with.
    """
    record, network = load_network(Path(folder))
    from retinaj.prediction.keras_runtime import KerasRuntime  # TensorFlow, only when a model folder is opened

    return Detector.of(record, KerasRuntime(network, record.network))
