"""One session of a training run: from its state to its end, or to an interruption."""

from __future__ import annotations

import io
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from retinaj.counting import counted
from retinaj.dataset import Dataset
from retinaj.durations import duration
from retinaj.errors import RetinaJError
from retinaj.model_folder import TRAINING_FOLDER, ModelRecord, read_record, save_model
from retinaj.network.retinanet import build_network
from retinaj.network.untyped import tf
from retinaj.training.budget import Pace
from retinaj.training.console import TrainingConsole, tell
from retinaj.training.data import WindowSource
from retinaj.training.explosion import LossWatch
from retinaj.training.freezing import freeze
from retinaj.training.history import EpochRow, History
from retinaj.training.image_store import ImageStore
from retinaj.training.replicas import Replicas
from retinaj.training.run_folder import Run, open_log, save_run
from retinaj.training.schedule import learning_rate, plateau_factor
from retinaj.training.state import STATE_FILE, Progress, load_state, read_state, save_state, write_state
from retinaj.training.step import StepLosses, TrainingStep
from retinaj.training.updates import Updates
from retinaj.training.validation import Validator
from retinaj.weights_file import network_arrays, write_arrays

AfterEpoch = Callable[[EpochRow, int], None]
LAST_WEIGHTS_FILE = "last.weights.h5"
_MEASURED_STEPS = 4  # the first compiles


