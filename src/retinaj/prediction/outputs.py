"""Detections as a CSV table."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.files import atomic_path

COLUMNS = ("x_min", "y_min", "x_max", "y_max", "score", "class")
PLANE_COLUMNS = ("t", "z")


def write_csv(path: Path, boxes: Boxes) -> None:
    """Write one row per box, whole or not at all.

    The columns are x_min, y_min, x_max, y_max in pixels (the origin is the top-left corner of the top-left pixel), score and
    class; for a stack also t and z, the time frame and slice, counted from 1 as ImageJ does. Numbers have all digits that
    float32 has.

    Args:
        path: the CSV file, UTF-8.
        boxes: with scores.

    Raises:
        RetinaJError: if the boxes have no scores.
    """
    if boxes.score is None:
        raise RetinaJError(f"The boxes for {path} have no scores; a table of detections needs them.")
    columns = COLUMNS if boxes.plane is None else COLUMNS + PLANE_COLUMNS
    with atomic_path(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for at, (corners, score, name) in enumerate(zip(boxes.xyxy, boxes.score, boxes.names, strict=True)):
            row = [*(_shortest(value) for value in corners), _shortest(score), name]
            if boxes.plane is not None:
                t, _, z = (boxes.plane[at] + 1).tolist()
                row += [str(t), str(z)]
            writer.writerow(row)


def read_csv(path: Path, class_names: Sequence[str]) -> Boxes:
    """The boxes in a CSV by `write_csv`; with planes (t, 0, z) where it has them.

    Args:
        path: the CSV file.
        class_names: of the model.

    Raises:
        RetinaJError: if it is not such a file, or has a class that is not among `class_names`.
    """
    rows = _rows(path)
    index = {name: label for label, name in enumerate(class_names)}
    try:
        xyxy = np.array([[float(row[name]) for name in COLUMNS[:4]] for row in rows], np.float32).reshape(-1, 4)
        score = np.array([float(row["score"]) for row in rows], np.float32)
        label = np.array([index[row["class"]] for row in rows], np.int32)
        plane = None
        if rows and "z" in rows[0]:
            plane = np.array([[int(row["t"]) - 1, 0, int(row["z"]) - 1] for row in rows], np.int32)
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise RetinaJError(f"{path} is not a table of detections of this model: {error}.") from error
    return Boxes(xyxy, label, tuple(class_names), score, plane)


def join_csv(path: Path, tables: Iterable[tuple[str, Path]]) -> None:
    """Write the rows of many CSV files by `write_csv` into one, with the name of the image in the first column.

    The columns t and z are there always, and empty where an image is no stack.

    Args:
        path: the CSV file to write, whole or not at all.
        tables: (name of the image, its CSV) of each.

    Raises:
        RetinaJError: if one is not such a file.
    """
    with atomic_path(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        columns = (*COLUMNS, *PLANE_COLUMNS)
        writer.writerow(("image", *columns))
        for image, table in tables:
            writer.writerows([image, *(row.get(column, "") for column in columns)] for row in _rows(table))


def count_classes(path: Path) -> dict[str, int]:
    """How many boxes of each class a CSV by `write_csv` has.

    Raises:
        RetinaJError: if it is not such a file.
    """
    return dict(Counter(str(row["class"]) for row in _rows(path)))


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            if tuple(reader.fieldnames or ())[: len(COLUMNS)] != COLUMNS:
                raise RetinaJError(f"{path} is not a table of detections: its first line is not {','.join(COLUMNS)}.")
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RetinaJError(f"{path} is not a readable table of detections: {error}.") from error


def _shortest(value: float) -> str:
    """The shortest decimal text that gives the same float32 again."""
    return f"{value:.9g}" if abs(value) >= 1e16 else str(value)
