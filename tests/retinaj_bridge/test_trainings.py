"""Training in the background: a process of its own, told of and stopped through its folder."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from fake_detector import patches

import retinaj_zoo.info
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.training.sets import load_sets
from retinaj_bridge import training_process
from retinaj_bridge.growing_dataset import GrowingDataset
from retinaj_bridge.recent_models import recent_models
from retinaj_bridge.server import Call
from retinaj_bridge.training_job import Job, Progress, Result
from retinaj_bridge.training_process import read_progress, twice
from retinaj_bridge.trainings import Trainings, next_name
from retinaj_bridge.verbs.retraining import retrain_verb, stop_training_verb, trainings_verb

# What stands for the training process: it tells, waits until it is told to stop, and tells that it did.
STUB = """
import json, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
print("a line in the log", flush=True)
(folder / "progress.json").write_text(json.dumps({"fraction": 0.25, "words": "epoch 2 of 4"}))
while not (folder / "stop").exists():
    time.sleep(0.02)
(folder / "result.json").write_text(json.dumps({"state": "stopped", "words": "Stopped."}))
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RETINAJ_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def dataset(tmp_path: Path) -> GrowingDataset:
    found = GrowingDataset(tmp_path / "data set")
    add(found, 0)
    return found


def add(dataset: GrowingDataset, seed: int, names: Sequence[str] = ("cell", "debris")) -> None:
    image = xr.DataArray(patches(seed), dims=("y", "x"))
    classes = tuple(sorted(set(names)))
    label = [classes.index(name) for name in names]
    dataset.add(image, Boxes([[3, 3, 20, 20], [30, 10, 50, 40]], label, classes), f"image {seed}.tif")


