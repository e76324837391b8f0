"""What all commands share: how they speak, show progress and fail."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from retinaj.errors import RetinaJError
from retinaj.interruption import STATUS, stopped


class LastingConsole(Console):
    """A console that falls silent when nobody listens any more (`retinaj describe ... | head -1`): the work goes on."""

    def on_broken_pipe(self) -> None:
        """Send what else is printed nowhere."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())  # also what Python writes on its way out
        os.close(nowhere)


console = LastingConsole(stderr=True)

Images = Annotated[Path, typer.Argument(help="Folder of images (PNG, JPEG, TIFF, OME-Zarr).")]
Annotations = Annotated[Path, typer.Argument(help="File or folder of annotations: see --format.")]
Names = Annotated[Path | None, typer.Option(help="Text file with the names of the images to use, one a line. \\[default: all]")]
Validation = Annotated[
    str | None,
    typer.Option(help="Share of the images (0.2), a text file (.txt) of names, or annotations of their own. \\[default: 0.2]"),
]


def validation_choice(value: str | None) -> tuple[float | None, Path | None]:
    """What `--validation` says: a share, or a file.

    >>> validation_choice("0.2")
    (0.2, None)
    """
    if value is None:
        return None, None
    try:
        return float(value), None
    except ValueError:
        return None, Path(value)


def with_plain_errors(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose errors, where the user can put them right, are one line and not a traceback."""

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> None:
        try:
            function(*args, **options)
        except (RetinaJError, OSError) as error:
            console.print(f"Error: {_reason(error)}", style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as interruption:
            if line := stopped(interruption):
                say(line)
            raise typer.Exit(STATUS) from interruption

    return run


def _reason(error: Exception) -> str:
    """What to tell the user: an operating system's error says what, but names the file only beside it."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}."
    return str(error)


@contextmanager
def progress_bar(what: str) -> Generator[Callable[[int, int], None]]:
    """A bar with an estimate, on a terminal; yields what to call with (done, in all)."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def say_all(kind: str, lines: Sequence[str]) -> None:
    """Tell the user notes or warnings: one line for each kind, and no more than 20."""
    from retinaj.notes import shortly

    for line in shortly(lines):
        say(f"{kind}: {line}")


def say(line: str) -> None:
    """Tell the user one line, as it is."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)
