"""A study: what is tried, what is kept, and that it goes on wherever it was ended."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from discs import write_discs
from fake_training import EPOCHS, FakeTraining
from rich.console import Console

import retinaj.tuning.keeping
import retinaj.tuning.study
import retinaj.tuning.trial
from retinaj.errors import RetinaJError
from retinaj.locking import locked
from retinaj.model_folder import read_record
from retinaj.prediction import open_model
from retinaj.training.history import EpochRow
from retinaj.training.settings import TrainingSettings
from retinaj.training.train import train as real_train
from retinaj.tuning.database import open_database
from retinaj.tuning.plan import load_plan
from retinaj.tuning.results import StudyResults
from retinaj.tuning.study import tune

KEPT = ["model", "report.html", "study.db", "study.json"]


class KilledError(BaseException):
    """What ends the program with nothing written down after it."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_discs(tmp_path_factory.mktemp("discs"), 6)


def pretend(patch: pytest.MonkeyPatch) -> FakeTraining:
    """From now on trials take no time, leave nothing in memory, and the page is not drawn."""
    fake = FakeTraining()
    patch.setattr(retinaj.tuning.trial, "train", fake)
    patch.setattr(retinaj.tuning.trial.keras.utils, "clear_session", lambda: None)
    patch.setattr(retinaj.tuning.study, "write_study_page", lambda path, *_, **__: path.write_text("page"))
    return fake


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
    return pretend(monkeypatch)


@pytest.fixture(scope="module")
def whole(data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyResults]:
    """A study of three trials that nothing interrupted: its folder, and what came of it."""
    folder = tmp_path_factory.mktemp("whole") / "study"
    with pytest.MonkeyPatch.context() as patch:
        pretend(patch)
        return folder, tune(*data, folder, trials=3, console=Console(quiet=True))


@pytest.fixture
def study(data: tuple[Path, Path], tmp_path: Path) -> Callable[..., StudyResults]:
    """Begin a study, or go on with it."""

    def run(trials: int = 3, *, resume: bool = False, screen: io.StringIO | None = None, **options: Any) -> StudyResults:
        console = Console(file=screen or io.StringIO(), width=300)
        return tune(*data, tmp_path / "study", trials=trials, resume=resume, console=console, **options)

    return run


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_study_begins_with_the_defaults_and_keeps_the_best_model_alone(
    study: Callable[..., StudyResults], training: FakeTraining, tmp_path: Path
) -> None:
    training.aps = {"0001": 0.4, "0002": 0.5, "0003": 0.45}
    screen = io.StringIO()
    results = study(screen=screen)
    assert [each.state for each in results.trials] == ["finished"] * 3
    assert [each.ap for each in results.trials] == [0.4, 0.5, 0.45]
    assert results.best is not None
    assert results.best.number == 2
    assert results.gain == pytest.approx(0.1)
    # The width is what these small objects, found on level P2, decide.
    default = TrainingSettings(preset="laptop", minutes=10, precision="float32", pyramid_width=48)
    assert training.calls[0][2] == default
    assert all(settings != default and settings.minutes == 10 for _, _, settings in training.calls[1:])
    assert left_in(tmp_path / "study") == KEPT
    record = read_record(tmp_path / "study" / "model")
    assert record.name == "study"
    assert record.weights_sha256 == results.best.notes.weights_sha256
    assert record.training.settings == training.calls[1][2]
    printed = screen.getvalue()
    for words in (
        "Searching 8 settings", "learning-rate: 0.0002 to 0.005 (default 0.001)", "3 trials of about 10 minutes each",
        "trial 1/3  AP@.5:.95 0.400  the defaults", "0.500 (best)", "best 0.500 (trial 2)", "That is 0.100 more",
        "may be chance", "retinaj train ", "--preset laptop",
    ):  # fmt: skip
        assert words in printed
    plan = json.loads((tmp_path / "study" / "study.json").read_text())
    assert len(plan["used"]["validation"]) == 1
    assert plan["searched"][0] == "learning_rate"