@pytest.fixture
def stub() -> Trainings:
    return Trainings(lambda folder: [sys.executable, "-c", STUB, str(folder)])


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Something that passes for a model that can be trained on."""
    (tmp_path / "my models" / "cells").mkdir(parents=True)

    class Info:
        kind, class_names, training, weights = "model folder", ("cell", "platelet"), object(), ()

    monkeypatch.setattr(retinaj_zoo.info, "describe_model", lambda path: Info)
    return tmp_path / "my models" / "cells"


def ask(verb: Callable[..., Any], **fields: object) -> dict[str, Any]:
    return dict(verb({name: str(value).encode() for name, value in fields.items()}, Call()))


def wait(trainings: Trainings, until: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = ask(trainings_verb(trainings))
        if answer["states"][0] == until or until in answer["words"][0]:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{until} did not come: {answer}")


def test_it_is_told_of_and_stopped(model: Path, dataset: GrowingDataset, stub: Trainings) -> None:
    began = ask(retrain_verb(stub), model=model / "model.json", dataset=dataset.folder)
    assert began["outputs"] == [str(model.with_name("cells-2"))]
    assert began["states"] == ["running"]
    running = wait(stub, "epoch 2 of 4")
    assert (running["states"], running["fractions"], running["ids"]) == (["running"], ["0.25"], began["ids"])
    # Another worker, such as one that was started after Fiji was closed, finds it, too.
    assert ask(trainings_verb(Trainings()))["states"] == ["running"]
    with pytest.raises(RetinaJError, match=r"A training that makes .*cells-2 is running already"):
        ask(retrain_verb(stub), model=model, dataset=dataset.folder)
    second = ask(retrain_verb(stub), model=model, dataset=dataset.folder, output=model.with_name("other"))
    for key in (*began["ids"], *second["ids"]):
        ask(stop_training_verb(Trainings()), id=key)
    stopped = wait(stub, "stopped")
    assert stopped["words"][0] == "Stopped."
    assert sorted(stopped["outputs"]) == [str(model.with_name("cells-2")), str(model.with_name("other"))]
    assert Path(stopped["logs"][0]).read_text() == "a line in the log\n"


def test_few_images_and_classes_are_spoken_of(model: Path, dataset: GrowingDataset, stub: Trainings) -> None:
    def note(output: str) -> str:
        began = ask(retrain_verb(stub), model=model, dataset=dataset.folder, output=model.with_name(output))
        stub.stop(began["ids"][0])
        return began["note"]

    assert note("a") == (
        "There is only one image, so that the model learns from it and is checked on it, too: its AP will flatter it, and says "
        "nothing about other images. Add images for an honest figure. New classes: debris. The new model will not know the "
        "classes that no image of the data set has: platelet."
    )
    add(dataset, 1, ("platelet", "platelet"))
    assert note("b").startswith("The model learns from 1 image and is checked on 1 image. New classes: debris.")


def test_boxes_that_nobody_named_make_no_class(model: Path, dataset: GrowingDataset, stub: Trainings) -> None:
    add(dataset, 1, ("object", "debris"))
    with pytest.raises(RetinaJError, match=r"of the class 'object', which the model does not know.* to one of .*platelet"):
        ask(retrain_verb(stub), model=model, dataset=dataset.folder)
    assert not ask(trainings_verb(stub))["ids"]


def test_a_process_that_dies_is_noticed_with_its_last_words(model: Path, dataset: GrowingDataset) -> None:
    trainings = Trainings(lambda folder: [sys.executable, "-c", "raise SystemExit('no memory left')"])
    ask(retrain_verb(trainings), model=model, dataset=dataset.folder)
    failed = wait(trainings, "failed")
    assert re.search(r"ended before it was done.*log\.txt, ends with: no memory left$", failed["words"][0])


def test_a_process_that_fell_silent_has_ended(model: Path, dataset: GrowingDataset, stub: Trainings, home: Path) -> None:
    began = ask(retrain_verb(stub), model=model, dataset=dataset.folder)
    wait(stub, "epoch 2 of 4")
    progress = home / "trainings" / began["ids"][0] / "progress.json"
    earlier = time.time() - 3600
    os.utime(progress, (earlier, earlier))
    assert ask(trainings_verb(Trainings()))["states"] == ["failed"]
    stub.stop(began["ids"][0])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"minutes": "0"}, "minutes is 0; expected a number above 0"),
        ({"minutes": "soon"}, "minutes is 'soon'; expected a number"),
        ({"output": "MODEL"}, "already exists, and RetinaJ does not overwrite it"),
        ({"dataset": "MODEL"}, "is not a data set that RetinaJ made"),
        ({"dataset": "MODEL/new"}, "has no images yet"),
        ({"model": ""}, "The model is missing"),
    ],
)
def test_what_cannot_be_is_refused(
    model: Path, dataset: GrowingDataset, stub: Trainings, changes: dict[str, str], expected: str
) -> None:
    (model / "weights").write_text("")
    fields = {"model": str(model), "dataset": str(dataset.folder), "output": str(model.with_name("new"))} | changes
    with pytest.raises(RetinaJError, match=re.escape(expected)):
        ask(retrain_verb(stub), **{name: value.replace("MODEL", str(model)) for name, value in fields.items()})
    assert ask(trainings_verb(stub))["ids"] == []


def test_models_that_cannot_be_trained_are_refused_at_once(
    model: Path, dataset: GrowingDataset, stub: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Info:
        kind, class_names, training, weights = "package of a foreign detector", ("cell",), None, ()

    monkeypatch.setattr(retinaj_zoo.info, "describe_model", lambda path: Info)
    with pytest.raises(RetinaJError, match="a package of a foreign detector, which RetinaJ can use but not train"):
        ask(retrain_verb(stub), model=model, dataset=dataset.folder)


@pytest.mark.parametrize("key", ["", "../../x", "20260101-000000-abcdef", "20260101-000000-abcdef/.."])
def test_only_trainings_are_stopped(stub: Trainings, key: str, home: Path) -> None:
    with pytest.raises(RetinaJError, match="There is no training"):
        ask(stop_training_verb(stub), id=key)
    assert not list(home.rglob("stop"))


def test_damaged_and_foreign_folders_are_passed_over(stub: Trainings, home: Path) -> None:
    for name, content in {"20260101-000000-abcdef": "{", "20260101-000000-abcdee": '{"model": 3}', "notes": "{}"}.items():
        (home / "trainings" / name).mkdir(parents=True)
        (home / "trainings" / name / "job.json").write_text(content)
    home.chmod(0o700)
    assert ask(trainings_verb(stub))["ids"] == []


def test_trainings_of_long_ago_are_forgotten(model: Path, dataset: GrowingDataset, stub: Trainings, home: Path) -> None:
    for number in range(60):
        old = home / "trainings" / f"20200101-0000{number:02}-abcdef"
        old.mkdir(parents=True)
        if number:  # the first never said how it ended
            (old / "result.json").write_text("{}")
    home.chmod(0o700)
    began = ask(retrain_verb(stub), model=model, dataset=dataset.folder)
    stub.stop(began["ids"][0])
    left = sorted(path.name for path in (home / "trainings").iterdir())
    assert len(left) == 51
    assert (left[0], left[1], left[-1]) == ("20200101-000000-abcdef", "20200101-000011-abcdef", began["ids"][0])


def test_names_go_on_counting(tmp_path: Path) -> None:
    for name in ("cells-2", "cells-3"):
        (tmp_path / name).mkdir()
    assert next_name(tmp_path / "cells") == tmp_path / "cells-4"
    assert next_name(tmp_path / "cells-2").name == "cells-4"
    assert next_name(tmp_path / "my cells.v2.zip").name == "my cells.v2-2"


# --- the process itself


def job_of(dataset: GrowingDataset, output: Path) -> Job:
    (name,) = dataset.names()
    return Job(
        model=output.with_name("model"),
        output=output,
        images=dataset.images,
        annotations=dataset.annotations,
        minutes=5,
        only_image=name,
    )


@pytest.mark.parametrize("kind", ["voc", "coco"])
def test_one_image_trains_and_validates(tmp_path: Path, kind: Any) -> None:
    dataset = GrowingDataset(tmp_path / "set", kind)
    add(dataset, 3)
    images, annotations, validation = twice(job_of(dataset, tmp_path / "out"), tmp_path / "job data")
    training, checked = load_sets(images, annotations, names=None, validation=validation, share=0.2, seed=0)
    for part in (training, checked):
        (sample,) = part.samples
        np.testing.assert_array_equal(sample.read().to_numpy(), patches(3))
        assert sample.boxes.names == ["cell", "debris"]
    assert [sample.name for sample in (*training.samples, *checked.samples)] == ["image 3", "image 3 (copy)"]


def run_main(folder: Path, job: Job, monkeypatch: pytest.MonkeyPatch, outcome: object) -> tuple[int, Result]:
    """The process's main function in this one, with something that stands for the training."""
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(job.model_dump_json())

    def run(job: Job, folder: Path) -> object:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(training_process, "run", run)
    monkeypatch.setattr(training_process.signal, "signal", lambda number, handler: None)
    status = training_process.main(folder)
    return status, Result.model_validate_json((folder / "result.json").read_bytes())


