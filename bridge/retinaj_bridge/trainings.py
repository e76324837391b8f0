"""Trainings in the background, each a process of its own, which goes on when Fiji and the worker have ended."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retinaj.counting import counted
from retinaj.errors import RetinaJError
from retinaj.files import require_absent, write_text
from retinaj_bridge.growing_dataset import GrowingDataset
from retinaj_bridge.private_folder import private_folder
from retinaj_bridge.training_job import (
    JOB_FILE,
    LOG_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    STOP_FILE,
    Job,
    Progress,
    Result,
    State,
    last_line,
    read_file,
)

# Python and its libraries may take so long to begin on a busy computer; later, it writes every second or two.
_SECONDS_TO_BEGIN = 120.0
_SECONDS_OF_SILENCE = 60.0
_MOST_LISTED = 20
_MOST_KEPT = 50
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


@dataclass(frozen=True)
class Training:
    """One training, as it is now.

    Attributes:
        id: its name.
        job: what it trains.
        state: "stopped" if it was asked to.
        fraction: 0 to 1; negative as long as that cannot be told.
        words: how far it is, or how it ended.
        log: the file of what it said.
    """

    id: str
    job: Job
    state: State
    fraction: float
    words: str
    log: Path


def _command(folder: Path) -> Sequence[str]:
    # -P: nothing is imported from the folder that it runs in.
    return [sys.executable, "-P", "-X", "utf8", "-m", "retinaj_bridge.training_process", str(folder)]


class Trainings:
    """All trainings of this user.

    Args:
        command: folder of the job -> what to run for it.
    """

    def __init__(self, command: Callable[[Path], Sequence[str]] = _command) -> None:
        self._command = command
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def start(self, model: Path, dataset: GrowingDataset, output: Path | None, minutes: float) -> tuple[Training, str]:
        """Begin to train.

        Args:
            model: to start from.
            dataset: what to learn.
            output: the model folder to make; None for the next number beside `model`.
            minutes: about how long.

        Returns:
            The training, and a sentence on how many images train and validate.

        Raises:
            RetinaJError: if there are no images, `output` exists, or another training makes it.
        """
        names = dataset.names()
        if not names:
            raise RetinaJError(f"The data set {dataset.folder} has no images yet: add one with its objects first.")
        if not 0 < minutes <= 100_000:
            raise RetinaJError(f"minutes is {minutes:g}; expected a number above 0, such as 10.")
        with self._lock:
            running = {training.job.output for training in self.all() if training.state == "running"}
            output = next_name(model) if output is None else output
            if output in running:
                raise RetinaJError(
                    f"A training that makes {output} is running already: wait for it, stop it, or choose another name for the "
                    "new model."
                )
            require_absent(output)
            job = Job(
                model=model,
                output=output,
                images=dataset.images,
                annotations=dataset.annotations,
                minutes=minutes,
                only_image=names[0] if len(names) == 1 else None,
            )
            key = f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
            folder = _folder() / key
            try:
                folder.mkdir(mode=0o700, parents=True)
                write_text(folder / JOB_FILE, job.model_dump_json(indent=1) + "\n")
                self._children[key] = self._spawn(folder)
                _forget_old()
            except OSError as error:
                raise RetinaJError(f"The training cannot be started in {folder}: {error.strerror or error}.") from error
        return self._look(key, job), _about_validation(len(names))

    def all(self) -> list[Training]:
        """The last twenty, the newest first."""
        folder, keys = _folder(), _keys()
        found: list[Training] = []
        for key in keys[:_MOST_LISTED]:
            job = read_file(folder / key / JOB_FILE, Job)
            if job is not None:
                found.append(self._look(key, job))
        return found

    def stop(self, key: str) -> None:
        """Ask a training to stop; it leaves the best model so far, and takes a few seconds for that.

        Raises:
            RetinaJError: if there is none of that name.
        """
        folder = _folder() / key
        if not _ID.fullmatch(key) or not (folder / JOB_FILE).is_file():
            raise RetinaJError(f"There is no training {key[:60]!r}.")
        write_text(folder / STOP_FILE, "")

    def _spawn(self, folder: Path) -> subprocess.Popen[bytes]:
        with (folder / LOG_FILE).open("wb") as log:
            return subprocess.Popen(
                self._command(folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=os.name == "posix",  # what ends Fiji or the worker does not end it
                creationflags=_windows_flags(),
            )

    def _look(self, key: str, job: Job) -> Training:
        folder = _folder() / key
        child = self._children.get(key)
        ended = child is not None and child.poll() is not None
        progress = read_file(folder / PROGRESS_FILE, Progress)
        alive = not ended and (
            _age(folder / PROGRESS_FILE) < _SECONDS_OF_SILENCE
            if progress is not None
            else _age(folder / JOB_FILE) < _SECONDS_TO_BEGIN
        )
        progress = progress or Progress()
        result = read_file(folder / RESULT_FILE, Result)  # after the question whether it lives: it may just have ended
        log = folder / LOG_FILE
        if result is None and not alive:
            said = last_line(log)
            result = Result(
                state="failed",
                words="The training ended before it was done, as when the computer is switched off or memory runs out. "
                f"Its log, {log}, ends with: {said or 'nothing'}",
            )
        if result is None:
            return Training(key, job, "running", progress.fraction, progress.words, log)
        return Training(key, job, result.state, 1.0, result.words, log)


def next_name(model: Path) -> Path:
    """Where the successor of a model goes: beside it, with the next number that is free.

    >>> next_name(Path("/models/cells.zip")).as_posix(), next_name(Path("/models/cells-2")).as_posix()
    ('/models/cells-2', '/models/cells-3')
    """
    stem = model.stem if model.suffix.lower() == ".zip" else model.name
    found = re.fullmatch(r"(.+)-(\d{1,6})", stem)
    name, number = (found[1], int(found[2]) + 1) if found else (stem, 2)
    while (path := model.with_name(f"{name}-{number}")).exists():
        number += 1
    return path


def _about_validation(images: int) -> str:
    if images == 1:
        return (
            "There is only one image, so that the model learns from it and is checked on it, too: its AP will flatter it, and "
            "says nothing about other images. Add images for an honest figure."
        )
    checked = max(round(0.2 * images), 1)
    return f"The model learns from {counted(images - checked, 'image')} and is checked on {counted(checked, 'image')}."


def _folder() -> Path:
    return private_folder() / "trainings"


def _keys() -> list[str]:
    """The names of all trainings, the newest first."""
    names = [path.name for path in _folder().iterdir()] if _folder().is_dir() else []
    return sorted(filter(_ID.fullmatch, names), reverse=True)


def _forget_old() -> None:
    """Remove the folders of trainings that ended long ago; their models lie elsewhere."""
    for key in _keys()[_MOST_KEPT:]:
        if (_folder() / key / RESULT_FILE).is_file():
            shutil.rmtree(_folder() / key, ignore_errors=True)


def _windows_flags() -> int:
    return int(getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)) | int(getattr(subprocess, "CREATE_NO_WINDOW", 0))


def _age(path: Path) -> float:
    """Seconds since a file was written."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")
