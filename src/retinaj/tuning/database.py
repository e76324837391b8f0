"""A study's own database: Optuna's, in a file of SQLite, which is checked before Optuna sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from functools import partial
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.exceptions import StorageInternalError
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import ValidationError

from retinaj.errors import RetinaJError
from retinaj.files import require_file
from retinaj.tuning.conclusion import FEWEST_FOR_IMPORTANCE
from retinaj.tuning.database_file import connect, foreign, require_plain
from retinaj.tuning.plan import DATABASE_FILE, StudyPlan
from retinaj.tuning.results import State, StudyResults, TrialNotes, TrialResult
from retinaj.tuning.space import Choices, Parameter, Value, rounded

NOTES = "retinaj"  # the one attribute of a trial that is ours
# So many come before their results guide the others, the first with the defaults, the rest drawn by chance: with fewer than
# there are parameters, Optuna would soon settle for what was lucky; of the usual 20 trials, enough are left to be guided.
_BY_CHANCE = 8
# A trial is stopped when it is behind the median of those before it at the same share of its epochs. Not in the first half: the
# learning rate falls as a cosine, and curves of higher ones catch up late. Not before five have finished: a median of fewer is
# one trial's luck.
PARTS = 10  # of a trial, after each of which it is compared; no trial has fewer epochs
_FIRST_COMPARED, _FEWEST_COMPARED = 5, 5
_BEST_SHARE = 0.25

_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "stopped early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "unfinished",
}


class StudyDatabase:
    """The trials of a study; the file is let go of by `close`."""

    def __init__(self, path: Path, plan: StudyPlan, *, create: bool = False) -> None:
        self._plan = plan
        self._space = {each.name: _distribution(each, plan) for each in plan.parameters}
        # Opened by ourselves: in an address, characters of a folder's name would mean something else.
        connect_to_file = partial(connect, path, create=create)
        self._storage = RDBStorage(f"sqlite:///{path.name}", engine_kwargs={"creator": connect_to_file})
        pruner = MedianPruner(n_startup_trials=_FEWEST_COMPARED, n_warmup_steps=_FIRST_COMPARED, n_min_trials=_FEWEST_COMPARED)
        name = plan.identity
        if create:
            self._study = optuna.create_study(study_name=name, storage=self._storage, pruner=pruner, direction="maximize")
            self._study.enqueue_trial({each.name: each.default(plan.settings) for each in plan.parameters})
        else:
            self._study = optuna.load_study(study_name=name, storage=self._storage, pruner=pruner)
        self._id = self._storage.get_study_id_from_name(name)

    @property
    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def next(self) -> StudyTrial:
        """The trial that was interrupted, if one was, else a new one: first the defaults, then what Optuna suggests.

        A trial's suggestion depends on the seed, its number and the trials before it alone: a study that is resumed goes on as
        if it had not been interrupted.
        """
        running = [each.number for each in self._trials if each.state == TrialState.RUNNING]
        number = running[0] if running else sum(each.state != TrialState.WAITING for each in self._trials)
        [seed] = np.random.SeedSequence([self._plan.settings.seed, number]).generate_state(1)
        self._study.sampler = TPESampler(multivariate=True, n_startup_trials=_BY_CHANCE, seed=int(seed))
        if running:
            trial = Trial(self._study, self._storage.get_trial_id_from_study_id_trial_number(self._id, number))
        else:
            trial = self._study.ask()
        values = {each.name: each.range(self._plan.settings).suggest(each.name, trial) for each in self._plan.parameters}
        return StudyTrial(self._study, trial, values, _notes(self._trials[trial.number], "the study's database"))

    def results(self) -> StudyResults:
        """What came of all trials that began."""
        begun = [each for each in self._trials if each.state != TrialState.WAITING]
        trials = [self._result(each) for each in begun]
        return StudyResults(self._plan, tuple(trials), self._importance(begun))

    def _result(self, trial: FrozenTrial) -> TrialResult:
        notes = _notes(trial, "the study's database")
        values = {
            name: rounded(value) if isinstance(self._space[name], FloatDistribution) else value
            for name, value in trial.params.items()
        }
        return TrialResult(trial.number + 1, _STATES[trial.state], values, notes.ap, notes)

    def _importance(self, trials: list[FrozenTrial]) -> dict[str, float] | None:
        finished = [each for each in trials if each.state == TrialState.COMPLETE]
        if len(finished) < FEWEST_FOR_IMPORTANCE or len({each.value for each in finished}) == 1 or len(self._space) < 2:
            return None
        evaluator = PedAnovaImportanceEvaluator(target_quantile=_BEST_SHARE)
        return {str(name): float(share) for name, share in get_param_importances(self._study, evaluator=evaluator).items()}

    def require_own(self, path: Path) -> None:
        """Refuse trials that this study cannot have.

        Raises:
            RetinaJError: naming the trial and what is wrong.
        """
        for trial in self._trials:
            _notes(trial, str(path))
            for name, distribution in trial.distributions.items():
                if self._space.get(name) != distribution:
                    raise foreign(path, f"trial {trial.number + 1} searched {name!r}, or in another range")
            if trial.state == TrialState.COMPLETE and (trial.value is None or not 0 <= trial.value <= 1):
                raise foreign(path, f"trial {trial.number + 1} has the result {trial.value}")
            if trial.state.is_finished() and trial.state != TrialState.FAIL and set(trial.params) != set(self._space):
                raise foreign(path, f"trial {trial.number + 1} does not say what it tried")

    def close(self) -> None:
        """Let go of the file."""
        self._storage.remove_session()
        self._storage.engine.dispose()


class StudyTrial:
    """A trial that is under way.

    Attributes:
        number: from 1.
        values: what it tries.
        notes: what is known of it.
    """

    def __init__(self, study: optuna.Study, trial: Trial, values: dict[str, Value], notes: TrialNotes) -> None:
        self._study, self._trial = study, trial
        self.number, self.values, self.notes = trial.number + 1, values, notes
        self._part = max(study.get_trials(deepcopy=False)[trial.number].intermediate_values, default=0)

    def note(self, notes: TrialNotes) -> None:
        """Write down what is known."""
        self._trial.set_user_attr(NOTES, notes.model_dump_json())
        self.notes = notes

    def is_behind(self) -> bool:
        """Whether it is to be stopped, judged by what is noted; compared once after each tenth of its epochs."""
        part = int(PARTS * self.notes.share + 1e-9)
        if part <= self._part or self.notes.ap is None:
            return False
        self._part = part
        self._trial.report(self.notes.ap, part)
        return part < PARTS and self._trial.should_prune()

    def finish(self) -> None:
        """It is done, with the highest AP that is noted."""
        self._study.tell(self._trial, self.notes.ap or 0.0)

    def stop(self) -> None:
        """It is behind, and was stopped."""
        self._study.tell(self._trial, state=TrialState.PRUNED)

    def fail(self) -> None:
        """It cannot be done, for the reason that is noted."""
        self._study.tell(self._trial, state=TrialState.FAIL)


def create_database(folder: Path, plan: StudyPlan) -> None:
    """Make study.db, in which the defaults wait to be the first trial."""
    with _quiet():
        StudyDatabase(folder / DATABASE_FILE, plan, create=True).close()


@contextlib.contextmanager
def open_database(folder: Path, plan: StudyPlan) -> Generator[StudyDatabase]:
    """The database of a study, within the block.

    Raises:
        RetinaJError: if the file is missing, damaged, or of another study.
    """
    path = require_file(folder / DATABASE_FILE, "the database of a study")
    require_plain(path, plan.identity)
    with _quiet():
        try:
            database = StudyDatabase(path, plan)
            database.require_own(path)
        except RetinaJError:
            raise
        except Exception as error:  # whatever a damaged table makes of Optuna and SQLAlchemy
            raise foreign(path, " ".join(f"{type(error).__name__}: {error}".split())[:300]) from error
        try:
            yield database
        except StorageInternalError as error:
            raise RetinaJError(
                f"{path} cannot be read or written any more: {error.__cause__ or error}. Look whether the disk is full, and "
                "give the same command with --resume."
            ) from error
        finally:
            database.close()


def _notes(trial: FrozenTrial, source: str) -> TrialNotes:
    text = trial.user_attrs.get(NOTES)
    try:
        return TrialNotes() if text is None else TrialNotes.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "all"
        raise RetinaJError(f"{source}: the notes of trial {trial.number + 1} are broken: {place}: {first['msg']}.") from error


def _distribution(parameter: Parameter, plan: StudyPlan) -> BaseDistribution:
    where = parameter.range(plan.settings)
    if isinstance(where, Choices):
        return CategoricalDistribution(where.values)
    return FloatDistribution(where.low, where.high, log=where.logarithmic)


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Optuna tells in its log what the user is told in another way."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
