"""The folder of a training in the background, by which it is told what to do, and tells how it is:

trainings/ID/job.json        what to train
trainings/ID/progress.json   how far it is; written every second or two: one that is old is of a process that has ended
trainings/ID/result.json     how it ended
trainings/ID/stop            made by who wants it to stop
trainings/ID/log.txt         what it said
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retinaj.errors import RetinaJError

JOB_FILE, PROGRESS_FILE, RESULT_FILE, STOP_FILE, LOG_FILE = "job.json", "progress.json", "result.json", "stop", "log.txt"

_MOST_BYTES = 1_000_000

State = Literal["running", "done", "stopped", "failed"]
_Model = TypeVar("_Model", bound="_Plain")


class _Plain(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class Job(_Plain):
    """What to train.

    Attributes:
        model: the model to start from.
        output: the model folder to make.
        images, annotations: of the data set.
        minutes: about how long.
        only_image: the one image that there is: it trains and validates. None if there are more.
    """

    model: Path
    output: Path
    images: Path
    annotations: Path
    minutes: Annotated[float, Field(gt=0)]
    only_image: str | None = None


class Progress(_Plain):
    """How far it is.

    Attributes:
        fraction: 0 to 1; negative as long as that cannot be told.
        words: for the status line.
    """

    fraction: float = -1.0
    words: str = "starting"


class Result(_Plain):
    """How it ended.

    Attributes:
        state: not "running".
        words: a sentence: what there is now, or why there is nothing.
    """

    state: State
    words: str


def read_file(path: Path, kind: type[_Model]) -> _Model | None:
    """One of these files; None if it is not there, or damaged."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def read_job(folder: Path) -> Job:
    """What a training's folder says to train.

    Raises:
        RetinaJError: if it does not say.
    """
    job = read_file(folder / JOB_FILE, Job)
    if job is None:
        raise RetinaJError(f"{folder} is not the folder of a training: it has no readable {JOB_FILE}.")
    return job


def last_line(path: Path) -> str:
    """The last line of a text file that is not empty, at most 500 characters of it; "" if there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 4000))
            lines = stream.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:500] for line in reversed(lines) if line.strip()), "")
