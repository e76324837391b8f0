"""A study from its beginning, or from where it was interrupted, to its end."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from retinaj.annotations import Reading
from retinaj.counting import counted
from retinaj.dataset import Dataset
from retinaj.errors import RetinaJError
from retinaj.files import atomic_folder, require_absent
from retinaj.locking import locked
from retinaj.report.tuning import write_study_page
from retinaj.training.cluster import this_cluster
from retinaj.training.console import tell, tell_notes
from retinaj.training.leakage_warning import leakage_lines
from retinaj.training.plan import plan_model
from retinaj.training.precision import best_precision, has_gpu
from retinaj.training.presets import preset_line, with_preset
from retinaj.training.run_folder import UsedImages, require_same_images
from retinaj.training.sets import load_sets
from retinaj.training.settings import TrainingSettings
from retinaj.tuning.database import StudyDatabase, create_database, open_database
from retinaj.tuning.keeping import keep_best
from retinaj.tuning.plan import (
    DEFAULT_MINUTES,
    DEFAULT_TRIALS,
    FEWEST_TRIALS,
    LOCK_FILE,
    MODEL_FOLDER,
    MOST_TRIALS,
    REPORT_FILE,
    StudyPlan,
    load_plan,
    require_same_settings,
    save_plan,
)
from retinaj.tuning.results import StudyResults
from retinaj.tuning.space import SPACE, searched, with_values
from retinaj.tuning.telling import tell_end, tell_plan, tell_trial, watched_trial
from retinaj.tuning.train_command import train_command
from retinaj.tuning.trial import Data, ImagesChangedError, run_trial

# In a row, before an epoch is done or before any trial has finished: the reason is not in what they try.
_MOST_FAILURES = 3


def tune(
    images: Path,
    annotations: Path,
    output: Path,
    *,
    names: Path | None = None,
    validation: Path | None = None,
    settings: TrainingSettings | None = None,
    reading: Reading | None = None,
    trials: int | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> StudyResults:
    """Train many times for a short while, to find the settings that suit the images.

    What is searched is in `retinaj.tuning.space.SPACE`. The first trial has the defaults; all validate on the same images.

    Args:
        images, annotations, names, validation, reading: as for `retinaj.training.train.train`.
        output: the folder of the study to make; it must not exist, unless `resume`. It gets study.json (what was asked),
            study.db (Optuna's database), report.html, and model (the model folder of the best trial).
        settings: what was given to `TrainingSettings(...)` holds for all trials, and is not searched; `minutes` is the time of
            a trial, 10 unless given. On `resume` it may be left out.
        trials: how many, 2 to 1000; default: 20, or as many as the study that goes on was to have.
        resume: go on with the study in `output`, which may have more `trials` now.
        console: where progress is shown; default: standard error.

    Returns:
        What came of all trials.

    Raises:
        RetinaJError: if images or annotations cannot be used, the output exists, the study cannot go on, or three trials in a
            row fail before their first epoch or before any trial has finished.
        KeyboardInterrupt: on Ctrl-C; the study can go on with `resume`.
    """
    output, console = Path(output), console or Console(stderr=True)
    if this_cluster() is not None:
        raise RetinaJError("A study runs on one machine: unset the environment variable TF_CONFIG.")
    if trials is not None and not FEWEST_TRIALS <= trials <= MOST_TRIALS:
        raise RetinaJError(f"--trials is {trials}; expected {FEWEST_TRIALS} to {MOST_TRIALS}.")
    data = Data(Path(images), Path(annotations), names, validation, reading)
    if not resume:
        require_absent(output)
        _begin(output, data, settings or TrainingSettings(), trials or DEFAULT_TRIALS, console)
    elif not output.is_dir():
        load_plan(output)  # says what is missing
    busy = f"Another process is at work on the study in {output}. Wait until it is done, or stop it first."
    with locked(output / LOCK_FILE, seconds=0.0, busy=busy):
        plan = load_plan(output)
        if resume:
            plan = _continued(plan, output, data, settings, trials, console)
        with open_database(output, plan) as database:
            return _run(output, plan, data, database, console)


def _begin(output: Path, data: Data, asked: TrainingSettings, trials: int, console: Console) -> None:
    """Check the data as training does, and make the study's folder."""
    if asked.epochs is not None:
        raise RetinaJError(
            "A study gives all trials the same time, not the same number of epochs: give minutes instead of epochs."
        )
    parameters = searched(asked.model_fields_set)
    if not parameters:
        options = ", ".join(f"--{each.option.split()[0]}" for each in SPACE)
        raise RetinaJError(f"All settings that a study searches are given ({options}): leave some of them to it.")
    settings, decided = with_preset(asked, gpu=has_gpu())
    minutes = asked.minutes if "minutes" in asked.model_fields_set else DEFAULT_MINUTES
    precision = settings.precision or best_precision()
    settings = settings.model_copy(update={"minutes": minutes, "precision": precision})
    training, kept = _load(data, settings, console)
    tell(console, preset_line(asked, settings, decided))
    for line in leakage_lines(*([each.image_path for each in part.samples] for part in (training, kept))):
        tell(console, line)
    name = output.resolve().name
    planned = plan_model(name, training, kept, settings, lambda line: tell(console, line))
    # What the images decide is the same for all trials, and what they are compared with.
    settings = settings.model_copy(update={"pyramid_width": planned.network.pyramid_width})
    if not any(len(sample.boxes) for sample in kept.samples):
        raise RetinaJError("The validation images have no objects, so that trials cannot be compared. Choose others.")
    plan = StudyPlan(
        name=name,
        identity=uuid.uuid4().hex,
        retinaj=version("retinaj"),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        images=str(data.images),
        annotations=str(data.annotations),
        names=None if data.names is None else str(data.names),
        validation=None if data.validation is None else str(data.validation),
        used=UsedImages.of_sets(training, kept),
        settings=settings,
        searched=tuple(each.name for each in parameters),
        trials=trials,
    )
    with atomic_folder(output) as temporary:
        save_plan(temporary, plan)
        create_database(temporary, plan)


def _continued(
    plan: StudyPlan, output: Path, data: Data, given: TrainingSettings | None, trials: int | None, console: Console
) -> StudyPlan:
    """The plan of a study that goes on, if it is still the same study."""
    if given is not None:
        require_same_settings(plan, given, output)
    training, kept = _load(data, plan.settings, console)
    require_same_images(plan.used, training, kept, output)
    if trials is not None and trials != plan.trials:
        plan = plan.model_copy(update={"trials": trials})
        save_plan(output, plan)
    return plan


def _load(data: Data, settings: TrainingSettings, console: Console) -> tuple[Dataset, Dataset]:
    training, kept = load_sets(
        data.images,
        data.annotations,
        names=data.names,
        validation=data.validation,
        share=settings.validation,
        seed=settings.seed,
        reading=data.reading,
        planes=settings.planes,
    )
    tell_notes(console, training, kept)
    return training, kept


def _run(output: Path, plan: StudyPlan, data: Data, database: StudyDatabase, console: Console) -> StudyResults:
    results = database.results()
    tell_plan(console, plan, results)
    _keep(output, results, data)
    failures = 0
    try:
        while results.left:
            trial = database.next()
            with watched_trial(console, results, trial.number, trial.values) as after_epoch:
                run_trial(output, plan, data, trial, after_epoch)
            results = database.results()
            _keep(output, results, data)
            over = next(each for each in results.trials if each.number == trial.number)
            tell_trial(console, results, over)
            at_once = not over.notes.curve or not results.having("finished")
            failures = failures + 1 if over.state == "failed" and at_once else 0
            if failures == _MOST_FAILURES:
                raise RetinaJError(
                    f"{failures} trials in a row failed, so that others are not worth trying as things are. The last one said: "
                    f"{over.notes.reason.rstrip('.')}. When that is put right, the same command with --resume goes on."
                )
    except ImagesChangedError as error:
        raise RetinaJError(
            f"The images or annotations were changed while the study in {output} ran: its trials could not be compared. Put "
            "them back as they were and give the same command with --resume, or begin a new study."
        ) from error
    except KeyboardInterrupt as interruption:
        done = counted(len(database.results().ended), "trial")
        line = f"Stopped after {done} of {plan.trials}. To go on, give the same command with --resume."
        tell(console, line)
        interruption.add_note(line)
        raise
    tell_end(console, results, _command(results, data))
    tell(console, f"The page: {output / REPORT_FILE}")
    if (output / MODEL_FOLDER).is_dir():
        tell(console, f"The best trial's model: {output / MODEL_FOLDER}")
    return results


def _keep(output: Path, results: StudyResults, data: Data) -> None:
    """The best model and the page, as of now."""
    kept = keep_best(output, results)
    write_study_page(output / REPORT_FILE, results, _command(results, data), has_model=kept)


def _command(results: StudyResults, data: Data) -> str:
    """How to train with what was found; with the defaults while nothing was."""
    values = {} if results.best is None else results.best.values
    return train_command(
        data.images,
        data.annotations,
        settings=with_values(results.plan.settings, values),
        names=data.names,
        validation=data.validation,
        reading=data.reading,
    )
