"""Reading the history of a training run."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, fields
from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj.files import require_file

_LARGEST_FILE = 64 * 2**20  # bytes; a row has 100


@dataclass(frozen=True)
class HistoryRow:
    """The columns of history.csv that the report draws; NaN where training noted none."""

    epoch: float
    learning_rate: float
    loss: float
    class_loss: float
    box_loss: float
    val_loss: float
    val_ap: float
    val_ap50: float


def read_history(path: Path) -> list[HistoryRow]:
    """Read a history.csv, which may have more columns.

    Raises:
        RetinaJError: if the file is missing, lacks a column or has text where a number belongs.
    """
    path = Path(path)
    require_file(path, "the history of a training run")
    if path.stat().st_size > _LARGEST_FILE:
        raise RetinaJError(f"{path} is larger than {_LARGEST_FILE // 2**20} MB; that is not the history of a training run.")
    names = [field.name for field in fields(HistoryRow)]
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in names if name not in (reader.fieldnames or [])]
            if missing:
                raise RetinaJError(f"{path} is not the history of a training run: it has no column {missing[0]!r}.")
            return [HistoryRow(*(float(row[name] or math.nan) for name in names)) for row in reader]
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise RetinaJError(f"{path} is not the history of a training run: {error}.") from error
