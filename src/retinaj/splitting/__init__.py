"""Dividing annotated images into training, validation and test images, written down as lists."""

from __future__ import annotations

from retinaj.splitting.grouping import Grouping, group_images
from retinaj.splitting.split import Part, Split, split_dataset
from retinaj.splitting.stratification import Unit, stratify
from retinaj.splitting.writing import write_split

__all__ = ["Grouping", "Part", "Split", "Unit", "group_images", "split_dataset", "stratify", "write_split"]
