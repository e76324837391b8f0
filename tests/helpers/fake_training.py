"""A training that takes no time: it leaves the files and calls that `retinaj.training.train.train` does."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from retinaj.files import write_text
from retinaj.model_folder import RECORD_FILE, TRAINING_FOLDER, ModelRecord
from retinaj.training.history import EpochRow
from retinaj.training.plan import plan_model
from retinaj.training.run_folder import Run, load_run, save_run
from retinaj.training.sets import load_sets
from retinaj.training.settings import TrainingSettings

EPOCHS = 10


def quality(settings: TrainingSettings) -> float:
    """The AP that settings lead to: best at a learning rate of 0.002, and with the more mosaic the better."""
    rate = math.log10(settings.learning_rate / 0.002) ** 2
    width = 0.03 * (settings.pyramid_width / 64 - 1)
    return round(max(0.6 - 0.3 * rate + 0.1 * settings.augmentation.mosaic + width - 0.01 * settings.batch_size, 0.01), 4)


class FakeTraining:
    """Stands in for `train`.

    Attributes:
        calls: (trial folder, whether resumed, settings) of each call.
        aps: what a trial comes to, by the name of its folder; others come to their `quality`.
        before_epoch: called with the model folder and the number of an epoch before it is trained; may raise.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool, TrainingSettings]] = []
        self.aps: dict[str, float] = {}
        self.before_epoch: Callable[[Path, int], None] = lambda folder, epoch: None

    def __call__(
        self, images: Path, annotations: Path, output: Path, *, settings: TrainingSettings | None, resume: bool, **options: Any
    ) -> ModelRecord:
        """As `train`, with its arguments."""
        if resume:
            settings = load_run(output).record.training.settings
        assert settings is not None
        self.calls.append((output.parent.name, resume, settings))
        sets = load_sets(
            images,
            annotations,
            names=options["names"],
            validation=options["validation"],
            share=settings.validation,
            seed=settings.seed,
            reading=options["reading"],
            planes=settings.planes,
        )
        record = plan_model(output.name, *sets, settings, lambda line: None)
        progress = output / TRAINING_FOLDER / "progress.json"
        done = json.loads(progress.read_text()) if resume and progress.is_file() else 0
        if not resume:
            save_run(output, Run.of(record, *sets))
        for epoch in range(done + 1, EPOCHS + 1):
            self.before_epoch(output, epoch)
            ap = self._ap(output, settings, epoch)
            record = _after(record, epoch, ap)
            write_text(output / RECORD_FILE, record.model_dump_json())
            write_text(progress, json.dumps(epoch))
            row = EpochRow(epoch, 4 * epoch, 60.0 * epoch, settings.learning_rate, 1.0, 0.5, 0.5, 1.0, ap, min(1.4 * ap, 1))
            options["after_epoch"](row, EPOCHS)
        return _after(record, EPOCHS, self._ap(output, settings, EPOCHS))

    def _ap(self, output: Path, settings: TrainingSettings, epoch: int) -> float:
        final = self.aps.get(output.parent.name, quality(settings))
        return final * (1 - math.exp(-4 * epoch / EPOCHS)) / (1 - math.exp(-4))


def _after(record: ModelRecord, epoch: int, ap: float) -> ModelRecord:
    training = record.training.model_copy(
        update={"epochs_done": epoch, "best_epoch": epoch, "validation_ap": ap, "validation_ap50": min(1.4 * ap, 1)}
    )
    digest = hashlib.sha256(f"{record.training.settings.model_dump_json()}{epoch}".encode()).hexdigest()
    return record.model_copy(update={"training": training, "weights_sha256": digest})