class Trainer:
    """One session of a run: from its state to its end, or to an interruption.

    Args:
        output: the model folder, in which the run's plan lies.
        run: the plan.
        network: made for it in the scope of `replicas`, with the weights to start from; the weights of a state in `output`
            replace them.
        training, validation: the images.
        console: where progress is shown.
        replicas: the devices to train on; of several machines, only the first reads and writes `output`.
        after_epoch: called with the row of each epoch, after it was saved, and how many there will be; see
            `retinaj.training.train.train`.
    """

    def __init__(
        self,
        output: Path,
        run: Run,
        network: Any,
        training: Dataset,
        validation: Dataset,
        console: Console,
        replicas: Replicas,
        after_epoch: AfterEpoch | None = None,
    ) -> None:
        record = run.record
        self._after_epoch = after_epoch
        self._output, self._record, self._network, self._console = output, record, network, console
        self._folder = output / TRAINING_FOLDER
        self._settings = record.training.settings
        self._run = run
        self._replicas, self._share = replicas, replicas.share(self._settings.batch_size)
        self._log = open_log(output) if replicas.leads else logging.Logger("retinaj.training")
        freeze(self._network, self._settings)
        with replicas.scope():
            self._average = build_network(record.network)
            self._updates = Updates(self._settings, self._network)
        self._average.set_weights(self._network.get_weights())
        self._start = self._average.get_weights()
        store = ImageStore(record)
        self._windows = WindowSource(training.samples, record, store)
        self._validator = Validator(validation.samples, record, store, self._average)
        self._step = TrainingStep(record, self._network, self._average, self._updates, replicas)
        self._progress = Progress()
        if replicas.leads and (self._folder / STATE_FILE).is_file():
            self._progress = load_state(self._folder, *self._state())
        if replicas.machines > 1:
            self._begin_alike()

    def _state(self) -> tuple[NDArray[np.float32], Any, Any, Updates]:
        return self._windows.image_loss, self._network, self._average, self._updates

    def _begin_alike(self) -> None:
        """Start all machines from the first one's state."""
        stream = io.BytesIO()
        if self._replicas.leads:
            write_state(stream, self._progress, *self._state())
        self._progress = read_state(io.BytesIO(self._replicas.told(stream.getvalue())), *self._state())

    def run(self) -> ModelRecord:
        """Train to the end, and return the record of the best model, which lies in the output folder.

        Raises:
            RetinaJError: if an image became unreadable, the loss exploded, or memory does not suffice.
            KeyboardInterrupt: on Ctrl-C, after a usable model was left in the output folder.
        """
        settings, record = self._settings, self._record
        self._say(
            f"Training {record.network.backbone} ({self._network.count_params() / 1e6:.2f} M weights) on "
            f"{counted(record.training.images, 'image')} with {counted(record.training.boxes, 'box')} of "
            f"{counted(len(record.class_names), 'class')}: epochs of {counted(self._windows.steps, 'step')}, "
            f"{counted(settings.batch_size, 'window')} of {record.training.window} x {record.training.window} pixels each; "
            f"validating on {counted(record.training.validation_images, 'image')}; seed {settings.seed}."
        )
        self._say(self._windows.counts.words(self._windows.steps * settings.batch_size, settings.augmentation))
        if self._progress.epoch:
            self._say(f"Resuming after epoch {self._progress.epoch} of {settings.epochs}.")
        history = History(self._folder, self._progress.epoch) if self._replicas.leads else None
        try:
            epochs = self._decide_epochs()
            screen = TrainingConsole(self._console, epochs)
            with screen.live(self._windows.steps * epochs, self._progress.step):
                for epoch in range(self._progress.epoch + 1, epochs + 1):
                    if self._is_exhausted():
                        break
                    self._epoch(epoch, history, screen)
            self._replicas.told(b"")  # none ends while another still needs it
        except KeyboardInterrupt as interruption:
            if not self._replicas.leads:
                raise KeyboardInterrupt("the other machines of this run will notice, and stop too.") from interruption
            interruption.add_note(self._leave_usable_model())
            raise
        except tf.errors.ResourceExhaustedError as error:
            raise RetinaJError(self._advice_on_memory()) from error
        except tf.errors.OpError as error:
            if self._windows.error is not None:
                raise self._windows.error from error
            lost = self._replicas.lost(error)
            if lost is None:
                raise
            if self._replicas.leads:
                self._leave_usable_model()
            raise lost from error
        finally:
            if history is not None:
                history.close()
            for handler in self._log.handlers:
                handler.close()
        progress = self._progress
        if self._is_exhausted():
            self._say(f"Stopped early: validation AP has not risen for {counted(settings.patience, 'epoch')}.")
        self._say(
            f"Done in {duration(progress.seconds)} ({progress.seconds_per_step:.3f} s a step). Best: epoch "
            f"{progress.best_epoch}, AP@.5 {progress.best_ap50:.3f}, AP@.5:.95 {progress.best_ap:.3f} on the validation "
            f"images. The model is in {self._output}."
        )
        return read_record(self._output) if self._replicas.leads else self._described(progress)

    def _decide_epochs(self) -> int:
        """The number of epochs, fitted to the time that there is unless it was given; says how long they will take."""
        settings, record = self._settings, self._record
        if self._progress.epoch and settings.epochs is not None:
            return settings.epochs
        pace, steps = Pace(*self._of_first(self._measure())), self._windows.steps
        epochs = settings.epochs
        if epochs is None:
            epochs = pace.epochs_within(settings.minutes, steps)
            training = record.training.model_copy(update={"settings": settings.model_copy(update={"epochs": epochs})})
            self._record = record.model_copy(update={"training": training})
            self._settings = training.settings
            # Written down before the first step: a resumed run keeps to it, whatever the machine does by then.
            if self._replicas.leads:
                save_run(self._output, self._run.model_copy(update={"record": self._record}))
            self._say(pace.words(epochs, settings.minutes, steps))
        seconds = epochs * pace.epoch(steps)
        self._say(f"{counted(epochs, 'epoch')} will take about {duration(seconds)} ({pace.step:.3f} s a step).")
        return epochs

    def _of_first(self, numbers: Sequence[float | None]) -> list[Any]:
        """Numbers as the first machine has them: what depends on them must go the same way on all."""
        return json.loads(self._replicas.told(json.dumps(numbers).encode()))

    def _measure(self) -> tuple[float, float]:
        """The seconds of a step and of validation, from a few steps and images; everything is put back as it was."""
        models = (self._network, self._average)
        before = [model.get_weights() for model in models], [variable.numpy() for variable in self._updates.variables]
        times: list[float] = []
        for batch, step in zip(self._windows.epoch(1, self._share), range(_MEASURED_STEPS), strict=False):
            began = time.perf_counter()
            self._step(batch, 0.0, step)
            times.append(time.perf_counter() - began)
        for model, arrays in zip(models, before[0], strict=True):
            model.set_weights(arrays)
        for variable, array in zip(self._updates.variables, before[1], strict=True):
            variable.assign(array)
        return median(times[1:] or times), self._validator.seconds() if self._replicas.leads else 0.0

    def _validate(self) -> tuple[float, float | None, float | None]:
        """(loss, AP@.5:.95, AP@.5) as the first machine finds them; the others wait for it."""
        found: tuple[float | None, ...] = ()
        if self._replicas.leads:
            loss, result = self._validator()
            found = loss, result.overall.ap, result.overall.ap50
        loss, ap, ap50 = self._of_first(found)
        return loss, ap, ap50

    def _epoch(self, epoch: int, history: History | None, screen: TrainingConsole) -> None:
        began, before = time.perf_counter(), self._progress
        watch = LossWatch(self._windows.steps, before.first_loss, before.lowest_loss)
        losses: list[StepLosses] = []
        times: list[float] = []
        step, rate, steps = before.step, 0.0, self._windows.steps * screen.epochs
        last = began
        for batch in self._windows.epoch(epoch, self._share):
            rate = learning_rate(self._settings, step, steps, before.rate_factor)
            losses.append(self._step(batch, rate, step))
            step += 1
            if trouble := watch.add(losses[-1].total):
                raise RetinaJError(self._give_up(f"The loss {trouble} in epoch {epoch}, step {step}"))
            now = time.perf_counter()
            times.append(now - last)
            last = now
            seconds = before.seconds + now - began
            screen.step(epoch, step, losses[-1].total, seconds / step * (steps - step))
        val_loss, ap, ap50 = self._validate()
        if not math.isfinite(val_loss):  # its last step spoilt the weights
            raise RetinaJError(self._give_up(f"The validation loss became {val_loss} after epoch {epoch}"))
        seconds = before.seconds + time.perf_counter() - began
        # Without an object in the validation images there is no AP, and the latest weights are the best guess.
        best = ap is None or ap > before.best_ap
        ap, ap50 = ap or 0.0, ap50 or 0.0
        class_loss = sum(each.class_loss for each in losses) / len(losses)
        box_loss = sum(each.box_loss for each in losses) / len(losses)
        self._windows.learn(epoch, np.concatenate([each.images for each in losses]))
        best_epoch = epoch if best else before.best_epoch
        factor = plateau_factor(self._settings, before.rate_factor, epoch - max(best_epoch, before.rate_epoch))
        progress = Progress(
            epoch=epoch,
            step=step,
            best_epoch=best_epoch,
            best_ap=ap if best else before.best_ap,
            best_ap50=ap50 if best else before.best_ap50,
            seconds=seconds,
            seconds_per_step=median(times),
            rate_factor=factor,
            rate_epoch=epoch if factor != before.rate_factor else before.rate_epoch,
            first_loss=watch.first,
            lowest_loss=watch.lowest,
        )
        row = EpochRow(epoch, step, seconds, rate, class_loss + box_loss, class_loss, box_loss, val_loss, ap, ap50)
        try:
            self._save(progress, best, row, history)
        except KeyboardInterrupt:
            self._save(progress, best, row, history)  # a half-saved model is none: what was begun is finished first
            raise
        left = seconds / epoch * (screen.epochs - epoch)
        self._log.info("%s best=%s", row, best)
        screen.epoch(row, best, left)
        if self._after_epoch is not None:
            self._after_epoch(row, screen.epochs)

    def _save(self, progress: Progress, best: bool, row: EpochRow, history: History | None) -> None:
        if history is None:  # the first machine does
            self._progress = progress
            return
        if best:
            save_model(self._output, self._described(progress), self._average)
        write_arrays(self._folder / LAST_WEIGHTS_FILE, network_arrays(self._average))
        history.append(row)
        # Last: a run that is resumed from the state before this one drops what it finds beyond it.
        save_state(self._folder, progress, *self._state())
        self._progress = progress

    def _described(self, progress: Progress) -> ModelRecord:
        """The record of the best weights so far."""
        training = self._record.training.model_copy(
            update={
                "epochs_done": progress.epoch,
                "best_epoch": progress.best_epoch,
                "validation_ap": progress.best_ap if progress.best_epoch else None,
                "validation_ap50": progress.best_ap50 if progress.best_epoch else None,
                "seconds": round(progress.seconds, 1),
                "seconds_per_step": round(progress.seconds_per_step, 4),
            }
        )
        return self._record.model_copy(update={"training": training})

    def _leave_usable_model(self) -> str:
        if not self._progress.best_epoch:
            save_model(self._output, self._described(self._progress), self._average)
            kept = "the weights of this moment, not validated"
        else:
            kept = f"the best model so far, of epoch {self._progress.best_epoch}"
        line = f"Stopped. {self._output} holds {kept}. To go on, give the same command with --resume."
        self._say(line)
        return line

    def _is_exhausted(self) -> bool:
        """Whether the run ends before its last epoch, because validation AP has long ceased to rise."""
        patience, progress = self._settings.patience, self._progress
        unfinished = progress.epoch < (self._settings.epochs or 0)
        return bool(patience) and unfinished and progress.epoch - progress.best_epoch >= patience

    def _give_up(self, what: str) -> str:
        """Leave the last good weights in the output folder; what to tell the user, of whose run `what` happened."""
        settings, progress = self._settings, self._progress
        if progress.best_epoch:
            kept = f"the best model so far, of epoch {progress.best_epoch}; --weights-from {self._output} starts from it"
        else:
            self._average.set_weights(self._start)
            if self._replicas.leads:
                save_model(self._output, self._described(progress), self._average)
            kept = "the weights that training began with"
        line = (
            f"{what}. {self._output} holds {kept}. Train again, into a new folder, with a lower --learning-rate (now "
            f"{settings.learning_rate:g}) or a larger --batch-size (now {settings.batch_size})."
        )
        self._log.error(line)
        return line

    def _advice_on_memory(self) -> str:
        settings, window = self._settings, self._record.training.window
        if settings.batch_size > 1:
            half = settings.batch_size // 2
            remedy = (
                f"--batch-size {half} --accumulate {settings.accumulate * -(-settings.batch_size // half)} for the same result"
            )
        else:
            remedy = f"--window {max(window // 64 * 32, 32)} or a smaller --backbone"
        return (
            f"Memory does not suffice for batches of {settings.batch_size} windows of {window} x {window} pixels. Train into a "
            f"new folder with {remedy}."
        )

    def _say(self, line: str) -> None:
        self._log.info(line)
        tell(self._console, line)
