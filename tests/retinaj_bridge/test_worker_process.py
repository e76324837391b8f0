"""The worker as a process: it is found, there is one of it, and it goes when it is not needed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_packages import boxes_in_rows, write_small_package
from worker_client import SECONDS, WorkerProcesses, serving, wait_until

from retinaj import __version__
from retinaj.errors import RetinaJError
from retinaj.locking import locked
from retinaj_bridge import worker
from retinaj_bridge.client import NoWorkerError
from retinaj_bridge.private_folder import private_folder, read_private, write_private
from retinaj_bridge.worker_file import NAME, WorkerFile, read_worker_file

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights of files")
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home of Ä [1]" / ".retinaj"
    monkeypatch.setenv("RETINAJ_HOME", str(folder))
    return folder


@pytest.fixture
def workers(home: Path) -> Iterator[WorkerProcesses]:
    processes = WorkerProcesses(home)
    yield processes
    processes.end()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestLife:
    def test_it_is_found_serves_and_ends_when_told(self, workers: WorkerProcesses, home: Path) -> None:
        process, client = workers.start()
        file = read_worker_file(home)
        assert file is not None
        with client:
            assert (client.pid, client.version) == (process.pid, __version__)
            with pytest.raises(RetinaJError, match="does not exist; expected a model folder"):
                client.call("open", {"model": str(home / "none")})
            if os.name == "posix":
                assert (mode(home), mode(home / NAME)) == (0o700, 0o600)
            # A second one finds it, and goes.
            second = workers.begin()
            assert second.wait(SECONDS) == 0
            assert read_worker_file(home) == file
            if sys.platform.startswith("linux"):
                proc = Path("/proc") / str(process.pid)
                assert file.token.encode() not in (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
                assert os.getsid(process.pid) == process.pid  # closing Fiji's terminal does not end it
            client.call("stop", {})
        assert process.wait(SECONDS) == 0
        assert not (home / NAME).exists()
        said = process.communicate()[0] + second.communicate()[0]
        assert said == ""

    def test_it_ends_when_idle(self, workers: WorkerProcesses, home: Path) -> None:
        process = workers.begin("--idle-minutes", "0.005")
        assert process.wait(SECONDS) == 0
        assert not (home / NAME).exists()

    @posix
    def test_it_is_ended_politely(self, workers: WorkerProcesses, home: Path) -> None:
        process, client = workers.start()
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        assert not (home / NAME).exists()
        with pytest.raises(NoWorkerError):
            client.call("recent", {})

    def test_killed_ones_are_replaced(self, workers: WorkerProcesses, home: Path) -> None:
        process, client = workers.start()
        process.kill()
        process.wait(SECONDS)
        with pytest.raises(NoWorkerError):
            client.call("recent", {})
        assert (home / NAME).exists()
        second, client = workers.start()
        assert client.pid == second.pid

    def test_two_at_once_end_up_as_one(self, workers: WorkerProcesses, home: Path) -> None:
        both = [workers.begin(), workers.begin()]
        wait_until(lambda: any(each.poll() is not None for each in both))
        ended, alive = sorted(both, key=lambda each: each.poll() is None)
        assert ended.poll() == 0
        assert alive.poll() is None
        with workers.client() as client:
            assert client.pid == alive.pid

    def test_one_of_another_version_is_told_to_stop(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[str] = []
        with serving({"stop": lambda fields, call: told.append("stop") or {}}) as old:
            private_folder()
            WorkerFile(old.port, old.token, old.proof, 1, __version__).write(home)
            monkeypatch.setattr(worker, "__version__", "99.0")
            assert not worker._runs_already(home)
        assert told == ["stop"]

    def test_of_this_version_it_is_left_alone(self, home: Path) -> None:
        with serving({}) as first:
            private_folder()
            WorkerFile(first.port, first.token, first.proof, 1, __version__).write(home)
            assert worker._runs_already(home)

    def test_a_wrong_option(self, workers: WorkerProcesses) -> None:
        process = workers.begin("--idle-minutes", "nan")
        assert process.wait(SECONDS) == 2
        assert "nan is not a number of minutes above 0" in process.communicate()[0]

    def test_the_log_is_bounded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker, "_MOST_LOG_BYTES", 100)
        log = tmp_path / "log"
        saved = os.dup(1)
        with log.open("ab") as stream:
            os.dup2(stream.fileno(), 1)
            try:
                os.write(1, b"x" * 100)
                worker._bound_log()
                assert log.stat().st_size == 100
                os.write(1, b"x")
                worker._bound_log()
                os.write(1, b"after")
            finally:
                os.dup2(saved, 1)
                os.close(saved)
        assert log.read_bytes() == b"after"


class TestFile:
    FILE = WorkerFile(1234, "token", "proof", 77, "1.2")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "port=1\n",
            "port=0\ntoken=a\nproof=b\npid=1\nversion=1\n",
            "port=65536\ntoken=a\nproof=b\npid=1\nversion=1\n",
            "port=-5\ntoken=a\nproof=b\npid=1\nversion=1\n",
            "port=12\ntoken=\nproof=b\npid=1\nversion=1\n",
            "port=12\ntoken=a\nproof=\npid=1\nversion=1\n",
            "port=12\ntoken=a\nproof=b\npid=x\nversion=1\n",
            "port=١٢\ntoken=a\nproof=b\npid=1\nversion=1\n",
            "x" * 20_000,
        ],
    )
    def test_anything_else_is_no_file_of_ours(self, home: Path, text: str) -> None:
        write_private(private_folder() / NAME, text)
        assert read_worker_file(home) is None

    def test_read_and_removed(self, home: Path) -> None:
        self.FILE.write(private_folder())
        assert read_worker_file(home) == self.FILE
        WorkerFile(1234, "other", "proof", 77, "1.2").remove(home)
        assert (home / NAME).exists()
        self.FILE.remove(home)
        assert list(home.iterdir()) == []
        self.FILE.remove(home)

    @posix
    def test_a_link_in_its_place_leads_nowhere(self, home: Path, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        victim.write_text("port=1\ntoken=a\nproof=b\npid=1\nversion=1\n")
        before = victim.read_text()
        (private_folder() / NAME).symlink_to(victim)
        assert read_worker_file(home) is None
        self.FILE.write(home)
        assert victim.read_text() == before
        assert not (home / NAME).is_symlink()
        assert mode(home / NAME) == 0o600

    @posix
    def test_a_link_where_it_is_written_leads_nowhere(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("secrets.token_hex", lambda size: "guessed")
        (tmp_path / "victim").write_text("kept")
        (private_folder() / f".{NAME}-guessed").symlink_to(tmp_path / "victim")
        with pytest.raises(OSError, match="exists"):
            self.FILE.write(home)
        assert (tmp_path / "victim").read_text() == "kept"

    @posix
    def test_a_link_in_the_place_of_the_lock(self, home: Path, tmp_path: Path) -> None:
        (private_folder() / "worker.lock").symlink_to(tmp_path / "victim")
        assert worker.main([]) == 1
        assert not (tmp_path / "victim").exists()

    @posix
    def test_a_pipe_in_its_place_does_not_hang(self, home: Path) -> None:
        os.mkfifo(private_folder() / NAME)
        assert read_worker_file(home) is None

    @posix
    @as_root
    def test_of_another_user_it_is_not_read(self, home: Path) -> None:
        self.FILE.write(private_folder())
        os.chown(home / NAME, 12345, 12345)
        assert read_worker_file(home) is None

    def test_a_full_disk_leaves_the_old_one(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.FILE.write(private_folder())
        full = OSError(28, "No space left on device")
        monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(full))
        with pytest.raises(OSError, match="No space left") as raised:
            WorkerFile(1, "a", "b", 2, "3").write(home)
        assert raised.value.filename == str(home / NAME)
        assert [path.name for path in home.iterdir()] == [NAME]
        assert read_worker_file(home) == self.FILE

    def test_a_full_disk_is_said(self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        def fail(folder: Path, *, idle_seconds: float) -> None:
            raise OSError(28, "No space left on device", str(folder / NAME))

        monkeypatch.setattr(worker, "run_worker", fail)
        monkeypatch.delattr(os, "setsid", raising=False)
        assert worker.main([]) == 1
        assert capsys.readouterr().err == f"RetinaJ's worker cannot write {home / NAME}: No space left on device.\n"


class TestFolder:
    def test_made_private(self, home: Path) -> None:
        assert private_folder() == home
        if os.name == "posix":
            assert mode(home) == 0o700
        assert private_folder() == home

    @posix
    def test_a_link_of_ones_own_will_do(self, home: Path, tmp_path: Path) -> None:
        home.parent.mkdir()
        (tmp_path / "large disk").mkdir()
        home.symlink_to(tmp_path / "large disk")
        write_private(private_folder() / NAME, "x")
        assert (tmp_path / "large disk" / NAME).read_text() == "x"

    @posix
    @pytest.mark.parametrize("rights", [0o777, 0o770, 0o720, 0o1777])
    def test_others_may_not_write_to_it(self, home: Path, rights: int) -> None:
        home.mkdir(parents=True)
        home.chmod(rights)
        with pytest.raises(RetinaJError, match=r"Other users of this computer can write to .*chmod 700"):
            private_folder()
        assert mode(home) == rights

    @posix
    @as_root
    def test_it_may_not_be_another_users(self, home: Path, tmp_path: Path) -> None:
        theirs = tmp_path / "theirs"
        theirs.mkdir()
        os.chown(theirs, 12345, 12345)
        home.parent.mkdir()
        home.symlink_to(theirs)
        with pytest.raises(RetinaJError, match="belongs to another user"):
            private_folder()
        home.unlink()
        home.symlink_to(tmp_path)
        os.chown(home, 12345, 12345, follow_symlinks=False)
        with pytest.raises(RetinaJError, match="belongs to another user"):
            private_folder()

    def test_a_file_in_its_place(self, home: Path) -> None:
        home.parent.mkdir()
        home.write_text("")
        with pytest.raises(RetinaJError, match=r"cannot be made: .*RETINAJ_HOME"):
            private_folder()

    def test_large_files_are_not_read(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("x" * 11)
        assert read_private(tmp_path / "a", 10) is None
        assert read_private(tmp_path / "a", 11) == "x" * 11
        assert read_private(tmp_path / "none", 11) is None
        (tmp_path / "b").write_bytes(b"\xff")
        assert read_private(tmp_path / "b", 11) is None


def test_a_lock_is_waited_for_and_told(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, seconds=1, busy="busy"):
        begun = time.monotonic()
        with pytest.raises(RetinaJError, match="busy"), locked(path, seconds=0.2, busy="busy"):
            pass
        assert time.monotonic() - begun >= 0.2
    with locked(path, seconds=0, busy="busy"):
        pass


def test_a_package_is_searched_without_tensorflow_or_java(home: Path, tmp_path: Path) -> None:
    package = write_small_package(tmp_path / "a [ä] package.zip", boxes_in_rows(3, 40))
    code = f"""
        import sys, threading, time
        from pathlib import Path
        from retinaj_bridge import worker
        from retinaj_bridge.client import connect_to_running

        def call():
            while (client := connect_to_running(Path({str(home)!r}))) is None:
                time.sleep(0.01)
            pixels = bytes([255] * 2400)
            fields = dict(model={str(package)!r}, threshold="0.5", type="uint8", shape="40,60", pixels=pixels)
            print("boxes", len(client.call("detect", fields)["score"]) // 8)
            client.call("stop", {{}})

        threading.Thread(target=call, daemon=True).start()
        assert worker.main([]) == 0
        heavy = ("tensorflow", "keras", "jpype", "scyjava", "imagej", "matplotlib", "scipy", "bioimageio.core", "dask.array")
        print([name for name in heavy if name in sys.modules])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.splitlines() == ["boxes 3", "[]"], done.stderr
