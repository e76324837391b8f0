"""Annotation formats: PASCAL VOC, COCO and ImageJ ROIs, each read into and written from Boxes."""

from __future__ import annotations

from pathlib import Path

from retinaj.annotations import coco, imagej_roi, pascal_voc
from retinaj.annotations.annotation import Annotation, relabel
from retinaj.errors import RetinaJError
from retinaj.images import natural_key

__all__ = ["Annotation", "read_annotations", "relabel"]


def read_annotations(path: Path) -> list[Annotation]:
    """Read all annotations of a data set, whatever their format.

    Args:
        path: a COCO JSON file; a PASCAL VOC XML file; an ImageJ .roi or RoiSet.zip; or a folder of XML
            files, or of ROI files named after their images (cell1.roi, cell1.zip or cell1_RoiSet.zip for
            cell1.tif).

    Returns:
        One Annotation per image that is mentioned, in natural order of the file names, for COCO in the
        file's order.

    Raises:
        RetinaJError: if there is no such file, no annotation in the folder, or one of them is broken.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(
            (file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")),
            key=lambda file: natural_key(file.name),
        )
        for suffixes in ((".xml",), (".roi", ".zip")):
            found = [file for file in files if file.suffix.lower() in suffixes]
            if found:
                return [annotation for file in found for annotation in read_annotations(file)]
        raise RetinaJError(
            f"{path} has no annotations in it; expected PASCAL VOC files (.xml) or ImageJ ROIs (.roi, .zip), "
            "one per image. For COCO name the JSON file itself."
        )
    suffix = path.suffix.lower()
    if suffix == ".json":
        return coco.read(path)
    if suffix == ".xml":
        return [pascal_voc.read(path)]
    if suffix in (".roi", ".zip"):
        return [_read_rois(path)]
    state = "is not a known annotation format" if path.exists() else "does not exist"
    raise RetinaJError(f"{path} {state}; expected a folder, or a .json (COCO), .xml (PASCAL VOC), .roi or .zip file.")


def _read_rois(path: Path) -> Annotation:
    stem = path.stem
    for ending in ("_RoiSet", "-RoiSet", "_rois"):
        stem = stem.removesuffix(ending)
    boxes = imagej_roi.read_roi_set(path)
    return Annotation(path, stem, boxes)
