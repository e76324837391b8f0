"""One training in the background: `python -m retinaj_bridge.training_process FOLDER`, started by `retinaj_bridge.trainings`."""

from __future__ import annotations

import _thread
import csv
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from retinaj.durations import duration
from retinaj.errors import RetinaJError
from retinaj.files import write_text
from retinaj.images.plane_choice import PlaneChoice
from retinaj.model_folder import RECORD_FILE, TRAINING_FOLDER, ModelRecord
from retinaj_bridge.recent_models import remember_model
from retinaj_bridge.training_job import (
    LOG_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    STOP_FILE,
    Job,
    Progress,
    Result,
    last_line,
    read_job,
)

if TYPE_CHECKING:
    from retinaj.training.start import StartingPoint

_SECONDS_BETWEEN_LOOKS = 1.0
_TWICE = "data"  # the folder of the data set that `twice` makes
# Asked to stop, a training saves what it has; one that has not come to an end by then hangs.
_SECONDS_TO_STOP = 120.0


def main(folder: Path) -> int:
    """Train what the folder says, and leave there how it ended. The exit status is 0 unless it failed."""
    job = read_job(folder)
    watch = Watch(folder, job)
    watch.start()
    try:
        record = run(job, folder)
        ap = "" if record.training.validation_ap50 is None else f", AP@.5 {record.training.validation_ap50:.3f}"
        result = Result(state="done", words=f"The new model is {job.output}{ap}.")
    except KeyboardInterrupt:
        result = _stopped(job)
    except RetinaJError as error:
        result = Result(state="failed", words=str(error))
    except BaseException as error:
        traceback.print_exc()
        result = Result(state="failed", words=f"The training failed unexpectedly: {type(error).__name__}: {error}")
    shutil.rmtree(folder / _TWICE, ignore_errors=True)
    watch.end(result)
    return int(result.state == "failed")


def run(job: Job, folder: Path) -> ModelRecord:
    """Train.

    Args:
        job: what.
        folder: of the job.

    Raises:
        RetinaJError: as `retinaj.training.train.train`, or if the model cannot be trained on.
        KeyboardInterrupt: if it was stopped.
    """
    from rich.console import Console

    from retinaj.training.settings import TrainingSettings
    from retinaj.training.train import train  # TensorFlow, only now
    from retinaj_zoo.starting_point import starting_point

    images, annotations, validation = job.images, job.annotations, None
    if job.only_image is not None:
        images, annotations, validation = twice(job, folder / _TWICE)
    start = starting_point(job.model)
    settings = TrainingSettings(**start.settings(), minutes=job.minutes, planes=_planes(start, images))
    # Lines as long as they are: the log is read by people, in windows of any width.
    console = Console(file=sys.stderr, width=10_000)
    return train(images, annotations, job.output, validation=validation, settings=settings, start=start, console=console)


def twice(job: Job, folder: Path) -> tuple[Path, Path, Path]:
    """A data set of the one image that there is and a copy of it, on which it is validated: training needs two.

    Returns:
        Folders of images and annotations, and the list of the images to validate on.

    Raises:
        RetinaJError: if the image has no annotation any more.
    """
    from retinaj.annotations import pascal_voc, read_annotations
    from retinaj.images import read_header

    assert job.only_image is not None  # noqa: S101  (who calls knows)
    source = job.images / job.only_image
    found = [each for each in read_annotations(job.annotations) if each.image_name == job.only_image]
    if len(found) != 1:
        raise RetinaJError(f"{job.annotations} has no annotation of {job.only_image}; export it again.")
    header = read_header(source)
    copy = f"{source.stem} (copy){source.suffix}"
    (folder / "images").mkdir(parents=True)
    for name in (source.name, copy):
        shutil.copyfile(source, folder / "images" / name)
        path = folder / "annotations" / f"{Path(name).stem}.xml"
        size = (header.width, header.height)
        pascal_voc.write(path, found[0].boxes, image_name=name, size=size, channels=header.channels)
    write_text(folder / "validation.txt", f"{copy}\n")
    return folder / "images", folder / "annotations", folder / "validation.txt"


