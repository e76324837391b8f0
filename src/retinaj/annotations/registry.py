"""The formats that RetinaJ knows, and which of them a file or folder is."""

from __future__ import annotations

from pathlib import Path

from retinaj.annotations import (
    coco,
    csv_table,
    imagej_roi,
    kitti,
    label_images,
    labelme,
    mask_folders,
    pascal_voc,
    tfrecord,
    yolo,
)
from retinaj.annotations.class_folders import inner_folders
from retinaj.annotations.format import AnnotationFormat
from retinaj.errors import RetinaJError

# In this order they are tried on a file or folder of unknown format: the surest first, and the first that recognises it is it.
FORMATS: tuple[AnnotationFormat, ...] = (
    pascal_voc.FORMAT,
    coco.FORMAT,
    labelme.FORMAT,
    imagej_roi.FORMAT,
    tfrecord.FORMAT,
    kitti.FORMAT,
    yolo.FORMAT,
    csv_table.FORMAT,
    mask_folders.FORMAT,
    label_images.FORMAT,
)

_LOOKED_AT = 20  # folders in a folder, for annotations one level below


def format_named(name: str) -> AnnotationFormat:
    """The format of a name.

    Raises:
        RetinaJError: if there is none, with those that there are.
    """
    for each in FORMATS:
        if each.name == name.lower():
            return each
    raise RetinaJError(
        f"{name!r} is not a known annotation format; expected one of {', '.join(each.name for each in FORMATS)}."
    )


def find_format(path: Path) -> AnnotationFormat:
    """The format of a file or folder: by its content, or by its suffix where that is known but the content is broken.

    Raises:
        RetinaJError: if it does not exist, or is of no known format.
    """
    if not path.exists():
        raise RetinaJError(f"{path} does not exist; expected a file or folder of annotations.")
    for each in FORMATS:
        if each.recognises(path):
            return each
    for each in FORMATS:
        if path.is_file() and path.suffix.lower() == each.suffix != ".txt":  # which anything may have
            return each  # its reader says what is wrong with the file
    below = [each for each in inner_folders(path)[:_LOOKED_AT] if any(form.recognises(each) for form in FORMATS)]
    if below:
        named = " or ".join(map(str, below[:3]))
        raise RetinaJError(f"{path} has no annotations itself, but there are some one level below: did you mean {named}?")
    if path.is_dir() and not any(path.iterdir()):
        raise RetinaJError(f"{path} is empty; expected a file or folder of annotations.")
    known = "; ".join(f"{each.name}: {each.title}" for each in FORMATS)
    what = "has no annotations in it" if path.is_dir() else "is not a known annotation format"
    raise RetinaJError(f"{path} {what}. RetinaJ reads {known}. If it is one of these, say so with --format.")
