"""The history of a run: a CSV table that any spreadsheet opens, and the same numbers for TensorBoard."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from retinaj.files import atomic_path
from retinaj.network.untyped import tf
from retinaj.training.run_folder import HISTORY_FILE

TENSORBOARD_FOLDER = "tensorboard"


@dataclass(frozen=True)
class EpochRow:
    """The row of one epoch.

    Attributes:
        epoch: from 1.
        step: finished steps.
        seconds: since the start of training, all sessions together.
        learning_rate: of its last step.
        loss: mean of its steps, the sum of `class_loss` and `box_loss`, with weight decay left out.
        class_loss, box_loss: the weighted parts.
        val_loss: mean over the validation images.
        val_ap, val_ap50: AP@.5:.95 and AP@.5 on them, 0..1.
    """

    epoch: int
    step: int
    seconds: float
    learning_rate: float
    loss: float
    class_loss: float
    box_loss: float
    val_loss: float
    val_ap: float
    val_ap50: float


class History:
    """Appends epochs to the table of a training folder; rows after `epoch` are of a lost session and are dropped."""

    def __init__(self, folder: Path, epoch: int) -> None:
        self._path = folder / HISTORY_FILE
        self._rows: list[dict[str, str]] = []
        if epoch and self._path.is_file():
            with self._path.open(newline="", encoding="utf-8") as stream:
                self._rows = [row for row in csv.DictReader(stream) if int(row["epoch"]) <= epoch]
        self._board = tf.summary.create_file_writer(str(folder / TENSORBOARD_FOLDER))

    def append(self, row: EpochRow) -> None:
        """Add an epoch to both."""
        values = asdict(row)
        self._rows.append({name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in values.items()})
        with atomic_path(self._path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, [field.name for field in fields(EpochRow)])
            writer.writeheader()
            writer.writerows(self._rows)
        with self._board.as_default(step=row.epoch):
            for name in ("learning_rate", "loss", "class_loss", "box_loss", "val_loss", "val_ap", "val_ap50"):
                tf.summary.scalar(name, values[name])
        self._board.flush()

    def close(self) -> None:
        """Let go of the files."""
        self._board.close()
