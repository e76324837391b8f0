"""`retinaj fiji status` and `doctor`: each thing that can be wrong, and what they say about it."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standalone_imagej import make_fiji
from typer.testing import CliRunner

from retinaj import __version__
from retinaj.cli import app
from retinaj_bridge import client
from retinaj_bridge.fiji import doctor, fiji_checks, python_probe, worker_trial
from retinaj_bridge.fiji.doctor import examine
from retinaj_bridge.fiji.fiji_checks import OLDEST_IMAGEJ
from retinaj_bridge.fiji.findings import Finding, Grade
from retinaj_bridge.fiji.folder import FijiFolder
from retinaj_bridge.fiji.installing import install
from retinaj_bridge.fiji.properties import properties_text
from retinaj_bridge.fiji.status import status
from retinaj_bridge.worker_file import WorkerFile

JAVA = "java.exe" if sys.platform == "win32" else "java"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """RetinaJ's state folder, of this test alone."""
    folder = tmp_path / "state"
    monkeypatch.setenv("RETINAJ_HOME", str(folder))
    return folder


@pytest.fixture
def fiji(tmp_path: Path, home: Path) -> FijiFolder:
    """A sound Fiji with RetinaJ in it."""
    fiji = make_fiji(tmp_path / "Fiji.app")
    install(fiji)
    return fiji


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker is started, and Python is not asked."""

    def answer(_: Path) -> Iterator[Finding]:
        yield from ()

    monkeypatch.setattr(doctor, "try_worker", answer)
    monkeypatch.setattr(doctor, "retinaj_of", lambda _: __version__)


def problems(fiji: FijiFolder) -> dict[str, str]:
    """What the doctor finds wrong, and says to do."""
    return {found.what: f"{found.found} {found.advice}" for found in examine(fiji) if found.grade is Grade.PROBLEM}


def choose_python(fiji: FijiFolder, python: str) -> None:
    (fiji.plugins / "RetinaJ" / "retinaj.properties").write_text(properties_text({"python": python}))


def test_all_is_well(fiji: FijiFolder) -> None:
    """The real thing: Python is asked, the worker starts, finds boxes and ends."""
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["fiji", "doctor", str(fiji.path)])
    assert done.exit_code == 0, done.output
    assert "All 10 things looked at are as they should be" in done.output
    assert "an ONNX model finds its 3 boxes" in done.output
    assert status(fiji).worker == ""  # it was stopped


def test_a_worker_that_runs_is_taken_and_left_running(fiji: FijiFolder, home: Path) -> None:
    with worker_trial.running_worker(Path(sys.executable)) as (running, how):
        assert how.startswith("starts in ")
        assert status(fiji).worker == f"process {running.pid}, version {__version__}"
        found = {finding.what: finding for finding in doctor.try_worker(Path(sys.executable))}
        assert found["Worker"].found == "runs already and answers"
        assert found["Detection"].grade is Grade.GOOD
        assert status(fiji).worker == f"process {running.pid}, version {__version__}"  # it still runs


def test_a_problem_makes_the_exit_status_1(fiji: FijiFolder, idle: None) -> None:
    (fiji.plugins / "RetinaJ" / "RetinaJ_.jar").unlink()
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["fiji", "doctor", str(fiji.path)])
    assert done.exit_code == 1
    assert "It is not whole: RetinaJ_.jar of" in done.output
    assert "1 problem, of 8 things looked at." in done.output


def test_not_installed(tmp_path: Path, home: Path) -> None:
    fiji = make_fiji(tmp_path / "Fiji.app")
    found = problems(fiji)
    assert "RetinaJ is not installed in" in found["Plugin"]
    assert "Fiji does not know which Python has RetinaJ. Run `retinaj fiji install`" in found["Python"]
    assert [finding.grade for finding in examine(fiji)][-2:] == [Grade.UNTRIED, Grade.UNTRIED]
    done = CliRunner().invoke(app, ["fiji", "status", str(fiji.path)])
    assert done.exit_code == 1
    assert "RetinaJ:  not installed" in done.output
    assert "Put it right: retinaj fiji install" in done.output


@pytest.mark.usefixtures("idle")
class TestFiji:
    def test_cannot_be_written_to(self, fiji: FijiFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(**_: object) -> None:
            raise PermissionError(13, "Permission denied", str(fiji.plugins / "RetinaJ" / "x"))

        monkeypatch.setattr("retinaj_bridge.fiji.installing.tempfile.TemporaryFile", refuse)
        assert "cannot be written: Permission denied. If Fiji is running, close it" in problems(fiji)["Fiji"]

    def test_imagej_too_old(self, fiji: FijiFolder) -> None:
        (fiji.path / "jars" / "ij-1.54p.jar").rename(fiji.path / "jars" / "ij-1.51n.jar")
        assert (
            f"Version 1.51n is too old: RetinaJ needs {OLDEST_IMAGEJ} or later. Let Fiji update itself"
            in problems(fiji)["ImageJ"]
        )

    def test_two_imagejs(self, fiji: FijiFolder) -> None:
        (fiji.path / "jars" / "ij-1.53t.jar").touch()
        assert "There are 2 of them: ij-1.53t.jar, ij-1.54p.jar. Keep the newest" in problems(fiji)["ImageJ"]

    @pytest.mark.parametrize(("version", "bad"), [("1.6.0_65", True), ("1.8.0_172", False), ("21.0.7", False)])
    def test_its_java(self, fiji: FijiFolder, version: str, bad: bool) -> None:
        java = fiji.path / "java" / "linux64" / "jdk"
        (java / "bin").mkdir(parents=True)
        (java / "bin" / JAVA).touch()
        (java / "release").write_text(f'JAVA_VERSION="{version}"\n')
        found = problems(fiji)
        assert ("Fiji's Java" in found) == bad
        assert not bad or "is Java 6: RetinaJ needs 8 or later" in found["Fiji's Java"]

    def test_a_java_that_does_not_run(self, fiji: FijiFolder) -> None:
        (fiji.path / "jre" / "bin").mkdir(parents=True)
        (fiji.path / "jre" / "bin" / JAVA).touch()
        assert "jre does not run. Get a new Fiji" in problems(fiji)["Fiji's Java"]

    def test_no_java(self, fiji: FijiFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setattr(fiji_checks.shutil, "which", lambda _: None)
        assert "Fiji brings none, and this computer has none" in problems(fiji)["Fiji's Java"]

    def test_plugin_changed(self, fiji: FijiFolder) -> None:
        (fiji.plugins / "RetinaJ" / "RetinaJ_.jar").write_text("changed")
        (fiji.plugins / "RetinaJ" / "Examples" / "Detect_folder.ijm").write_text("mine, which is all right")
        assert "Somebody has changed RetinaJ_.jar in " in problems(fiji)["Plugin"]

    def test_plugin_of_another_version(self, fiji: FijiFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fiji_checks, "__version__", "9.9")
        assert f"Fiji has version {__version__}, but this Python has 9.9. Run" in problems(fiji)["Plugin"]

    def test_list_of_files_damaged(self, fiji: FijiFolder) -> None:
        (fiji.plugins / "RetinaJ" / "installed.json").write_text("{")
        assert "the list of what RetinaJ has installed, is damaged" in problems(fiji)["Plugin"]

    @pytest.mark.parametrize("place", ["plugins/RetinaJ_.jar", "plugins/Analyze/RetinaJ_-0.0.1.jar", "jars/retinaj.jar"])
    def test_another_installation(self, fiji: FijiFolder, place: str) -> None:
        (fiji.path / place).parent.mkdir(exist_ok=True)
        (fiji.path / place).touch()
        assert f"{place} was not put there by `retinaj fiji install`. Delete it" in problems(fiji)["Leftovers"]

    @pytest.mark.parametrize(
        "name", [".RetinaJ_-ab12cd_3.jar", ".installed-00000000.json", "Examples/.Detect_folder-x1y2z3ab.ijm"]
    )
    def test_an_interrupted_installation(self, fiji: FijiFolder, name: str) -> None:
        (fiji.plugins / "RetinaJ" / name).touch()
        assert "An installation was interrupted and left" in problems(fiji)["Leftovers"]


class TestPython:
    def test_moved_or_deleted(self, fiji: FijiFolder, tmp_path: Path) -> None:
        gone = tmp_path / "Umgebung ü" / "bin" / "python"
        choose_python(fiji, str(gone))
        found = problems(fiji)
        assert f"There is no {gone}: the Python environment was moved or deleted. Run `retinaj fiji install`" in found["Python"]
        done = CliRunner().invoke(app, ["fiji", "status", str(fiji.path)])
        assert done.exit_code == 1
        assert f"{gone} is not there any more" in done.output

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            ("echo \"No module named 'retinaj'\" >&2; exit 1", "does not have a working RetinaJ: No module named 'retinaj'"),
            ("echo hello", "does not have a working RetinaJ: hello"),
            ("exit 3", "does not have a working RetinaJ: it ended with status 3"),
            ("echo RetinaJ 0.0.1", f"has RetinaJ 0.0.1, but this Python has {__version__}"),
            ("sleep 60", "has not answered for 0.2 seconds"),
        ],
    )
    @pytest.mark.skipif(sys.platform == "win32", reason="the script that takes Python's place is one of a shell")
    def test_not_the_python_that_it_was(
        self, fiji: FijiFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
    ) -> None:
        monkeypatch.setattr(python_probe, "_SECONDS", 0.2 if script.startswith("sleep") else 60)
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\n{script}\n".replace("sleep", "exec sleep"))
        python.chmod(0o755)
        choose_python(fiji, str(python))
        assert reason in problems(fiji)["Python"]

    def test_not_a_program(self, fiji: FijiFolder, tmp_path: Path) -> None:
        (tmp_path / "python").touch()
        choose_python(fiji, str(tmp_path / "python"))
        assert "python cannot be run: " in problems(fiji)["Python"]


@pytest.mark.usefixtures("idle")
class TestPlaces:
    @pytest.mark.skipif(sys.platform == "win32", reason="Windows guards the home folder itself")
    def test_others_can_write_to_the_state_folder(self, fiji: FijiFolder, home: Path) -> None:
        home.mkdir()
        home.chmod(0o777)
        assert f"run `chmod 700 {home}`" in problems(fiji)["RetinaJ's folder"]

    def test_the_state_folder_is_a_file(self, fiji: FijiFolder, home: Path) -> None:
        home.touch()
        assert "cannot be made" in problems(fiji)["RetinaJ's folder"]

    def test_disk_full(self, fiji: FijiFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 3 * 1024**2))  # pyright: ignore
        assert "3 MB are free for" in problems(fiji)["Disk space"]


class TestWorker:
    def start(self, folder: Path, script: str) -> Path:
        python = folder / "python"
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        return python

    @pytest.mark.skipif(sys.platform == "win32", reason="the script that takes Python's place is one of a shell")
    def test_it_ends_at_once(self, home: Path, tmp_path: Path) -> None:
        python = self.start(tmp_path, "echo 'one line'; echo 'libGL.so.1: cannot open shared object file.' >&2; exit 1")
        worker, detection = doctor.try_worker(python)
        assert worker.grade is Grade.PROBLEM
        assert worker.found == "The worker ended as it started: libGL.so.1: cannot open shared object file."
        assert detection.grade is Grade.UNTRIED

    @pytest.mark.skipif(sys.platform == "win32", reason="the script that takes Python's place is one of a shell")
    def test_it_never_answers(self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker_trial, "_SECONDS_TO_START", 0.3)
        monkeypatch.setattr(worker_trial, "_SECONDS_TO_STOP", 0.1)
        [worker, _] = doctor.try_worker(self.start(tmp_path, "exec sleep 60"))
        assert "has not begun to answer within" in worker.found

    def test_another_program_on_its_port(self, home: Path, fiji: FijiFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        """As after a crash, when another program has got the port that the worker's file names."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            home.mkdir(mode=0o700, exist_ok=True)
            WorkerFile(server.getsockname()[1], "token", "proof", os.getpid(), __version__).write(home)
            monkeypatch.setattr(client, "_SECONDS_TO_CONNECT", 0.2)
            assert status(fiji).worker == ""

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [({}, "gave 0 others; 3 were expected"), ({"xyxy": bytes(8 * 12)}, "gave 3 others; 3 were expected")],
    )
    def test_it_finds_something_else(self, answer: dict[str, bytes], reason: str) -> None:
        class Wrong:
            call: Callable[..., dict[str, bytes]] = staticmethod(lambda *_: answer)

        with pytest.raises(Exception, match=reason):
            worker_trial.try_detection(Wrong())  # pyright: ignore
