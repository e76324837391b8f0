"""What a run leaves in `MODEL/training`, beside the model: its plan, its state, its log, one sample image."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import xarray as xr
from pydantic import BaseModel, ConfigDict, ValidationError

from retinaj.dataset import Dataset, Sample
from retinaj.errors import RetinaJError
from retinaj.files import atomic_path, write_text
from retinaj.images.plane_choice import AS_STORED
from retinaj.images.tiff import write_plane
from retinaj.model_folder import TRAINING_FOLDER, ModelRecord

RUN_FILE = "run.json"
LOG_FILE = "training.log"
_SAMPLE_NOTE = "sample.json"
HISTORY_FILE = "history.csv"
# A sample should show objects, at least as many as the zoo's test of a package is told by.
_SAMPLE_OBJECTS = 5
# Of a larger image, in pixels, a square around an object is kept: it goes into every package of the model.
_LARGEST_SAMPLE, _SAMPLE_SIDE = 4096 * 4096, 2048


class UsedImages(BaseModel):
    """The images that training and validation use, to notice when they are other ones later.

    Attributes:
        training, validation: names of the images.
        boxes_sha256: of all boxes and labels, to notice annotations that were changed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    training: tuple[str, ...]
    validation: tuple[str, ...]
    boxes_sha256: str

    @classmethod
    def of_sets(cls, training: Dataset, validation: Dataset) -> UsedImages:
        """What these two sets have."""
        return UsedImages(
            training=tuple(sample.name for sample in training.samples),
            validation=tuple(sample.name for sample in validation.samples),
            boxes_sha256=_digest((*training.samples, *validation.samples)),
        )

    def used(self) -> UsedImages:
        """The images alone, without what else is known of their use."""
        return UsedImages(training=self.training, validation=self.validation, boxes_sha256=self.boxes_sha256)


class Run(UsedImages):
    """The plan of a run, written before its first step and kept to by --resume.

    Attributes:
        record: the model as planned, with all settings.
    """

    record: ModelRecord

    @classmethod
    def of(cls, record: ModelRecord, training: Dataset, validation: Dataset) -> Run:
        """The plan to train `record` on these images."""
        return cls(record=record, **UsedImages.of_sets(training, validation).model_dump())


def _digest(samples: tuple[Sample, ...]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(sample.boxes.xyxy.tobytes() + sample.boxes.label.tobytes() + b"|")
    return digest.hexdigest()


def save_run(folder: Path, run: Run) -> None:
    """Write the plan."""
    write_text(folder / TRAINING_FOLDER / RUN_FILE, run.model_dump_json(indent=2) + "\n")


def load_run(folder: Path) -> Run:
    """Read the plan of an interrupted run.

    Raises:
        RetinaJError: if there is none, or it is broken.
    """
    path = folder / TRAINING_FOLDER / RUN_FILE
    if not path.is_file():
        raise RetinaJError(f"There is nothing to resume in {folder}: it has no {TRAINING_FOLDER}/{RUN_FILE}.")
    try:
        return Run.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise RetinaJError(f"{path} cannot be resumed: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


def images_of_run(folder: Path) -> set[str]:
    """The names of the images that a model was trained on or chosen by; none if its folder does not tell."""
    try:
        run = load_run(folder)
    except RetinaJError:
        return set()
    return {*run.training, *run.validation}


def require_same_images(run: UsedImages, training: Dataset, validation: Dataset, folder: Path) -> None:
    """Refuse to resume on other images or annotations than the run began with.

    Raises:
        RetinaJError: naming an image that came or went.
    """
    given = UsedImages.of_sets(training, validation)
    for kind, before, now in (
        ("training", run.training, given.training),
        ("validation", run.validation, given.validation),
    ):
        if before != now:
            changed = sorted(set(before) ^ set(now))
            example = f", for example {changed[0]!r}" if changed else " in their order"
            raise RetinaJError(
                f"The {kind} images are not those that the run in {folder} began with: {len(before)} then, {len(now)} now"
                f"{example}. Resume with the same images, annotations and lists, or train into a new folder."
            )
    if given.boxes_sha256 != run.boxes_sha256:
        raise RetinaJError(
            f"The annotations were changed since the run in {folder} began: a resumed run would not be the same run. Resume "
            "with the annotations as they were, or train into a new folder."
        )


def has_sample(folder: Path) -> bool:
    """Whether the folder has the copy of an image that `save_sample` makes."""
    return (folder / TRAINING_FOLDER / _SAMPLE_NOTE).is_file()


def save_sample(folder: Path, samples: tuple[Sample, ...]) -> Sample:
    """Keep a copy of one image, to make the model's test and cover from when it is packaged.

    Of the images with at least five objects the one with the fewest is taken: its detections are the least crowded. Of an image
    larger than 4096 x 4096 pixels, 2048 x 2048 of them around an object are kept.
    """
    enough = [sample for sample in samples if len(sample.boxes) >= _SAMPLE_OBJECTS]
    chosen = min(enough, key=lambda s: len(s.boxes)) if enough else max(samples, key=lambda s: len(s.boxes))
    header = chosen.choice.header(chosen.image_path)
    large = header.width * header.height > _LARGEST_SAMPLE
    as_it_is = chosen.plane is None and chosen.choice == AS_STORED and chosen.image_path.is_file() and not large
    target = folder / TRAINING_FOLDER / f"sample{chosen.image_path.suffix.lower() if as_it_is else '.tif'}"
    with atomic_path(target) as temporary:
        if as_it_is:
            shutil.copyfile(chosen.image_path, temporary)
        else:  # the plane and the channels that the model sees
            write_plane(temporary, _around_an_object(chosen) if large else chosen.read())
    note = {"file": target.name, "source": chosen.image_path.name if chosen.plane is None else chosen.name}
    write_text(folder / TRAINING_FOLDER / _SAMPLE_NOTE, json.dumps(note, indent=2) + "\n")
    return chosen


def _around_an_object(sample: Sample) -> xr.DataArray:
    """A square of a large image with an object in its middle, or as near to it as the image goes."""
    image, boxes = sample.open(), sample.boxes.xyxy
    places: dict[str, slice] = {}
    for axis, low, high in (("x", 0, 2), ("y", 1, 3)):
        centre = int((boxes[len(boxes) // 2, low] + boxes[len(boxes) // 2, high]) / 2) if len(boxes) else image.sizes[axis] // 2
        first = min(max(centre - _SAMPLE_SIDE // 2, 0), max(image.sizes[axis] - _SAMPLE_SIDE, 0))
        places[axis] = slice(first, first + _SAMPLE_SIDE)
    return image.isel(places).compute()


def open_log(folder: Path) -> logging.Logger:
    """A logger that appends to the run's log file, with the time of each line."""
    logger = logging.Logger(f"retinaj.training.{folder.name}", logging.INFO)
    handler = logging.FileHandler(folder / TRAINING_FOLDER / LOG_FILE, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    return logger


def add_to_log(folder: Path, lines: Sequence[str]) -> None:
    """Append what was said before the run's log was open."""
    logger = open_log(folder)
    for line in lines:
        logger.info(line)
    for handler in logger.handlers:
        handler.close()