def _planes(start: StartingPoint, images: Path) -> PlaneChoice:
    """The channels that the model looks at, where the images have others beside them."""
    from retinaj.images import find_images, read_header

    chosen = start.record.training.settings.planes.channels
    have = {read_header(path).channels for path in find_images(images)}
    return PlaneChoice(channels=chosen) if chosen and have != {start.record.network.channels} else PlaneChoice()


def _stopped(job: Job) -> Result:
    if (job.output / RECORD_FILE).is_file():
        return Result(state="stopped", words=f"Stopped. {job.output} holds the best model so far.")
    return Result(state="stopped", words="Stopped before there was a model.")


class Watch:
    """Tells how far the training is, and stops it when asked: a thread beside it.

    Args:
        folder: of the job.
        job: what is trained.
    """

    def __init__(self, folder: Path, job: Job) -> None:
        self._folder, self._job = folder, job
        self._told_to_stop = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin; call it in the main thread."""
        signal.signal(signal.SIGINT, signal.default_int_handler)  # may be off, as shells set it in the background

        def asked(number: int, frame: FrameType | None) -> None:
            self._told_to_stop.set()

        signal.signal(signal.SIGTERM, asked)
        self._tell()
        self._thread.start()

    def end(self, result: Result) -> None:
        """Write down how it ended; the first result counts."""
        with self._lock:
            if self._ended.is_set():
                return
            if (self._job.output / RECORD_FILE).is_file():
                remember_model(self._job.output, self._job.output.name)
            write_text(self._folder / RESULT_FILE, result.model_dump_json(indent=1) + "\n")
            self._ended.set()

    def _watch(self) -> None:
        interrupted_at: float | None = None
        while not self._ended.wait(_SECONDS_BETWEEN_LOOKS):
            try:
                self._tell()
            except OSError:
                traceback.print_exc()  # a full disk: perhaps it is free again next time
            if not (self._told_to_stop.is_set() or (self._folder / STOP_FILE).exists()):
                continue
            if interrupted_at is None and (self._job.output / TRAINING_FOLDER).is_dir():
                interrupted_at = time.monotonic()
                _thread.interrupt_main()
            elif interrupted_at is None or time.monotonic() - interrupted_at > _SECONDS_TO_STOP:
                # While libraries are imported, they would swallow an interruption, and nothing can be lost yet.
                self.end(_stopped(self._job))
                os._exit(0)

    def _tell(self) -> None:
        write_text(self._folder / PROGRESS_FILE, self._progress().model_dump_json() + "\n")

    def _progress(self) -> Progress:
        found = read_progress(self._job.output / TRAINING_FOLDER, time.time())
        return found or Progress(words=last_line(self._folder / LOG_FILE) or "starting")


def read_progress(folder: Path, now: float) -> Progress | None:
    """How far a training is, by what it leaves after each epoch.

    Args:
        folder: MODEL/training.
        now: the time, in seconds since 1970.

    Returns:
        None as long as the first epoch is not done.
    """
    from retinaj.training.run_folder import HISTORY_FILE, load_run

    history = folder / HISTORY_FILE
    try:
        rows = list(csv.DictReader(history.read_text(encoding="utf-8").splitlines()))
        epochs = load_run(folder.parent).record.training.settings.epochs
        epoch, seconds, ap50 = int(rows[-1]["epoch"]), float(rows[-1]["seconds"]), float(rows[-1]["val_ap50"])
        since = max(now - history.stat().st_mtime, 0.0)
    except (OSError, ValueError, LookupError, RetinaJError):
        return None
    if not epochs or not epoch:
        return None
    done = min(epoch + min(since / max(seconds / epoch, 1e-3), 0.99), epochs)
    left = seconds / epoch * (epochs - done)
    return Progress(
        fraction=done / epochs,
        words=f"epoch {min(epoch + 1, epochs)} of {epochs}, AP@.5 {ap50:.2f} so far, about {duration(left)} left",
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