def test_what_is_given_holds_for_all_trials_in_any_folder(
    data: tuple[Path, Path], training: FakeTraining, tmp_path: Path
) -> None:
    folder = tmp_path / "a?b=#%20{c} µ"
    settings = TrainingSettings(batch_size=2, minutes=3, seed=5, windows_per_epoch=100)
    results = tune(*data, folder, trials=3, settings=settings, console=Console(quiet=True))
    assert left_in(folder) == KEPT
    assert left_in(tmp_path) == [folder.name]
    for _, _, settings in training.calls:
        assert (settings.batch_size, settings.minutes, settings.seed, settings.windows_per_epoch) == (2, 3, 5, 100)
    assert "batch_size" not in results.trials[2].values
    assert len({settings.learning_rate for _, _, settings in training.calls}) == 3


def test_a_trial_that_is_behind_is_stopped_halfway(
    study: Callable[..., StudyResults], training: FakeTraining, tmp_path: Path
) -> None:
    training.aps = {f"{number:04d}": 0.5 for number in range(1, 6)} | {"0006": 0.2, "0007": 0.6}
    screen = io.StringIO()
    results = study(7, screen=screen)
    assert [each.state for each in results.trials] == [*["finished"] * 5, "stopped early", "finished"]
    stopped = results.trials[5]
    assert len(stopped.notes.curve) == EPOCHS // 2
    assert "stopped after 50 %, behind" in screen.getvalue()
    assert results.best is results.trials[6]
    assert left_in(tmp_path / "study") == KEPT


def test_a_trial_that_fails_is_noted_and_the_study_goes_on(study: Callable[..., StudyResults], training: FakeTraining) -> None:
    def fail(folder: Path, epoch: int) -> None:
        if folder.parent.name == "0002" and epoch == 4:
            raise RetinaJError("The loss became nan in epoch 4.")

    training.before_epoch = fail
    screen = io.StringIO()
    results = study(screen=screen)
    assert [each.state for each in results.trials] == ["finished", "failed", "finished"]
    assert results.trials[1].notes.reason == "The loss became nan in epoch 4."
    assert len(results.trials[1].notes.curve) == 3
    assert "failed: The loss became nan in epoch 4." in screen.getvalue()


def test_three_failures_at_the_start_end_the_study(study: Callable[..., StudyResults], training: FakeTraining) -> None:
    def fail(folder: Path, epoch: int) -> None:
        raise MemoryError

    training.before_epoch = fail
    with pytest.raises(RetinaJError, match=r"3 trials in a row failed.*Memory does not suffice"):
        study(20)
    assert len(training.calls) == 3
    training.before_epoch = lambda folder, epoch: None
    assert len(study(5, resume=True).having("finished")) == 2


def test_failures_before_the_first_epoch_end_a_study_that_went_well(
    study: Callable[..., StudyResults], training: FakeTraining
) -> None:
    def fail(folder: Path, epoch: int) -> None:
        if folder.parent.name > "0001":
            raise RetinaJError("The disk with the images is gone.")

    training.before_epoch = fail
    with pytest.raises(RetinaJError, match=r"3 trials in a row failed.*The disk with the images is gone\. When that"):
        study(20)
    assert len(training.calls) == 4


def test_bad_data_fail_before_anything_is_made(
    data: tuple[Path, Path], study: Callable[..., StudyResults], training: FakeTraining, tmp_path: Path
) -> None:
    screen = io.StringIO()
    with pytest.raises(RetinaJError, match="does not exist"):
        tune(data[0], tmp_path / "nowhere", tmp_path / "study", console=Console(file=screen))
    assert not screen.getvalue()
    (tmp_path / "empty.txt").write_text("disc05\n")  # the image without an object
    with pytest.raises(RetinaJError, match="validation images have no objects"):
        study(validation=tmp_path / "empty.txt")
    assert not (tmp_path / "study").exists()
    for settings, reason in (
        (TrainingSettings(epochs=5), "same time"),
        (
            TrainingSettings(
                **{name: getattr(TrainingSettings(), name) for name in TrainingSettings.model_fields if name != "epochs"}
            ),
            "All settings that a study searches are given",
        ),
    ):
        with pytest.raises(RetinaJError, match=reason):
            study(settings=settings)
    with pytest.raises(RetinaJError, match="--trials is 1"):
        study(1)
    assert not training.calls


