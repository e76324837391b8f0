"""Training as the user watches it: a bar with an estimate, and a line for each epoch."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from retinaj.dataset import Dataset
from retinaj.durations import duration
from retinaj.notes import shortly
from retinaj.training.history import EpochRow


@dataclass
class TrainingConsole:
    """Shows a run on a terminal; on anything else (a log file, a pipe) only the epochs' lines appear."""

    console: Console
    epochs: int
    _bar: Progress | None = None
    _task: TaskID | None = None

    @contextmanager
    def live(self, steps: int, done: int) -> Generator[None]:
        """Show the bar while the block runs; `done` of `steps` are behind us."""
        if not self.console.is_terminal:
            yield
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as bar:
            self._bar = bar
            self._task = bar.add_task("starting", total=steps, completed=done, left="")
            yield
        self._bar = None

    def step(self, epoch: int, done: int, loss: float, seconds_left: float) -> None:
        """A step is done."""
        if self._bar is not None and self._task is not None:
            text = f"epoch {epoch}/{self.epochs}  loss {loss:.3f}"
            self._bar.update(self._task, completed=done, description=text, left=f"{duration(seconds_left)} left")

    def epoch(self, row: EpochRow, best: bool, seconds_left: float) -> None:
        """An epoch is done and validated."""
        self.console.print(
            f"epoch {row.epoch:3d}/{self.epochs}  loss {row.loss:.3f}  validation loss {row.val_loss:.3f}  "
            f"AP@.5 {row.val_ap50:.3f}  AP@.5:.95 {row.val_ap:.3f}{' (best)' if best else ''}  "
            f"{duration(row.seconds)}, about {duration(seconds_left)} left",
            highlight=False,
            soft_wrap=True,
        )


def tell(console: Console, line: str) -> None:
    """Tell the user one line, as it is."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def tell_notes(console: Console, *sets: Dataset) -> None:
    """What reading these images and annotations left to say: all notes, then all warnings."""
    for kind, lines in (
        ("Note", [line for each in sets for line in each.notes]),
        ("Warning", [line for each in sets for line in each.warnings]),
    ):
        for line in shortly(lines):
            tell(console, f"{kind}: {line}")