class _Record:
    class training:  # noqa: N801
        validation_ap50 = 0.8346


def test_how_it_ended_is_left_behind(
    tmp_path: Path, dataset: GrowingDataset, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    output = tmp_path / "new model"
    job = job_of(dataset, output)
    status, result = run_main(tmp_path / "1", job, monkeypatch, RetinaJError("The images have 3 channels."))
    assert (status, result) == (1, Result(state="failed", words="The images have 3 channels."))
    status, result = run_main(tmp_path / "2", job, monkeypatch, KeyboardInterrupt())
    assert (status, result) == (0, Result(state="stopped", words="Stopped before there was a model."))
    status, result = run_main(tmp_path / "3", job, monkeypatch, MemoryError("no more"))
    assert (status, result.state) == (1, "failed")
    assert "MemoryError: no more" in result.words
    assert recent_models() == []
    # A model that is there is offered by all dialogs from then on.
    output.mkdir()
    (output / "model.json").write_text("{}")
    status, result = run_main(tmp_path / "4", job, monkeypatch, _Record)
    assert (status, result) == (0, Result(state="done", words=f"The new model is {output}, AP@.5 0.835."))
    assert [(each.path, each.name) for each in recent_models()] == [(output, "new model")]
    _, result = run_main(tmp_path / "5", job, monkeypatch, KeyboardInterrupt())
    assert result.words == f"Stopped. {output} holds the best model so far."
    assert json.loads((tmp_path / "5" / "progress.json").read_text())["words"] == "starting"


def test_progress_between_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "model" / "training"
    folder.mkdir(parents=True)
    assert read_progress(folder, time.time()) is None

    class Run:
        class record:  # noqa: N801
            class training:  # noqa: N801
                class settings:  # noqa: N801
                    epochs = 10

    monkeypatch.setattr("retinaj.training.run_folder.load_run", lambda path: Run)
    (folder / "history.csv").write_text("epoch,seconds,val_ap50\n1,60,0.5\n2,120,0.831\n")
    written = (folder / "history.csv").stat().st_mtime
    assert read_progress(folder, written + 30) == Progress(
        fraction=0.25, words="epoch 3 of 10, AP@.5 0.83 so far, about 7 min 30 s left"
    )
    assert read_progress(folder, written - 5).fraction == 0.2  # a clock that was set back
    assert read_progress(folder, written + 9999).fraction == pytest.approx(0.299)  # it takes longer than thought
    (folder / "history.csv").write_text("epoch,seconds,val_ap50\n10,600,0.9\n")
    assert read_progress(folder, time.time()).words.startswith("epoch 10 of 10, ")
