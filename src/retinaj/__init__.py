"""RetinaJ: RetinaNet object detection for microscopy.

The three things it does, as functions; each is also a command of `retinaj`:

- `train(images, annotations, output)` makes a model folder,
- `evaluate(images, annotations, detector, output)` measures one,
- `predict(source, detector, output)` detects, with `detector = open_model(folder)`.

They are imported when first used, so that `import retinaj` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from retinaj.errors import RetinaJError

if TYPE_CHECKING:
    from retinaj.boxes import Boxes
    from retinaj.evaluation.run import evaluate
    from retinaj.prediction import open_model
    from retinaj.prediction.batch import predict
    from retinaj.training.settings import TrainingSettings
    from retinaj.training.train import train

__all__ = ["Boxes", "RetinaJError", "TrainingSettings", "evaluate", "open_model", "predict", "train"]
__version__ = version("retinaj")

_HOMES = {
    "Boxes": "retinaj.boxes",
    "TrainingSettings": "retinaj.training.settings",
    "evaluate": "retinaj.evaluation.run",
    "open_model": "retinaj.prediction",
    "predict": "retinaj.prediction.batch",
    "train": "retinaj.training.train",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'retinaj' has no attribute {name!r}")
