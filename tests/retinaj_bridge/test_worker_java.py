"""What Fiji does about the worker: it finds it, starts it, loses it, and says what to do. By the plugin's own Java."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from java_client import JavaClient, compile_client, said
from small_packages import boxes_in_rows, write_small_package
from worker_client import SECONDS, WorkerProcesses, serving, wait_until

from retinaj import __version__
from retinaj.errors import RetinaJError
from retinaj_bridge.client import connect_to_running
from retinaj_bridge.private_folder import private_folder
from retinaj_bridge.wire import MAGIC, message
from retinaj_bridge.worker_file import NAME, WorkerFile, read_worker_file

REINSTALL = "Run `retinaj fiji install` again in the Python environment that has RetinaJ, and restart Fiji."
posix = pytest.mark.skipif(os.name != "posix", reason="stands in for Python by a shell script")


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> JavaClient:
    try:
        return compile_client(tmp_path_factory.mktemp("probe"))
    except RetinaJError as error:
        if "could not be had" not in str(error) or os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "Zoë's home [1]" / ".retinaj"
    monkeypatch.setenv("RETINAJ_HOME", str(folder))
    folder.parent.mkdir()
    return folder


@pytest.fixture
def fiji(home: Path) -> Iterator[dict[str, str]]:
    """The system properties of a Fiji; the worker that it starts ends with the test."""
    yield {"retinaj_home": str(home), "retinaj_python": sys.executable, "retinaj_worker_idleMinutes": "1"}
    WorkerProcesses(home).end()


def pid(home: Path) -> int:
    found = read_worker_file(home)
    assert found is not None
    return found.pid


def test_started_found_killed_and_started_again(java: JavaClient, home: Path, fiji: dict[str, str], tmp_path: Path) -> None:
    boxes = boxes_in_rows(1000, 60)
    package = write_small_package(tmp_path / "a 'package' [ä] (1).zip", boxes)
    (tmp_path / "pixels").write_bytes(bytes([255] * 2400))
    request = ("detect", f"model={package}", "threshold=0.1", "type=uint8", "shape=40,60", f"pixels@{tmp_path / 'pixels'}")
    found = int((boxes[:, 1] < 40).sum())  # the others lie below the image
    assert 0 < found < 1000
    expected = ["name=Small package", "classes.0=even", "full=0", f"boxes {found}"]
    assert java.call(*request, **fiji) == expected
    first = pid(home)
    # Fiji has closed, and the worker serves the next one.
    assert java.call(*request, **fiji) == expected
    assert java.call("recent", **fiji) == [f"models.0={package}", "boxes 0"]
    assert pid(home) == first
    # As after the computer was started anew: the file is there, the worker is not.
    os.kill(first, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    assert java.call(*request, **fiji) == expected
    assert pid(home) != first
    token = read_worker_file(home)
    assert token is not None
    assert token.token not in (home / "worker.log").read_text()
    if os.name == "posix":
        assert [path.stat().st_mode & 0o77 for path in (home, *home.iterdir())] == [0] * 5


def test_two_fijis_at_once(java: JavaClient, home: Path, fiji: dict[str, str]) -> None:
    both = [java.begin("recent", **fiji) for _ in range(2)]
    assert [said(each) for each in both] == [["boxes 0"]] * 2
    if sys.platform.startswith("linux"):
        marker = f"RETINAJ_HOME={home}".encode()
        alive = [path for path in Path("/proc").glob("[0-9]*/environ") if _is_worker(path, marker)]
        assert [int(path.parent.name) for path in alive] == [pid(home)]


def _is_worker(environ: Path, marker: bytes) -> bool:
    try:
        command = (environ.parent / "cmdline").read_bytes()
        return b"retinaj_bridge.worker" in command and marker in environ.read_bytes().split(b"\0")
    except OSError:  # it has ended, or is another user's
        return False


def test_one_of_another_version_is_replaced(java: JavaClient, home: Path, fiji: dict[str, str]) -> None:
    with serving({}) as old:
        private_folder()
        WorkerFile(old.port, old.token, old.proof, 1, "0.0.1").write(home)
        assert java.call("recent", **fiji) == ["boxes 0"]
        found = read_worker_file(home)
        assert found is not None
        assert (found.port == old.port, found.version) == (False, __version__)
        # And a plugin of another version than that Python's is told so. It reads its version from the class path.
        (home.parent / "retinaj").mkdir()
        (home.parent / "retinaj" / "build.properties").write_text("version=9.9.9\nthreshold=0.4\n")
        other = dataclasses.replace(java, class_path=str(home.parent) + os.pathsep + java.class_path)
        assert other.call("recent", **fiji) == [
            f"failed: Fiji has RetinaJ's commands of version 9.9.9, but Python has version {__version__}: run "
            "`retinaj fiji install` again, and restart Fiji."
        ]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
        MAGIC + struct.pack(">iiii", 2**31 - 1, 1, 2**31 - 20, 0),
        message({"kind": "result", "proof": "0" * 64, "version": __version__}),
    ],
    ids=["HTTP", "nothing", "two gigabytes", "another worker"],
)
def test_another_program_has_got_its_port(java: JavaClient, home: Path, fiji: dict[str, str], answer: bytes) -> None:
    """As after the computer was started anew."""
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            while True:
                connection, _ = other.accept()
                with connection:
                    connection.recv(10_000)
                    connection.sendall(answer)

        threading.Thread(target=_ignoring_the_end, args=(serve,), daemon=True).start()
        private_folder()
        WorkerFile(other.getsockname()[1], "token", "proof", 1, __version__).write(home)
        assert connect_to_running(home) is None
        (said,) = java.call("recent", **{**fiji, "retinaj_python": "/nowhere/python"})
        assert "there is no /nowhere/python" in said  # it went on to start one


def _ignoring_the_end(serve: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):
        serve()


class TestNoPython:
    def test_moved_or_deleted(self, java: JavaClient, home: Path, fiji: dict[str, str], tmp_path: Path) -> None:
        gone = tmp_path / "gone" / "bin" / "python"
        assert java.call("recent", **{**fiji, "retinaj_python": str(gone)}) == [
            f"failed: The Python environment of RetinaJ was moved or deleted: there is no {gone}. {REINSTALL}"
        ]

    def test_never_said(self, java: JavaClient, home: Path) -> None:
        (said,) = java.call("recent", retinaj_home=str(home))
        assert said.startswith("failed: RetinaJ's plugin does not know which Python has RetinaJ. Install it by the command")

    @posix
    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            (
                "echo 'python: No module named retinaj_bridge' >&2; exit 1",
                f"The Python environment of RetinaJ was changed: python: No module named retinaj_bridge. {REINSTALL}",
            ),
            (
                "echo first; echo; echo 'the last line.'; echo; exit 3",
                "RetinaJ's worker did not start: the last line. The",
            ),
            ("exit 4", "RetinaJ's worker ended as it started, with status 4. Run `retinaj fiji doctor`."),
            ("kill -9 $$", "RetinaJ's worker ended as it started, with status 137."),
        ],
    )
    def test_broken(self, java: JavaClient, fiji: dict[str, str], tmp_path: Path, script: str, reason: str) -> None:
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        (said,) = java.call("recent", **{**fiji, "retinaj_python": str(python)})
        assert said.startswith(f"failed: {reason}")

    @posix
    def test_escape_while_it_starts(self, java: JavaClient, fiji: dict[str, str], tmp_path: Path) -> None:
        python = tmp_path / "python"
        python.write_text("#!/bin/sh\nexec sleep 3\n")
        python.chmod(0o755)
        call = java.begin("recent", **{**fiji, "retinaj_python": str(python)}, cancelAfter="300")
        assert call.communicate(timeout=SECONDS)[0].splitlines() == ["progress -1.0 starting Python", "canceled"]

    def test_no_place_for_its_file(self, java: JavaClient, home: Path, fiji: dict[str, str]) -> None:
        home.write_text("a file")
        (said,) = java.call("recent", **fiji)
        assert said.startswith(f"failed: RetinaJ's folder {home} cannot be written to: ")
        assert said.endswith("let the environment variable RETINAJ_HOME name another folder, and restart Fiji.")

    @posix
    def test_a_folder_open_to_others(self, java: JavaClient, home: Path, fiji: dict[str, str]) -> None:
        home.mkdir()
        home.chmod(0o777)
        (said,) = java.call("recent", **fiji)
        assert said.startswith(
            "failed: RetinaJ's worker did not start: Other users of this computer can write to RetinaJ's folder"
        )

    @posix
    def test_a_file_open_to_others_is_not_believed(self, java: JavaClient, home: Path, fiji: dict[str, str]) -> None:
        with serving({}) as trap:
            private_folder()
            WorkerFile(trap.port, trap.token, trap.proof, 1, __version__).write(home)
            (home / NAME).chmod(0o666)
            (said,) = java.call("recent", **{**fiji, "retinaj_python": "/nowhere/python"})
            assert "there is no /nowhere/python" in said


SLOW = """
    import sys, time
    from retinaj_bridge import verbs, worker
    from retinaj_bridge.server import CallCanceledError

    def slow(fields, call):
        try:
            while True:
                call.report(0.25, "tile 1 of 4")
                time.sleep(0.02)
        except CallCanceledError:
            print("canceled", flush=True)
            raise

    verbs.all_verbs = lambda models: {"slow": slow}
    sys.exit(worker.main([]))
