"""Training that starts from an earlier model: it keeps what that one knew, and says where it came from."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from discs import write_discs
from numpy.typing import NDArray
from rich.console import Console

from retinaj.errors import RetinaJError
from retinaj.model_folder import load_network, read_record, save_model
from retinaj.network.retinanet import build_network
from retinaj.normalization import FixedScale, PercentileScale
from retinaj.training.run_folder import load_run
from retinaj.training.settings import TrainingSettings
from retinaj.training.start import StartingPoint, require_same_start
from retinaj.training.state import STATE_FILE
from retinaj.training.train import train

QUICK = TrainingSettings(
    epochs=6,
    windows_per_epoch=64,
    batch_size=4,
    pyramid_width=16,
    window=64,
    warmup_steps=2,
    downsampling=1,
    levels=(3, 4),
    ema=0.9,
)
STILL = QUICK.model_copy(update={"epochs": 1, "windows_per_epoch": 4, "learning_rate": 1e-12})


def quiet() -> Console:
    return Console(file=io.StringIO(), width=300)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_discs(tmp_path_factory.mktemp("discs"), 12)


@pytest.fixture(scope="module")
def source(data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "source"
    train(*data, folder, settings=QUICK, console=quiet())
    return folder


def renamed(data: tuple[Path, Path], folder: Path, **names: str) -> tuple[Path, Path]:
    """The same images, with classes of other names."""
    images, annotations = data
    shutil.copytree(annotations, folder)
    for path in folder.glob("*.xml"):
        text = path.read_text()
        for before, after in names.items():
            text = text.replace(f"<name>{before}</name>", f"<name>{after}</name>")
        path.write_text(text)
    return images, folder


def test_at_no_learning_rate_the_ap_stays(data: tuple[Path, Path], source: Path, tmp_path: Path) -> None:
    before = read_record(source)
    screen = io.StringIO()
    start = StartingPoint.of_folder(source)
    record = train(*data, tmp_path / "new", settings=STILL, start=start, console=Console(file=screen, width=300))
    assert before.training.validation_ap50 is not None
    assert before.training.validation_ap50 > 0.05
    assert record.training.validation_ap50 == pytest.approx(before.training.validation_ap50, abs=1e-6)
    assert record.training.validation_ap == pytest.approx(before.training.validation_ap, abs=1e-6)
    assert record.network == before.network
    assert record.training.started_from is not None
    assert record.training.started_from.weights_sha256 == before.weights_sha256
    assert read_record(tmp_path / "new").training.started_from == record.training.started_from
    assert "Starting from the weights of 'source'" in screen.getvalue()
    assert "kept: disc, square" in screen.getvalue()


def head(folder: Path) -> dict[str, NDArray[np.float32]]:
    """The class prediction of each class: kernel and bias of all its anchors in one row."""
    record, network = load_network(folder)
    arrays = {variable.path: np.asarray(variable) for variable in network.variables}
    kernel, bias = arrays["class_head_prediction/kernel"], arrays["class_head_prediction/bias"]
    shape = (record.network.anchors.per_cell, len(record.class_names))
    values = np.concatenate([kernel.reshape(-1, *shape), bias.reshape(1, *shape)])
    return {name: values[..., index].ravel() for index, name in enumerate(record.class_names)}


def test_classes_keep_their_weights_by_name_and_new_ones_start_fresh(
    data: tuple[Path, Path], source: Path, tmp_path: Path
) -> None:
    # "square" comes second before and first after; "disc" is gone, and "ring" and "zebra" are new.
    images, annotations = renamed(data, tmp_path / "annotations", disc="zebra")
    first = sorted(annotations.glob("*.xml"))[0]
    first.write_text(first.read_text().replace("<name>zebra</name>", "<name>ring</name>", 1))
    screen = io.StringIO()
    new = tmp_path / "new"
    still = STILL.model_copy(update={"validation": 0.1})
    record = train(
        images, annotations, new, settings=still, start=StartingPoint.of_folder(source), console=Console(file=screen, width=300)
    )
    assert record.class_names == ("ring", "square", "zebra")
    before, after = head(source), head(new)
    np.testing.assert_allclose(after["square"], before["square"], atol=1e-6)
    fresh = build_network(record.network).get_layer("class_head_prediction")
    for name in ("ring", "zebra"):
        assert np.abs(after[name] - before["disc"]).max() > 0.01
        np.testing.assert_allclose(after[name][-3:], np.asarray(fresh.bias)[:3], atol=1e-4)  # the prior
    assert record.training.started_from is not None
    assert record.training.started_from.kept_classes == ("square",)
    assert "kept: square; new: ring, zebra; left out: disc" in screen.getvalue()
    trained = {variable.path: np.asarray(variable) for variable in load_network(new)[1].variables}
    for variable in load_network(source)[1].variables:
        if not variable.path.startswith("class_head_prediction"):
            np.testing.assert_allclose(trained[variable.path], np.asarray(variable), atol=1e-6)


def test_a_run_resumes_with_and_without_its_start(data: tuple[Path, Path], source: Path, tmp_path: Path) -> None:
    folder, start = tmp_path / "new", StartingPoint.of_folder(source)
    record = train(*data, folder, settings=STILL, start=start, console=quiet())
    for again in (start, None):
        resumed = train(*data, folder, start=again, resume=True, console=quiet())
        assert resumed.training.started_from == record.training.started_from
    other = replace(start, record=start.record.model_copy(update={"weights_sha256": "f" * 64}))
    with pytest.raises(RetinaJError, match="began with the weights of 'source'"):
        train(*data, folder, start=other, resume=True, console=quiet())
    with pytest.raises(RetinaJError, match="began with random weights"):
        train(*data, source, start=start, resume=True, console=quiet())
    (folder / "training" / STATE_FILE).unlink()
    with pytest.raises(RetinaJError, match="give them again with --weights-from"):
        train(*data, folder, resume=True, console=quiet())
    require_same_start(load_run(folder).record, start, has_state=False, folder=folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "mobilenet_v1"}, "--backbone is 'mobilenet_v1', but the model to start from, 'source', has 'light'"),
        ({"pyramid_width": 64}, "--pyramid-width is 64"),
        ({"imagenet_weights": True}, "--imagenet-weights is True"),
        ({"levels": (3, 5)}, r"--levels is \(3, 5\), .* has \(3, 4\)"),
        ({"downsampling": 2}, "--downsampling is 2"),
    ],
)
def test_refuses_options_that_the_weights_do_not_fit(
    data: tuple[Path, Path], source: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    start, settings = StartingPoint.of_folder(source), STILL.model_copy(update=change)
    with pytest.raises(RetinaJError, match=message):
        train(*data, tmp_path / "new", settings=settings, start=start, console=quiet())
    assert not (tmp_path / "new").exists()


def test_images_and_normalization_follow_the_source(source: Path) -> None:
    start = StartingPoint.of_folder(source)
    assert start.record.network.channels == 1
    with pytest.raises(RetinaJError, match="The images have 3 channels"):
        start.channels(3)
    assert start.normalization(PercentileScale()) == PercentileScale()
    assert start.normalization(FixedScale(gain=2)) == start.record.normalization
    rgb = start.record.network.model_copy(update={"channels": 3, "fill": (0.0,) * 3})
    start = replace(start, record=start.record.model_copy(update={"network": rgb, "normalization": PercentileScale()}))
    assert start.channels(1) == 3
    assert start.normalization(FixedScale()) == PercentileScale()


def test_refuses_a_changed_source(source: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(source, tmp_path / "copy"))
    record, network = load_network(folder)
    network.variables[0].assign(np.zeros(network.variables[0].shape))
    save_model(tmp_path / "other", record, network)
    shutil.copyfile(tmp_path / "other" / "model.weights.h5", folder / "model.weights.h5")
    with pytest.raises(RetinaJError, match="SHA-256"):
        StartingPoint.of_folder(folder)
