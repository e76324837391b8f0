"""Multiplying a training set on disk by mirrored and turned copies, as the ZeroCostDL4Mic notebook does before training.

`retinaj train` varies its windows by itself, anew in each epoch, and does not need such a folder: it is for other programs,
and for looking.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from retinaj.annotations import pascal_voc
from retinaj.augmentation.config import AugmentationConfig
from retinaj.augmentation.strengths import strengths_text
from retinaj.augmentation.whole_image import turn_image, vary_image
from retinaj.boxes import Boxes
from retinaj.dataset import Dataset, Sample
from retinaj.errors import RetinaJError
from retinaj.files import atomic_folder, write_text
from retinaj.images.plane_choice import AS_STORED
from retinaj.images.writing import lossless_suffix, write_image

IMAGES_FOLDER, ANNOTATIONS_FOLDER, LISTS_FOLDER = "JPEGImages", "Annotations", "ImageSets/Main"
TRAINING_LIST, VALIDATION_LIST = f"{LISTS_FOLDER}/train.txt", f"{LISTS_FOLDER}/val.txt"
FEWEST, MOST = 2, 8

# In the notebook's order: the image flipped, then turned further and further to the right, then both. With the image itself
# these are the eight ways to lay a picture on a table: no two copies are alike.
_COPIES = (
    ("flipped", True, 0),
    ("turned90", False, 1),
    ("turned180", False, 2),
    ("turned270", False, 3),
    ("flipped_turned90", True, 1),
    ("flipped_turned180", True, 2),
    ("flipped_turned270", True, 3),
)


@dataclass(frozen=True)
class Multiplied:
    """What was written.

    Attributes:
        folder: with JPEGImages, Annotations and ImageSets/Main.
        images, boxes: of the training set, copies included.
        validation_images: copied as they are.
        dropped: objects of copies that strengths moved out of their image.
    """

    folder: Path
    images: int
    boxes: int
    validation_images: int
    dropped: int


def multiply(
    training: Dataset,
    validation: Dataset,
    folder: Path,
    *,
    times: int,
    config: AugmentationConfig,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Multiplied:
    """Write a training set `times` over as PASCAL VOC: the images themselves, and copies that are flipped and turned.

    Images are copied byte for byte; a plane of a stack becomes an image of its own. Their copies keep pixel type, bit depth,
    channels and pixel size: TIFF stays TIFF; the others become PNG, because writing a JPEG again would change it. Without
    further strengths the copies' pixels and boxes are exact.

    Args:
        training: what is multiplied.
        validation: written once, unchanged, with a list of its own, so that no copy of a training image validates.
        folder: to make; must not exist, or be empty.
        times: 2 to 8.
        config: further strengths for the copies; its flips, quarter turns and mosaics are not used.
        seed: of which way images are flipped, and of the strengths.
        progress: called with (images done, images in all).

    Raises:
        RetinaJError: if the folder holds something, `times` is out of range, or an image is damaged.
    """
    if not FEWEST <= times <= MOST:
        raise RetinaJError(
            f"--times is {times}; expected {FEWEST} to {MOST}: there are {MOST} ways to flip and turn an image, and one is the "
            "image itself."
        )
    folder, sets = Path(folder), ((training, TRAINING_LIST), (validation, VALIDATION_LIST))
    total = len(training) + len(validation)
    with atomic_folder(folder) as temporary:
        for name in (IMAGES_FOLDER, ANNOTATIONS_FOLDER, LISTS_FOLDER):
            (temporary / name).mkdir(parents=True)
        writer, listed, done = _Writer(temporary), dict[str, list[str]](), 0
        # All originals' names are taken before the first copy needs one.
        stems = iter([writer.reserve(sample.name) for dataset, _ in sets for sample in dataset.samples])
        for dataset, list_name in sets:
            names = listed.setdefault(list_name, [])
            for index, sample in enumerate(dataset.samples):
                stem, image = next(stems), sample.read()
                writer.write_original(sample, image, stem)
                names.append(stem)
                for number, (what, mirrored, turns) in enumerate(_COPIES[: times - 1] if dataset is training else ()):
                    random = np.random.default_rng([seed, index])  # of the image: all its copies are flipped the same way
                    axis = ("x", "y")[int(random.integers(2))] if mirrored else ""
                    copy, boxes = turn_image(image, sample.boxes, mirrored=axis, turns=turns)
                    if config != AugmentationConfig.off():
                        copy, boxes = vary_image(copy, boxes, config, np.random.default_rng([seed, index, number]))
                    writer.dropped += len(sample.boxes) - len(boxes)
                    names.append(writer.write_copy(sample, copy, boxes, writer.reserve(f"{stem}_{what}")))
                done += 1
                progress(done, total)
            write_text(temporary / list_name, "".join(f"{name}\n" for name in names))
        strengths = strengths_text(config, AugmentationConfig.off())
        text = _README.format(times=times, seed=seed, further=f", and varied by {strengths}" if strengths else "")
        write_text(temporary / "README.txt", text)
    boxes = sum(len(sample.boxes) for sample in training.samples) * times - writer.dropped
    return Multiplied(folder, len(listed[TRAINING_LIST]), boxes, len(validation), writer.dropped)


class _Writer:
    """Images and their annotations, each pair under a name of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[str] = set()
        self.dropped = 0

    def reserve(self, name: str) -> str:
        """A file name's stem like `name` that no other image has, on no file system."""
        stem = wanted = name.replace("/", "_")
        number = 2
        while stem.casefold() in self._taken:
            stem, number = f"{wanted}_{number}", number + 1
        self._taken.add(stem.casefold())
        return stem

    def write_original(self, sample: Sample, image: xr.DataArray, stem: str) -> None:
        whole = sample.plane is None and sample.choice == AS_STORED and sample.image_path.is_file()
        if not whole:  # a plane of a stack, chosen channels, or an image that is a folder
            self.write_copy(sample, image, sample.boxes, stem)
            return
        name = f"{stem}{sample.image_path.suffix}"
        shutil.copyfile(sample.image_path, self._folder / IMAGES_FOLDER / name)
        self._annotate(name, stem, image, sample.boxes)

    def write_copy(self, sample: Sample, image: xr.DataArray, boxes: Boxes, stem: str) -> str:
        name = f"{stem}{lossless_suffix(sample.image_path, image)}"
        write_image(self._folder / IMAGES_FOLDER / name, image)
        self._annotate(name, stem, image, boxes)
        return stem

    def _annotate(self, image_name: str, stem: str, image: xr.DataArray, boxes: Boxes) -> None:
        size, channels = (image.sizes["x"], image.sizes["y"]), image.sizes.get("c", 1)
        content = pascal_voc.to_xml(boxes, image_name=image_name, size=size, channels=channels)
        (self._folder / ANNOTATIONS_FOLDER / f"{stem}.xml").write_bytes(content)


_README = """\
A multiplied training set
=========================
Made by `retinaj augment --times {times} --seed {seed}`: each training image is here as it was, and as copies of it that are
flipped and turned by quarter turns to the right{further}. The validation images are here once, unchanged.

JPEGImages/           the images (the folder's name is a habit of the format)
Annotations/          for each image an XML file of the same name with the boxes, in the format PASCAL VOC
ImageSets/Main/       train.txt, the training images and their copies; val.txt, the validation images

Keep the two lists apart: with a copy of a training image among the validation images, validation says nothing.
"""
