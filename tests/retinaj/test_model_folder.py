"""Model folders: what is saved is what is loaded, and anything else is refused with one clear error."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from retinaj.errors import RetinaJError
from retinaj.model_folder import ModelRecord, TrainingRecord, load_network, read_record, save_model
from retinaj.network.config import NetworkConfig
from retinaj.network.retinanet import build_network
from retinaj.normalization import FixedScale
from retinaj.prediction import open_model
from retinaj.training.settings import TrainingSettings
from retinaj.weights_file import file_sha256


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = NetworkConfig(num_classes=2, pyramid_width=16)
    record = ModelRecord(
        name="small",
        class_names=("disc", "square"),
        pixel_type="uint8",
        network=config,
        normalization=FixedScale(),
        training=TrainingRecord(
            settings=TrainingSettings(), window=64, images=1, boxes=2, class_counts={"disc": 1, "square": 1},
            validation_images=1, anchor_coverage=1.0, class_coverage={"disc": 1.0, "square": 1.0},
        ),
        versions={"retinaj": "0"},
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("models") / "small"
    save_model(folder, record, build_network(config))
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "copy of small"))


def change_record(folder: Path, **changes: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def seal(folder: Path) -> None:
    """Write the digest of the present weights into model.json, as someone would who tampers with care."""
    change_record(folder, weights_sha256=file_sha256(folder / "model.weights.h5"))


def test_what_is_saved_is_what_is_loaded(pristine: Path) -> None:
    record, network = load_network(pristine)
    _, again = load_network(pristine)
    assert record == read_record(pristine)
    for one, other in zip(network.variables, again.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    assert [path.name for path in sorted(pristine.iterdir())] == ["model.json", "model.weights.h5"]


def test_reading_the_record_needs_no_tensorflow(pristine: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from retinaj.model_folder import read_record;"
        "read_record(Path(sys.argv[1])); assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(pristine)], check=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "other"}, "format: Input should be 'retinaj-model'"),
        ({"format_version": 2}, "format_version"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"class_names": ["disc"]}, "1 class names for 2 classes"),
        ({"normalization": {"kind": "eval"}}, "normalization"),
    ],
)
def test_foreign_record_is_refused(folder: Path, changes: dict[str, object], words: str) -> None:
    change_record(folder, **changes)
    with pytest.raises(RetinaJError, match=words) as error:
        open_model(folder)
    assert "model.json" in str(error.value)


def test_gigantic_network_is_refused(folder: Path) -> None:
    network = json.loads((folder / "model.json").read_text())["network"]
    change_record(folder, network=network | {"pyramid_width": 80_000})
    with pytest.raises(RetinaJError, match="pyramid_width"):
        open_model(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_classes": 10_000, "anchors": {"scales": [1.0] * 9, "aspect_ratios": [1.0] * 9}},
        {"pyramid_width": 512, "head_depth": 8},
    ],
)
def test_a_network_larger_than_its_weights_is_refused_before_it_is_built(
    folder: Path, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retinaj.network.retinanet.build_network", pytest.fail)
    network = json.loads((folder / "model.json").read_text())["network"] | changes
    names = [str(number) for number in range(network["num_classes"])]
    change_record(folder, network=network, class_names=names)
    with pytest.raises(RetinaJError, match=r"model\.weights\.h5 holds .* bytes of weights; the network .* needs at least"):
        open_model(folder)


def test_other_weights_than_named_are_refused(folder: Path) -> None:
    path = folder / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(RetinaJError, match="SHA-256"):
        open_model(folder)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        del file["stem_conv/kernel"]
        file["stem_conv/kernel"] = np.zeros((3, 3, 3, 8), np.float32)
    seal(folder)
    with pytest.raises(RetinaJError, match=r"stem_conv/kernel.*shape"):
        open_model(folder)


@pytest.mark.parametrize("kind", ["external", "soft", "missing", "text"])
def test_weights_that_reach_elsewhere_are_refused(folder: Path, tmp_path: Path, kind: str) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["kernel"] = np.zeros((3, 3, 3, 16), np.float32)
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        del file["stem_conv/kernel"]
        if kind == "external":
            file["stem_conv/kernel"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "kernel")
        elif kind == "soft":
            file["stem_conv/kernel"] = h5py.SoftLink("/stem_norm/gamma")
        elif kind == "text":
            file["stem_conv/kernel"] = "not numbers"
    seal(folder)
    with pytest.raises(RetinaJError, match="stem_conv/kernel"):
        open_model(folder)


def test_pickle_instead_of_weights_is_not_executed(folder: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    (folder / "model.weights.h5").write_bytes(pickle.dumps(Bomb()) + bytes(100_000))  # of no suspicious size
    seal(folder)
    with pytest.raises(RetinaJError, match="not a readable weights file"):
        open_model(folder)
    assert not (tmp_path / "executed").exists()


def test_places_that_are_no_model_say_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "begun" / "training").mkdir(parents=True)
    for name, words in (
        ("nowhere", "does not exist"),
        ("file", "is a file"),
        ("empty", "model.json"),
        ("begun", "--resume"),
    ):
        with pytest.raises(RetinaJError, match=words):
            open_model(tmp_path / name)