class TestGoingOn:
    @pytest.mark.parametrize(("how", "epoch"), [(KeyboardInterrupt, 4), (KilledError, 1), (KilledError, 4)])
    def test_within_a_trial(
        self,
        how: type[BaseException],
        epoch: int,
        whole: tuple[Path, StudyResults],
        study: Callable[..., StudyResults],
        training: FakeTraining,
        tmp_path: Path,
    ) -> None:
        def end(folder: Path, now: int) -> None:
            if folder.parent.name == "0002" and now == epoch:
                raise how

        training.before_epoch = end
        screen = io.StringIO()
        with pytest.raises(how) as ended:
            study(screen=screen)
        if how is KeyboardInterrupt:
            assert "Stopped after 1 trial of 3. To go on, give the same command with --resume." in screen.getvalue()
            assert ended.value.__notes__
        training.before_epoch = lambda folder, epoch: None
        results = study(resume=True)
        assert [(name, resumed) for name, resumed, _ in training.calls] == [
            ("0001", False), ("0002", False), ("0002", True), ("0003", False),
        ]  # fmt: skip
        assert [(each.values, each.ap) for each in results.trials] == [(each.values, each.ap) for each in whole[1].trials]
        assert [point.epoch for point in results.trials[1].notes.curve] == list(range(1, EPOCHS + 1))
        assert results.trials[1].notes.deaths == 0
        assert left_in(tmp_path / "study") == KEPT

    def test_before_a_trial_had_a_plan(
        self,
        whole: tuple[Path, StudyResults],
        study: Callable[..., StudyResults],
        monkeypatch: pytest.MonkeyPatch,
        training: FakeTraining,
    ) -> None:
        def killed(*_: object, **__: object) -> None:
            raise KilledError

        with monkeypatch.context() as patch:
            patch.setattr(retinaj.tuning.trial, "train", killed)
            with pytest.raises(KilledError):
                study()
        assert [each.values for each in study(resume=True).trials] == [each.values for each in whole[1].trials]

    def test_what_ends_the_program_again_and_again_is_given_up(
        self, study: Callable[..., StudyResults], training: FakeTraining
    ) -> None:
        def end(folder: Path, epoch: int) -> None:
            if folder.parent.name == "0002":
                raise KilledError

        training.before_epoch = end
        for attempt in range(3):
            with pytest.raises(KilledError):
                study(resume=attempt > 0)
        results = study(resume=True)
        assert results.trials[1].state == "failed"
        assert "memory did not suffice" in results.trials[1].notes.reason
        assert results.trials[2].state == "finished"

    @pytest.mark.parametrize("step", ["1 rename", "2 rename", "2 remove", "3 remove"])
    def test_between_the_steps_of_keeping_the_best_model(
        self,
        step: str,
        study: Callable[..., StudyResults],
        training: FakeTraining,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        training.aps = {"0001": 0.4, "0002": 0.5, "0003": 0.45}
        count, what = step.split()
        left = [int(count)]

        def ending(real: Callable[..., Any], folder_at: Callable[..., Path]) -> Callable[..., Any]:
            def instead(*args: Any, **options: Any) -> Any:
                if "0002" in str(folder_at(*args)):
                    left[0] -= 1
                    if not left[0]:
                        raise KilledError
                return real(*args, **options)

            return instead

        with monkeypatch.context() as patch:
            if what == "rename":
                patch.setattr(Path, "rename", ending(Path.rename, lambda path, target: path if "0002" in str(path) else target))
            else:
                patch.setattr(retinaj.tuning.keeping.shutil, "rmtree", ending(shutil.rmtree, lambda path, *_: path))
            with pytest.raises(KilledError):
                study()
        found = [path.parent for path in (tmp_path / "study").rglob("model.json")]
        best = [folder for folder in found if (read_record(folder).training.validation_ap or 0) == 0.5]
        assert len(best) == 1
        results = study(resume=True)
        assert [each.ap for each in results.trials] == [0.4, 0.5, 0.45]
        assert read_record(tmp_path / "study" / "model").training.validation_ap == 0.5
        assert left_in(tmp_path / "study") == KEPT

    def test_with_more_trials(
        self, whole: tuple[Path, StudyResults], study: Callable[..., StudyResults], training: FakeTraining, tmp_path: Path
    ) -> None:
        shutil.copytree(whole[0], tmp_path / "study")
        results = study(4, resume=True)
        assert results.trials[:3] == whole[1].trials
        assert [name for name, _, _ in training.calls] == ["0004"]

    def test_a_model_that_the_user_put_there_is_left_alone(
        self, whole: tuple[Path, StudyResults], study: Callable[..., StudyResults], training: FakeTraining, tmp_path: Path
    ) -> None:
        training.aps = {"0004": 0.99}
        shutil.copytree(whole[0], tmp_path / "study")
        mine = tmp_path / "study" / "model"
        shutil.rmtree(mine)
        mine.mkdir()
        (mine / "notes.txt").write_text("mine")
        with pytest.raises(RetinaJError, match="is not a model of this study"):
            study(4, resume=True)
        assert (mine / "notes.txt").read_text() == "mine"
        mine.rename(tmp_path / "moved")
        study(4, resume=True)
        assert read_record(mine).training.validation_ap == 0.99


class TestRefusals:
    @pytest.fixture
    def begun(self, whole: tuple[Path, StudyResults], training: FakeTraining, tmp_path: Path) -> Path:
        return Path(shutil.copytree(whole[0], tmp_path / "study"))

    def test_a_folder_that_exists_or_not(
        self, study: Callable[..., StudyResults], begun: Path, data: tuple[Path, Path]
    ) -> None:
        with pytest.raises(RetinaJError, match="already exists"):
            study()
        with pytest.raises(RetinaJError, match=r"no study .*nowhere"):
            tune(*data, begun.parent / "nowhere", resume=True)
        assert not (begun.parent / "nowhere").exists()

    def test_two_at_a_time(self, study: Callable[..., StudyResults], begun: Path) -> None:
        with locked(begun / ".lock", seconds=0, busy=""), pytest.raises(RetinaJError, match="Another process is at work"):
            study(resume=True)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (TrainingSettings(window=64), "began with window None, now it is 64"),
            (TrainingSettings(seed=1), "began with seed 0, now it is 1"),
            (TrainingSettings(learning_rate=1e-3), "searches learning-rate, so that --learning-rate cannot be given"),
        ],
    )
    def test_other_settings(
        self, study: Callable[..., StudyResults], begun: Path, settings: TrainingSettings, message: str
    ) -> None:
        with pytest.raises(RetinaJError, match=message):
            study(resume=True, settings=settings)

    def test_other_images(self, study: Callable[..., StudyResults], begun: Path, tmp_path: Path) -> None:
        (tmp_path / "names.txt").write_text("disc00\ndisc01\ndisc02\n")
        with pytest.raises(RetinaJError, match="are not those that"):
            study(resume=True, names=tmp_path / "names.txt")

    def test_images_that_change_meanwhile(self, data: tuple[Path, Path], training: FakeTraining, tmp_path: Path) -> None:
        images, annotations = (Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in data)

        def change(folder: Path, epoch: int) -> None:
            if folder.parent.name == "0001" and epoch == EPOCHS:
                first.rename(tmp_path / "away.xml")

        first = sorted(annotations.iterdir())[0]
        training.before_epoch = change
        with pytest.raises(RetinaJError, match="changed while the study"):
            tune(images, annotations, tmp_path / "study", trials=3, console=Console(quiet=True))
        (tmp_path / "away.xml").rename(first)
        results = tune(images, annotations, tmp_path / "study", resume=True, console=Console(quiet=True))
        assert [(each.state, len(each.notes.curve)) for each in results.trials] == [("finished", EPOCHS)] * 3

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda plan: "{", "study.json is not the plan"),
            (lambda plan: json.dumps(plan | {"more": 1}), "more: Extra inputs"),
            (lambda plan: json.dumps(plan | {"name": "../../x"}), "name: String should match"),
            (lambda plan: json.dumps(plan | {"name": ".."}), "cannot be a folder"),
            (lambda plan: json.dumps(plan | {"trials": "3"}), "trials: Input should be a valid integer"),
            (lambda plan: json.dumps(plan | {"searched": ["seed"]}), "that RetinaJ does not search"),
            (lambda plan: json.dumps(plan | {"retinaj": "0.0.9"}), "was begun with RetinaJ 0.0.9"),
            (lambda plan: json.dumps(plan | {"identity": "0" * 32}), "does not hold the study"),
            (lambda plan: json.dumps(plan | {"searched": ["learning_rate"]}), "trial 1 searched 'batch_size'"),
        ],
    )
    def test_a_plan_that_is_not_its_own(self, begun: Path, change: Callable[[dict[str, Any]], str], message: str) -> None:
        path = begun / "study.json"
        path.write_text(change(json.loads(path.read_text())))
        with pytest.raises(RetinaJError, match=message), open_database(begun, load_plan(begun)):
            pass

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ("CREATE VIEW v AS SELECT 1", "has a view"),
            ("CREATE TRIGGER t AFTER INSERT ON trials BEGIN DELETE FROM studies; END", "has a trigger"),
            # Written into the schema: which modules SQLite was built with differs.
            (
                "PRAGMA writable_schema=ON; "
                "INSERT INTO sqlite_master VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING fts5(x)')",
                "has a virtual table",
            ),
            ("DROP TABLE studies", "no such table: studies"),
            ("DROP TABLE trial_values", "does not say|has the result None"),
            ("UPDATE trial_values SET value = 7", "has the result 7"),
            ("UPDATE trial_user_attributes SET value_json = '\"{}]\"'", "notes of trial 1 are broken"),
            ("UPDATE trial_user_attributes SET value_json = '[1'", "JSONDecodeError"),
            ("UPDATE alembic_version SET version_num = 'v0'", "no longer compatible"),
        ],
    )
    def test_a_database_that_is_not_its_own(self, begun: Path, change: str, message: str) -> None:
        connection = sqlite3.connect(begun / "study.db")
        with connection:
            connection.executescript(change)
        connection.close()
        with pytest.raises(RetinaJError, match=f"(?s)study.db.*({message})"), open_database(begun, load_plan(begun)):
            pass

    @pytest.mark.parametrize("damage", [b"", b"not a database at all" * 99, None])
    def test_a_database_that_is_none(self, begun: Path, damage: bytes | None) -> None:
        path = begun / "study.db"
        if damage is None:
            path.unlink()
        else:
            path.write_bytes(damage)
        with pytest.raises(RetinaJError, match=r"study\.db"), open_database(begun, load_plan(begun)):
            pass
        assert path.exists() == (damage is not None)

    def test_several_machines(self, study: Callable[..., StudyResults], monkeypatch: pytest.MonkeyPatch) -> None:
        cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
        with pytest.raises(RetinaJError, match="runs on one machine"):
            study()


