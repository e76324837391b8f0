"""ImageJ ROIs as annotations: .roi files and RoiSet.zips, one per image, and the overlays inside TIFF images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from retinaj.annotations.annotation import Annotation, relabel, require_sound
from retinaj.annotations.files import annotation_files, beginning, file_stem, first_files, read_files
from retinaj.annotations.format import AnnotationFormat, Reading
from retinaj.annotations.imagej_names import DEFAULT_CLASS, parse_name, roi_names
from retinaj.annotations.imagej_overlay import StackShape, has_overlay, stack_shape
from retinaj.annotations.imagej_reading import image_stem, read_rois
from retinaj.annotations.imagej_writing import write_roi_set
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.images.files import ImageFiles

__all__ = ["DEFAULT_CLASS", "FORMAT", "parse_name", "read_roi_set", "roi_names", "write_roi_set"]

_ROIS = (".roi", ".zip")
_TIFF = (".tif", ".tiff")


def read_roi_set(path: Path, class_names: Sequence[str] | None = None) -> Boxes:
    """Read the ROIs of one image as boxes: of any shape, by the smallest rectangle around it.

    The class is the ROI's name without a score and without the number that ImageJ adds to repeated names:
    "RBC 0.97-2" is an RBC with score 0.97. Names made by ImageJ from the position are of the class "object".

    Args:
        path: a .roi file, a ZIP of them, or a TIFF with an overlay.
        class_names: the order of the classes; default: those found, sorted.

    Returns:
        Boxes in sub-pixel coordinates where the ROI has them, in the order of the file; with scores if every
        name has one; with planes if some ROI has a position (position 0, "all", becomes plane 0). Points and
        straight lines may have boxes without an area.

    Raises:
        RetinaJError: if the file is missing, damaged, not ROIs, or unpacks to an absurd size, or a class is
            not among `class_names`.
    """
    boxes = require_sound(read_rois(Path(path))).boxes
    return boxes if class_names is None else relabel(boxes, class_names, str(path))


def _recognises(path: Path) -> bool:
    if any(file.suffix.lower() == ".roi" or _is_roi_zip(file) for file in first_files(path, _ROIS)):
        return True
    return any(has_overlay(file) for file in first_files(path, _TIFF))


def _is_roi_zip(path: Path) -> bool:
    start = beginning(path)
    return start.startswith(b"PK\5\6") or (start.startswith(b"PK\3\4") and b".roi" in start.lower())  # the first: empty


def _read_all(path: Path, reading: Reading) -> list[Annotation]:
    """The ROI files; where there is none for an image, the overlay inside it."""
    if not path.is_dir():
        return [_read_one(path, reading, None)]
    files = annotation_files(path, _ROIS, reading.broken) if first_files(path, _ROIS) else []
    taken = {image_stem(file) for file in files}
    inside = annotation_files(path, _TIFF, reading.broken) if first_files(path, _TIFF) else []
    files += [file for file in inside if file.stem not in taken and has_overlay(file)]
    if not files:
        raise RetinaJError(f"{path} has no ImageJ ROIs in it: no .roi or .zip files, and no TIFF with an overlay.")
    images = None if reading.images is None else ImageFiles(reading.images)
    return read_files(files, lambda file: _read_one(file, reading, images), reading)


def _read_one(path: Path, reading: Reading, images: ImageFiles | None) -> Annotation:
    return read_rois(path, reading.class_from, None if images is None else _stack(path, image_stem(path), images))


def _stack(source: Path, stem: str, images: ImageFiles) -> StackShape | None:
    """The stack that a file's ROIs lie on, if it is there and readable: whether it is, is for others to say."""
    try:
        image = images.find(stem, stem, source)
        return None if image is None else stack_shape(image)
    except RetinaJError:
        return None


def _write_all(target: Path, annotations: Iterable[Annotation], class_names: Sequence[str], images: Path | None) -> None:
    target.mkdir(exist_ok=True)
    files = None if images is None else ImageFiles(images)
    for annotation in annotations:
        stem = file_stem(annotation)
        file = target / f"{stem}_RoiSet.zip"
        if file.exists():
            raise RetinaJError(f"{annotation.source}: two images would both go to {file.name}; rename one.")
        shape = None if files is None or annotation.boxes.plane is None else _stack(annotation.source, stem, files)
        plain = shape is not None and shape.is_plain
        write_roi_set(file, annotation.boxes, plain_stack=plain, details=annotation.details)


FORMAT = AnnotationFormat(
    name="imagej",
    title="ImageJ ROIs (one .roi or RoiSet.zip per image, or overlays inside TIFFs)",
    layout="folder",
    suffix="_RoiSet.zip",
    holds=frozenset({"score", "plane", "fraction", "empty", "name", "group", "colour", "properties"}),
    recognises=_recognises,
    read=_read_all,
    write=_write_all,
)
