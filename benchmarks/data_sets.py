"""Annotated images with a split of their own: in the layout of PASCAL VOC, or as images with COCO files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retinaj.dataset import Dataset, load_dataset

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class DataSet:
    """Where a data set has its images and annotations.

    Attributes:
        folder: with JPEGImages, Annotations and ImageSets/Main, or with images/, train.json, val.json and test.json.
    """

    folder: Path

    @property
    def name(self) -> str:
        """For tables."""
        return self.folder.resolve().name

    @property
    def _is_coco(self) -> bool:
        return (self.folder / "train.json").is_file()

    @property
    def images(self) -> Path:
        """The folder of all images."""
        return self.folder / ("images" if self._is_coco else "JPEGImages")

    def annotations(self, part: str) -> Path:
        """Of one of `PARTS`."""
        return self.folder / (f"{part}.json" if self._is_coco else "Annotations")

    def names(self, part: str) -> Path | None:
        """The list of a part's images, where the annotations are of all."""
        return None if self._is_coco else self.folder / "ImageSets" / "Main" / f"{part}.txt"

    @property
    def validation(self) -> Path:
        """What `retinaj train --validation` is given."""
        return self.names("val") or self.annotations("val")

    def load(self, part: str, class_names: tuple[str, ...] | None = None) -> Dataset:
        """The images of a part with their ground truth."""
        return load_dataset(self.images, self.annotations(part), names=self.names(part), class_names=class_names)
