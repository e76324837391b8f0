"""One trial: a training with the values that are tried, noted epoch by epoch, stopped when it is behind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from retinaj.annotations import Reading
from retinaj.errors import RetinaJError
from retinaj.model_folder import TRAINING_FOLDER, ModelRecord
from retinaj.network.untyped import keras
from retinaj.training.history import EpochRow
from retinaj.training.run_folder import RUN_FILE, load_run
from retinaj.training.train import train
from retinaj.tuning.database import StudyTrial
from retinaj.tuning.keeping import trial_folder, trial_model
from retinaj.tuning.plan import StudyPlan
from retinaj.tuning.results import LONGEST_REASON, CurvePoint, TrialNotes
from retinaj.tuning.space import with_values

# Memory that runs out can end the program without a word: what ended it so often, without an epoch between, is not tried again.
_MOST_DEATHS = 3


class _BehindError(Exception):
    """The trial is behind, and training is to stop."""


class ImagesChangedError(Exception):
    """The images or annotations are not those that the study began with."""


@dataclass(frozen=True)
class Data:
    """What all trials train on, as `retinaj.training.train.train` takes it."""

    images: Path
    annotations: Path
    names: Path | None
    validation: Path | None
    reading: Reading | None


def run_trial(folder: Path, plan: StudyPlan, data: Data, trial: StudyTrial, after_epoch: Callable[[TrialNotes], None]) -> None:
    """Train with the values of a trial, from where it was interrupted, and write down in the database how it ended.

    Args:
        folder: of the study.
        plan: of the study.
        data: the images, which are checked against the plan.
        trial: which values to try, and where to write what came of them.
        after_epoch: called with what is known of it after each epoch.

    Raises:
        ImagesChangedError: if other images than the plan's were found.
        KeyboardInterrupt: on Ctrl-C; the trial can be continued.
    """
    if trial.notes.deaths >= _MOST_DEATHS:
        reason = (
            f"RetinaJ ended {trial.notes.deaths} times within an epoch of it, without saying why: most likely memory did not "
            "suffice"
        )
        return _fail(trial, reason)
    output = trial_model(folder, trial.number, plan.name)
    session = _Session(trial, output, plan, after_epoch)
    try:
        record = _train(folder, plan, data, trial, output, session.epoch)
    except _BehindError:
        return trial.stop()
    except (RetinaJError, MemoryError) as error:
        session.note(deaths=0)
        return _fail(trial, str(error) or "Memory does not suffice.")
    except KeyboardInterrupt:
        session.note(deaths=session.deaths)
        raise
    except ImagesChangedError:
        shutil.rmtree(trial_folder(folder, trial.number))  # it begins anew, on the images as they were
        session.note(deaths=0)
        raise
    finally:
        keras.utils.clear_session()  # the networks of all trials would stay in memory
    session.note(deaths=0, weights_sha256=record.weights_sha256, ap50=record.training.validation_ap50)
    return trial.finish()


class _Session:
    """The trial since the program began: what it comes to is added to what is noted."""

    def __init__(self, trial: StudyTrial, output: Path, plan: StudyPlan, after_epoch: Callable[[TrialNotes], None]) -> None:
        self._trial, self._output, self._plan, self._after_epoch = trial, output, plan, after_epoch
        self._began, self._before = time.monotonic(), trial.notes.seconds
        self._checked = False
        self.deaths = trial.notes.deaths
        self.note(deaths=self.deaths + 1)  # unless it comes to say otherwise

    def note(self, **changes: object) -> None:
        """Write down changes, and the time."""
        seconds = self._before + time.monotonic() - self._began
        self._trial.note(self._trial.notes.model_copy(update={"seconds": round(seconds, 1), **changes}))

    def epoch(self, row: EpochRow, epochs: int) -> None:
        """An epoch was saved."""
        if not self._checked:
            if load_run(self._output).used() != self._plan.used:  # somebody changed them since the study began
                raise ImagesChangedError
            self._checked = True
        earlier = [point for point in self._trial.notes.curve if point.epoch < row.epoch]
        point = CurvePoint(epoch=row.epoch, seconds=round(row.seconds, 1), ap=round(row.val_ap, 6))
        self.deaths = 0
        self.note(curve=(*earlier, point), epochs=epochs, deaths=1)
        self._after_epoch(self._trial.notes)
        if self._trial.is_behind():
            self.note(deaths=0)
            raise _BehindError


def _train(
    folder: Path,
    plan: StudyPlan,
    data: Data,
    trial: StudyTrial,
    output: Path,
    after_epoch: Callable[[EpochRow, int], None],
) -> ModelRecord:
    resume = (output / TRAINING_FOLDER / RUN_FILE).is_file()
    if not resume:
        shutil.rmtree(trial_folder(folder, trial.number), ignore_errors=True)  # it was ended before it had a plan
    return train(
        data.images,
        data.annotations,
        output,
        names=data.names,
        validation=data.validation,
        settings=None if resume else with_values(plan.settings, trial.values),
        reading=data.reading,
        resume=resume,
        console=Console(quiet=True),
        after_epoch=after_epoch,
    )


def _fail(trial: StudyTrial, reason: str) -> None:
    trial.note(trial.notes.model_copy(update={"reason": reason[:LONGEST_REASON]}))
    trial.fail()
