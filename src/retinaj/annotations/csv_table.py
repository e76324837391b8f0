"""CSV: tables with one row per object, of all images or of one each, as ImageJ and `retinaj predict` write them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from retinaj.annotations.annotation import NO_DETAILS, Annotation, ObjectDetails
from retinaj.annotations.csv_columns import CORNERS, is_table
from retinaj.annotations.csv_reading import first_row, read_table
from retinaj.annotations.files import annotation_files, first_files
from retinaj.annotations.format import AnnotationFormat, Reading
from retinaj.errors import RetinaJError

_SUFFIXES = (".csv", ".tsv", ".txt")
_COUNTS = "counts.csv"  # `retinaj predict` puts it beside its tables: no boxes
_PLANE = ("t", "c", "z")
_FLAGS = ("difficult", "truncated", "occluded", "crowd")


def _recognises(path: Path) -> bool:
    return any(is_table(first_row(file)) for file in first_files(path, _SUFFIXES))


def _read_all(path: Path, reading: Reading) -> list[Annotation]:
    files = annotation_files(path, _SUFFIXES)
    if path.is_dir():
        # Text files of other kinds may lie between the tables.
        extra = [file for file in files if file.suffix.lower() == ".txt" or file.name == _COUNTS]
        files = [file for file in files if file not in extra or reading.columns or is_table(first_row(file))]
        if not files:
            raise RetinaJError(f"{path} has no tables of boxes in it.")
    return [annotation for file in files for annotation in read_table(file, reading)]


def _write_all(target: Path, annotations: Iterable[Annotation], class_names: Sequence[str], images: Path | None) -> None:
    """One table for all images, with the columns that some object needs; an image without objects has a row to itself."""
    entries = list(annotations)
    optional = _optional_columns(entries)
    sized = any(entry.size is not None for entry in entries)
    scored = any(entry.boxes.score is not None for entry in entries)
    columns = [
        "image",
        *(("image_width", "image_height") if sized else ()),
        *CORNERS,
        *(("score",) if scored else ()),
        "class",
        *(_PLANE if any(entry.boxes.plane is not None for entry in entries) else ()),
        *optional,
    ]
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
        writer.writeheader()
        for entry in entries:
            image = {"image": entry.image_name or entry.stem or ""}
            if not image["image"]:
                raise RetinaJError(f"{entry.source}: an annotation names no image; a table of many images needs its name.")
            if entry.size is not None:
                image |= {"image_width": str(entry.size[0]), "image_height": str(entry.size[1])}
            if not len(entry.boxes):
                writer.writerow(image)
            writer.writerows(image | row for row in _rows(entry, optional))


def _rows(entry: Annotation, optional: Sequence[str]) -> Iterable[dict[str, str]]:
    boxes = entry.boxes
    for at, name in enumerate(boxes.names):
        # The shortest text that gives the same float32 again.
        row = {key: str(value) for key, value in zip(CORNERS, boxes.xyxy[at], strict=True)}
        if boxes.score is not None:
            row["score"] = str(boxes.score[at])
        row["class"] = name
        if boxes.plane is not None:  # from 1, as in ImageJ
            row |= {key: str(value + 1) for key, value in zip(_PLANE, boxes.plane[at].tolist(), strict=True)}
        yield row | {key: _text(entry.detail(at), key) for key in optional}


def _optional_columns(entries: Sequence[Annotation]) -> list[str]:
    details = [detail for entry in entries for detail in entry.details]
    keys = (*_FLAGS, "name", "group", "colour")
    return [key for key in keys if any(getattr(detail, key) != getattr(NO_DETAILS, key) for detail in details)]


def _text(detail: ObjectDetails, key: str) -> str:
    if key in _FLAGS:
        return str(int(getattr(detail, key)))
    if key == "colour":
        return "" if detail.colour is None else f"#{bytes(detail.colour).hex()}"
    return detail.name if key == "name" else "" if detail.group is None else str(detail.group)


FORMAT = AnnotationFormat(
    name="csv",
    title="CSV (a table with one row per object)",
    layout="file",
    suffix=".csv",
    holds=frozenset({"score", "plane", "fraction", "empty", *_FLAGS, "name", "group", "colour"}),
    recognises=_recognises,
    read=_read_all,
    write=_write_all,
)
