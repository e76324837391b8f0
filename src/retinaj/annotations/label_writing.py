"""Writing boxes as instance label images: rectangles, each filled with a value of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from retinaj.annotations.annotation import Annotation
from retinaj.annotations.class_folders import folder_names
from retinaj.annotations.files import file_stem
from retinaj.annotations.painting import pixel_rectangles
from retinaj.errors import RetinaJError

_TITLE = "label images"


def write(target: Path, annotations: Iterable[Annotation], class_names: Sequence[str], images: Path | None) -> None:
    """Write label images, as `AnnotationFormat.write`: a folder for each class, with a 16- or 32-bit TIFF for each image.

    Raises:
        RetinaJError: if a class cannot be a folder, a size is not known, or an object would not be seen.
    """
    folders = folder_names(class_names, _TITLE)
    for folder in folders.values():
        (target / folder).mkdir(parents=True, exist_ok=True)
    for annotation in annotations:
        rectangles = pixel_rectangles(annotation, _TITLE)
        for label, name in enumerate(class_names):
            file = target / folders[name] / f"{file_stem(annotation)}_labels.tif"
            if file.exists():
                raise RetinaJError(f"{annotation.source}: two images would both go to {file.name}; rename one.")
            of_class = np.flatnonzero(annotation.boxes.label == label)
            tifffile.imwrite(file, _painted(annotation, of_class, rectangles), compression="deflate", metadata=None)


def _painted(annotation: Annotation, chosen: NDArray[np.intp], rectangles: NDArray[np.int64]) -> NDArray[Any]:
    """The chosen boxes, small ones over large ones.

    Raises:
        RetinaJError: if one would be hidden by others.
    """
    width, height = annotation.size or (0, 0)
    labels = np.zeros((height, width), np.uint16 if len(chosen) <= np.iinfo(np.uint16).max else np.uint32)
    area = (rectangles[:, 2] - rectangles[:, 0]) * (rectangles[:, 3] - rectangles[:, 1])
    for number in np.argsort(-area[chosen], kind="stable").tolist():
        x_min, y_min, x_max, y_max = rectangles[chosen[number]].tolist()
        labels[y_min:y_max, x_min:x_max] = number + 1
    seen = np.bincount(labels.ravel(), minlength=len(chosen) + 1)[1:] > 0
    if not seen.all():
        hidden = annotation.place(int(chosen[np.flatnonzero(~seen)[0]]))
        raise RetinaJError(
            f"{annotation.source}: {hidden} is covered by others of its class, but a label image has one object per pixel. "
            "Remove double boxes, or choose the format masks, with a file for each object."
        )
    return labels
