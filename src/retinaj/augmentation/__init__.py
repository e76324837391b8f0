"""Training windows: a random view of an image, with its boxes; exact under flips and quarter turns.

Importing this package needs Numpy and Pillow only: a model's record holds an `AugmentationConfig`, and reading one in Fiji must
not wait for more.
"""

from retinaj.augmentation.config import AugmentationConfig
from retinaj.augmentation.view import visible_boxes
from retinaj.augmentation.window import random_window

__all__ = ["AugmentationConfig", "random_window", "visible_boxes"]
