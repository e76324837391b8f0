from __future__ import annotations

import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tiny_models import Packaged, write_tiny_model

from retinaj.model_folder import load_network
from retinaj.prediction import open_model as open_model_folder
from retinaj.prediction.detector import Detector
from retinaj.prediction.keras_runtime import KerasRuntime
from retinaj_zoo.checking import CheckResult
from retinaj_zoo.metadata import Metadata, Person
from retinaj_zoo.packaging import package_model


def _pack(folder: Path, model: Path) -> Packaged:
    lines: list[str] = []
    metadata = Metadata(authors=(Person(name="The test suite"),))
    summary = package_model(model, folder / "package.zip", metadata=metadata, log=lines.append)
    with zipfile.ZipFile(summary.path) as archive:
        archive.extractall(folder / "unpacked")
    return Packaged(model, summary.path, folder / "unpacked", summary, tuple(lines))


@pytest.fixture(scope="session")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """An 8-bit RGB model, packaged and tested by bioimageio.core as for a user."""
    folder = tmp_path_factory.mktemp("rgb")
    return _pack(folder, write_tiny_model(folder / "model"))


@pytest.fixture(scope="session")
def grey16(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """A 16-bit grey model, packaged; bioimageio.core's long test is left to the other one."""
    folder = tmp_path_factory.mktemp("grey16")
    model = write_tiny_model(folder / "model", channels=1, pixel_type="uint16", seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retinaj_zoo.finishing.check_package", lambda package: CheckResult(0, 0.0, ()))
        return _pack(folder, model)


@pytest.fixture(params=["rgb", "grey16"])
def packaged(request: pytest.FixtureRequest) -> Packaged:
    """Either of the two."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def opened() -> Callable[[Path], Detector]:
    """Model folders on TensorFlow, each opened once: TensorFlow takes seconds to trace a graph."""
    return cache(open_model_folder)


@pytest.fixture(scope="session")
def cached_network() -> dict[str, Callable[..., object]]:
    """What packaging loads a model with, but each model once."""
    return {"load_network": cache(load_network), "KerasRuntime": cache(KerasRuntime)}


@pytest.fixture
def quick_export(monkeypatch: pytest.MonkeyPatch, cached_network: dict[str, Callable[..., object]]) -> Callable[[], None]:
    """Weights that cost no time, and no test of them: for what happens around the export."""

    def replace() -> None:
        for name in ("write_keras", "write_onnx", "write_saved_model"):
            monkeypatch.setattr(f"retinaj_zoo.packaging.{name}", lambda *arguments: arguments[-1].write_bytes(b"weights"))
        monkeypatch.setattr("retinaj_zoo.finishing.check_package", lambda package: CheckResult(1, 0.0, ()))
        for name, cached in cached_network.items():
            monkeypatch.setattr(f"retinaj_zoo.packaging.{name}", cached)

    return replace
