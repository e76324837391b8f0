"""A lock between processes."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Generator
from pathlib import Path

from retinaj.errors import RetinaJError

_SECONDS_BETWEEN_TRIES = 0.05


@contextlib.contextmanager
def locked(path: Path, *, seconds: float, busy: str) -> Generator[None]:
    """Hold the lock that the file `path` stands for. The system releases it however the process ends.

    Args:
        path: made if it is not there; its content does not matter.
        seconds: how long to wait for another process.
        busy: what the user is told if that was not enough.

    Raises:
        RetinaJError: if another process holds it for longer.
        OSError: if the file cannot be made.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        until = time.monotonic() + seconds
        while not _try_lock(handle):
            if time.monotonic() > until:
                raise RetinaJError(busy)
            time.sleep(_SECONDS_BETWEEN_TRIES)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a network disk without locks: two workers then, of which the later is found
    return True
