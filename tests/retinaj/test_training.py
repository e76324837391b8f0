"""Training: it learns, it resumes to the bit, it stops well, and it refuses what cannot work."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from discs import CLASSES, write_discs
from PIL import Image
from rich.console import Console

from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj.model_folder import ModelRecord, load_network, read_record, save_model
from retinaj.prediction import open_model
from retinaj.training.console import TrainingConsole
from retinaj.training.settings import TrainingSettings
from retinaj.training.train import train

QUICK = TrainingSettings(
    epochs=2, windows_per_epoch=16, batch_size=4, pyramid_width=16, window=64, warmup_steps=2, downsampling=1, levels=(3, 4)
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_discs(tmp_path_factory.mktemp("discs"), 12)


@pytest.fixture(scope="module")
def finished(data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelRecord, str]:
    """An uninterrupted run: its folder, its record and what it printed."""
    folder, screen = tmp_path_factory.mktemp("run") / "discs", io.StringIO()
    record = train(*data, folder, settings=QUICK, console=Console(file=screen, width=200))
    return folder, record, screen.getvalue()


def weights(folder: Path) -> list[np.ndarray]:
    return [np.asarray(variable) for variable in load_network(folder)[1].variables]


def test_a_run_leaves_everything(finished: tuple[Path, ModelRecord, str]) -> None:
    folder, record, printed = finished
    assert read_record(folder).class_names == CLASSES
    assert record.training.images == 10
    assert record.training.validation_images == 2
    assert record.network.channels == 1
    rows = list(csv.DictReader((folder / "training" / "history.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
    assert list((folder / "training" / "tensorboard").glob("events.*"))
    sample = json.loads((folder / "training" / "sample.json").read_text())
    assert (folder / "training" / sample["file"]).is_file()
    assert (folder / "training" / "last.weights.h5").is_file()
    for words in ("Anchors:", "of the boxes", "epoch   2/2", "AP@.5", "left", "seed 0", "16 windows per epoch from 10 images."):
        assert words in printed
    assert "AP@.5" in (folder / "training" / "training.log").read_text()


def test_the_same_seed_gives_the_same_weights_when_stopped_and_resumed(
    data: tuple[Path, Path], finished: tuple[Path, ModelRecord, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = tmp_path / "stopped"
    real_step = TrainingConsole.step

    def stop_in_epoch_two(self: TrainingConsole, epoch: int, done: int, loss: float, seconds_left: float) -> None:
        real_step(self, epoch, done, loss, seconds_left)
        if epoch == 2 and done == 6:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingConsole, "step", stop_in_epoch_two)
        with pytest.raises(KeyboardInterrupt):
            train(*data, stopped, settings=QUICK, console=Console(file=io.StringIO()))
    assert open_model(stopped).class_names == CLASSES  # Ctrl-C left a usable model
    train(*data, stopped, resume=True, console=Console(file=io.StringIO()))
    folder, record, _ = finished
    assert read_record(stopped).training.best_epoch == record.training.best_epoch
    for one, other in zip(weights(folder), weights(stopped), strict=True):
        np.testing.assert_array_equal(one, other)
    columns = [
        [(row["epoch"], row["loss"], row["val_loss"], row["val_ap"]) for row in csv.DictReader(path.open())]
        for path in (folder / "training" / "history.csv", stopped / "training" / "history.csv")
    ]
    assert columns[0] == columns[1]


def test_ctrl_c_in_the_first_epoch_leaves_a_usable_model(
    data: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingConsole, "step", stop)
    screen = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        train(*data, tmp_path / "early", settings=QUICK, console=Console(file=screen, width=200))
    assert "--resume" in screen.getvalue()
    image = read_image(next(data[0].iterdir()))
    open_model(tmp_path / "early").detect(image)


def test_resuming_with_other_settings_or_images_is_refused(
    data: tuple[Path, Path], finished: tuple[Path, ModelRecord, str], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished[0], tmp_path / "copy"))
    with pytest.raises(RetinaJError, match=r"learning-rate 0\.001, now it is 0\.01"):
        train(*data, folder, settings=QUICK.model_copy(update={"learning_rate": 0.01}), resume=True)
    names = tmp_path / "names.txt"
    names.write_text("\n".join(path.stem for path in sorted(data[0].iterdir())[:6]))
    with pytest.raises(RetinaJError, match=r"are not those that the run"):
        train(*data, folder, names=names, resume=True)
    with pytest.raises(RetinaJError, match="nothing to resume"):
        train(*data, tmp_path / "nowhere", resume=True)


def test_resuming_with_changed_annotations_is_refused(
    data: tuple[Path, Path], finished: tuple[Path, ModelRecord, str], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished[0], tmp_path / "copy"))
    annotations = Path(shutil.copytree(data[1], tmp_path / "annotations"))
    first = sorted(annotations.iterdir())[0]
    first.write_text(re.sub(r"<xmin>.*?</xmin>", "<xmin>1</xmin>", first.read_text(), count=1))
    with pytest.raises(RetinaJError, match="annotations were changed"):
        train(data[0], annotations, folder, resume=True)


def test_ctrl_c_while_saving_finishes_saving(data: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst moment: the new weights are written, the model.json that names them is not."""
    interruptions = iter([KeyboardInterrupt])

    def interrupted(folder: Path, record: ModelRecord, network: object) -> ModelRecord:
        if next(interruptions, None):
            (folder / "model.weights.h5").write_bytes(b"half")
            raise KeyboardInterrupt
        return save_model(folder, record, network)

    monkeypatch.setattr("retinaj.training.trainer.save_model", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(*data, tmp_path / "model", settings=QUICK, console=Console(file=io.StringIO()))
    assert open_model(tmp_path / "model").record.training.epochs_done == 1


def test_damaged_image_stops_before_the_first_step(data: tuple[Path, Path], tmp_path: Path) -> None:
    images = Path(shutil.copytree(data[0], tmp_path / "images"))
    victim = sorted(images.iterdir())[3]
    victim.write_bytes(victim.read_bytes()[:-800])
    with pytest.raises(RetinaJError, match=victim.name):
        train(images, data[1], tmp_path / "model", settings=QUICK, console=Console(file=io.StringIO()))
    assert not (tmp_path / "model").exists()


def test_damaged_state_is_refused(data: tuple[Path, Path], finished: tuple[Path, ModelRecord, str], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished[0], tmp_path / "copy"))
    (folder / "training" / "state.npz").write_bytes(b"PK\x03\x04 not a state")
    with pytest.raises(RetinaJError, match="cannot be used to resume"):
        train(*data, folder, resume=True)