"""


@pytest.fixture
def slow(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker with the verb `slow`, which goes on until it is canceled."""
    command = [sys.executable, "-c", textwrap.dedent(SLOW)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_until(lambda: process.poll() is not None or read_worker_file(home) is not None)
    yield process
    process.kill()
    process.communicate()


class TestInTheMiddle:
    def test_canceled_and_killed(self, java: JavaClient, home: Path, fiji: dict[str, str], slow: subprocess.Popen[str]) -> None:
        assert java.call("slow", **fiji, cancelAfter="400") == ["canceled"]
        assert slow.stdout is not None
        assert slow.stdout.readline() == "canceled\n"
        call = java.begin("slow", **fiji)
        assert call.stdout is not None
        assert call.stdout.readline() == "progress 0.25 tile 1 of 4\n"
        slow.kill()
        assert said(call)[-1] == "failed: RetinaJ's worker ended in the middle of its work. Run the command again."
        assert java.call("recent", **fiji) == ["boxes 0"]  # another one
        assert pid(home) != slow.pid

    @posix
    def test_asked_to_stop_it_finishes_first(
        self, java: JavaClient, home: Path, fiji: dict[str, str], slow: subprocess.Popen[str]
    ) -> None:
        call = java.begin("slow", **fiji, cancelAfter="1500")
        assert call.stdout is not None
        call.stdout.readline()
        assert java.call("stop", **fiji) == ["boxes 0"]
        wait_until(lambda: not (home / NAME).exists())
        assert slow.poll() is None
        assert said(call)[-1] == "canceled"
        assert slow.wait(SECONDS) == 0
