from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_detector import open_fake

import retinaj_bridge
from retinaj.errors import RetinaJError
from retinaj.prediction.detector import Detector
from retinaj_bridge import MacroOutcome, hosting
from retinaj_bridge.headless_roi_manager import install_headless_roi_manager
from retinaj_bridge.jvm import java_class, private_field
from retinaj_bridge.models import Models
from retinaj_bridge.server import Server

RunMacro = Callable[..., MacroOutcome]
OpenModel = Callable[[Path], Detector]


@pytest.fixture(scope="session")
def running_imagej() -> retinaj_bridge.RunningImageJ:
    """ImageJ without a window, once for the whole test run: a process can start Java once."""
    try:
        return retinaj_bridge.start()
    except RetinaJError as error:
        if "could not be downloaded" not in str(error) or os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def imagej(running_imagej: retinaj_bridge.RunningImageJ) -> Iterator[Callable[[str], Any]]:
    """Java classes by name, in an ImageJ without images, ROIs or results."""
    retinaj_bridge.register()
    install_headless_roi_manager()
    manager = java_class("ij.plugin.frame.RoiManager").getInstance()
    manager.reset()
    private_field("ij.plugin.frame.RoiManager", "showAllCheckbox").get(manager).setState(False)  # a test may have set it
    java_class("ij.measure.ResultsTable").getResultsTable().reset()
    yield java_class
    java_class("ij.WindowManager").setTempCurrentImage(None)
    interpreter = java_class("ij.macro.Interpreter")
    for image_id in list(interpreter.getBatchModeImageIDs()):
        image = interpreter.getBatchModeImage(image_id)
        image.changes = False
        image.close()


@pytest.fixture
def run_macro(imagej: Callable[[str], Any], tmp_path: Path) -> RunMacro:
    """Run the text of a macro: run_macro(code, *args)."""

    def run(code: str, *args: str) -> MacroOutcome:
        path = tmp_path / "macro under test.ijm"
        path.write_text(code, encoding="utf-8")
        return retinaj_bridge.run_macro(path, args)

    return run


@pytest.fixture
def serve(imagej: Callable[[str], Any]) -> Iterator[Callable[[OpenModel], None]]:
    """Let a function open the models for the commands, instead of `retinaj_zoo.open_model`: serve(open_model)."""
    usual, servers = hosting._server, list[Server]()

    def serve(open_model: OpenModel) -> None:
        hosting._server = None
        servers.append(hosting.serve_in_process(Models(open_model=open_model)))

    yield serve
    for server in servers:
        server.close()
    hosting._server = usual
    hosting.serve_in_process()


@pytest.fixture
def models(tmp_path: Path, serve: Callable[[OpenModel], None]) -> Path:
    """A folder with two fake models, "rgb model" and "grey model"."""
    folder = tmp_path / "models [ä]"
    for name in ("rgb model", "grey model"):
        (folder / name).mkdir(parents=True)
        (folder / name / "model.json").write_text("{}")
    serve(open_fake)
    return folder