def test_real_training_is_interrupted_and_continued(
    data: tuple[Path, Path], training: FakeTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TrainingSettings(
        backbone="light_small", minutes=1e-4, windows_per_epoch=4, pyramid_width=8, window=32, warmup_steps=2, downsampling=1,
        levels=(3, 4),
    )  # fmt: skip
    rows: list[int] = []
    stop = [True]

    def train(*paths: Path, **options: Any) -> Any:
        if paths[2].parent.name != "0001":
            return training(*paths, **options)
        told = options["after_epoch"]

        def after_epoch(row: EpochRow, epochs: int) -> None:
            told(row, epochs)
            rows.append(row.epoch)
            if row.epoch == 2 and stop:
                stop.clear()
                raise KeyboardInterrupt

        return real_train(*paths, **{**options, "after_epoch": after_epoch})

    monkeypatch.setattr(retinaj.tuning.trial, "train", train)
    training.aps = {"0002": 0.0}
    for resume in (False, True):
        try:
            results = tune(
                *data,
                tmp_path / "s",
                settings=None if resume else settings,
                trials=2,
                resume=resume,
                console=Console(quiet=True),
            )
        except KeyboardInterrupt:
            assert not resume
    assert rows == list(range(1, 11))  # each epoch once: no training is shorter than ten
    first = results.trials[0]
    assert [point.epoch for point in first.notes.curve] == rows
    record = read_record(tmp_path / "s" / "model")
    assert record.training.validation_ap == pytest.approx(first.ap, abs=1e-5)
    assert record.training.settings.epochs == 10
    assert open_model(tmp_path / "s" / "model").class_names == ("disc", "square")