def test_existing_output_is_never_touched(data: tuple[Path, Path], tmp_path: Path) -> None:
    precious = tmp_path / "model"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(RetinaJError, match="already exists"):
        train(*data, precious, settings=QUICK)
    assert [path.name for path in precious.iterdir()] == ["thesis.txt"]


def test_loss_that_is_no_number_stops_with_advice_and_leaves_the_weights_before(
    data: tuple[Path, Path], tmp_path: Path
) -> None:
    wild = QUICK.model_copy(update={"focal_alpha": 0.25, "class_weight": 1e38, "box_weight": 1e38})
    message = r"became (inf|nan) in epoch 1, .* holds the weights that training began with\. .* lower --learning-rate"
    with pytest.raises(RetinaJError, match=message):
        train(*data, tmp_path / "wild", settings=wild, console=Console(file=io.StringIO()))
    assert read_record(tmp_path / "wild").training.epochs_done == 0
    assert all(np.isfinite(array).all() for array in weights(tmp_path / "wild"))
    open_model(tmp_path / "wild").detect(read_image(next(data[0].iterdir())))


def test_imagenet_weights_that_cannot_be_fetched_leave_nothing_behind(
    data: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(**options: object) -> None:
        assert options["weights"] == "imagenet"
        raise OSError("no route to host")

    monkeypatch.setattr("keras.applications.MobileNetV2", unreachable)
    settings = QUICK.model_copy(update={"backbone": "mobilenet_v2", "imagenet_weights": True})
    with pytest.raises(RetinaJError, match="could not be fetched"):
        train(*data, tmp_path / "model", settings=settings, console=Console(file=io.StringIO()))
    assert not (tmp_path / "model").exists()


def test_a_run_of_undecided_length_fits_its_epochs_and_stops_when_it_gains_no_more(
    data: tuple[Path, Path], tmp_path: Path
) -> None:
    """At no learning rate AP stays: the best epoch is the first, so that each patience runs out."""
    changes = {
        "epochs": None,
        "minutes": 1e-6,
        "patience": 2,
        "learning_rate": 1e-30,
        "optimizer": "sgd",
        "schedule": "plateau",
    }
    others = {"plateau": 1, "balance": "sampling", "hard_images": 1.0, "freeze": "stage3", "warmup_steps": 0}
    settings = TrainingSettings(**(QUICK.model_dump() | changes | others))
    screen = io.StringIO()
    record = train(*data, tmp_path / "model", settings=settings, console=Console(file=screen, width=200))
    assert record.training.settings.epochs == 10  # the fewest
    assert f"Not even 10 epochs, the fewest that are worth it, fit into {1e-6:g} minutes" in screen.getvalue()
    assert "10 epochs will take about" in screen.getvalue()
    assert "Stopped early: validation AP has not risen for 2 epochs" in screen.getvalue()
    rows = list(csv.DictReader((tmp_path / "model" / "training" / "history.csv").open()))
    assert [(row["epoch"], row["learning_rate"]) for row in rows] == [("1", "1e-30"), ("2", "1e-30"), ("3", "5e-31")]
    with np.load(tmp_path / "model" / "training" / "state.npz") as state:
        assert np.isfinite(state["image_loss"]).all()
    screen = io.StringIO()
    train(*data, tmp_path / "model", resume=True, console=Console(file=screen, width=200))
    assert "Stopped early" in screen.getvalue()
    assert len(list(csv.DictReader((tmp_path / "model" / "training" / "history.csv").open()))) == 3


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    images, annotations = write_discs(tmp_path, 4)
    for path in annotations.iterdir():
        text = path.read_text()
        path.write_text(text[: text.index("<object>")] + "</annotation>" if "<object>" in text else text)
    with pytest.raises(RetinaJError, match="all are empty"):
        train(images, annotations, tmp_path / "model", settings=QUICK, console=Console(file=io.StringIO()))


def test_validation_on_training_images_is_refused(data: tuple[Path, Path], tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(path.stem for path in data[0].iterdir()))
    with pytest.raises(RetinaJError, match="in both"):
        train(*data, tmp_path / "model", names=names, validation=names, settings=QUICK)


def test_sixteen_bit_images_are_normalised_by_percentiles(data: tuple[Path, Path], tmp_path: Path) -> None:
    """The same scenes in 16 bit, with an offset and a gain of their own: the model must not care."""
    images = tmp_path / "images"
    images.mkdir()
    for path in data[0].iterdir():
        pixels = np.asarray(Image.open(path)).astype(np.uint16) * 37 + 900
        Image.fromarray(pixels).save(images / path.name)
    record = train(
        images, data[1], tmp_path / "model", settings=QUICK.model_copy(update={"epochs": 1}),
        console=Console(file=io.StringIO()),
    )  # fmt: skip
    assert record.normalization.kind == "percentile"
    assert record.pixel_type == "uint16"


@pytest.mark.parametrize(
    "changes",
    [
        {"box_loss": "smooth_l1", "assignment": "iou", "precision": "mixed_bfloat16"},
        {
            "backbone": "mobilenet_v3_small",
            "levels": (3, 5),
            "norm": "batch",
            "separable": True,
            "box_loss": "ciou",
            "accumulate": 2,
        },
    ],
)
def test_other_losses_and_backbones_train(data: tuple[Path, Path], tmp_path: Path, changes: dict[str, object]) -> None:
    settings = TrainingSettings(**(QUICK.model_dump() | {"epochs": 1} | changes))
    record = train(*data, tmp_path / "model", settings=settings, console=Console(file=io.StringIO()))
    assert record.training.epochs_done == 1
