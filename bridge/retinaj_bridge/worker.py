"""The worker as a process of its own, which Fiji starts when it needs one: `python -m retinaj_bridge.worker`.

It serves every Fiji of its user, and ends when it has had nothing to do for a while, or when told.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from types import FrameType

from retinaj import __version__
from retinaj.errors import RetinaJError
from retinaj.locking import locked
from retinaj_bridge.client import NoWorkerError, connect_to_running
from retinaj_bridge.private_folder import private_folder
from retinaj_bridge.worker_file import WorkerFile, read_worker_file

IDLE_MINUTES = 15.0
# Another one may be starting meanwhile, on a computer whose disk is slow.
_SECONDS_FOR_ANOTHER = 60.0
_BUSY = (
    "Another worker of RetinaJ has been starting for a minute without coming to an end: end it (a process "
    "python -m retinaj_bridge.worker), or start the computer anew."
)
_SECONDS_BETWEEN_LOOKS = 1.0
# How long one lives on that nobody finds any more, because its file is gone or another's.
_SECONDS_UNFINDABLE = 60.0
_MOST_LOG_BYTES = 1_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker until it is idle or told to stop. Its exit status: 0, also if one runs already, or 1 with a sentence why."""
    parser = argparse.ArgumentParser(prog="python -m retinaj_bridge.worker", description=__doc__)
    parser.add_argument(
        "--idle-minutes", type=_minutes, default=IDLE_MINUTES, help="end after so long without work (default: %(default)g)"
    )
    idle_minutes: float = parser.parse_args(arguments).idle_minutes
    if hasattr(os, "setsid"):
        # A session of its own: closing the terminal that Fiji was started from does not end it, nor Ctrl-C there.
        with contextlib.suppress(OSError):
            os.setsid()
    try:
        run_worker(private_folder(), idle_seconds=60 * idle_minutes)
    except (RetinaJError, OSError) as error:
        print(_sentence(error), file=sys.stderr, flush=True)
        return 1
    return 0


def run_worker(folder: Path, *, idle_seconds: float) -> None:
    """Serve until idle or told to stop; return at once if another worker of this version does already.

    Args:
        folder: where Fiji looks for the worker's file.
        idle_seconds: end after so long without a call.

    Raises:
        RetinaJError: if another worker is starting and does not come to an end with it.
        OSError: if the file cannot be written.
    """
    told = threading.Event()
    with locked(folder / "worker.lock", seconds=_SECONDS_FOR_ANOTHER, busy=_BUSY):
        if _runs_already(folder):
            return
        # Imported here: what takes a second to import is not needed to find that another one runs.
        from retinaj_bridge.models import Models
        from retinaj_bridge.server import Answer, Call, Server
        from retinaj_bridge.verbs import all_verbs
        from retinaj_bridge.wire import Fields

        def stop(fields: Fields, call: Call) -> Answer:
            told.set()
            return {}

        server = Server({**all_verbs(Models()), "stop": stop})
        server.start()
        file = WorkerFile(server.port, server.token, server.proof, os.getpid(), __version__)
        file.write(folder)
    with _removed_at_the_end(file, folder):
        while not told.wait(min(_SECONDS_BETWEEN_LOOKS, idle_seconds / 4)):
            _bound_log()
            findable = read_worker_file(folder) == file
            if server.seconds_idle() > (idle_seconds if findable else min(idle_seconds, _SECONDS_UNFINDABLE)):
                break
    server.close()
    while not server.seconds_idle():  # what was begun is finished
        time.sleep(_SECONDS_BETWEEN_LOOKS / 10)


def _runs_already(folder: Path) -> bool:
    """Whether a worker of this version lives. One of another version is told to stop: Fiji's commands want this one."""
    try:
        client = connect_to_running(folder)
        if client is None:
            return False
        with client:
            if client.version == __version__:
                return True
            client.call("stop", {})
    except (NoWorkerError, RetinaJError):
        return False
    return False


@contextlib.contextmanager
def _removed_at_the_end(file: WorkerFile, folder: Path) -> Generator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        file.remove(folder)
        os._exit(0)  # in the middle of what it does: who waits for it is told by the connection

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            file.remove(folder)


def _bound_log() -> None:
    """Empty the log, which Fiji lets the standard output go to, when it has grown large."""
    with contextlib.suppress(OSError, ValueError):
        found = os.fstat(1)
        if stat.S_ISREG(found.st_mode) and found.st_size > _MOST_LOG_BYTES:
            os.ftruncate(1, 0)


def _sentence(error: Exception) -> str:
    """On one line: Fiji shows the last line of the log."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        text = f"RetinaJ's worker cannot write {error.filename or 'its file'}: {error.strerror}."
    return text


def _minutes(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a number of minutes above 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
