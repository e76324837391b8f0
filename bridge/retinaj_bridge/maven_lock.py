"""One process at a time that has jgo prepare jars: it makes their folder anew each time, also under a Java that just starts."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from retinaj.locking import locked
from retinaj.user_folders import cache_folder

# A first start downloads, on a slow line.
_SECONDS = 600.0


@contextlib.contextmanager
def maven_lock() -> Generator[None]:
    """Hold it while jars are prepared, and until Java has opened them.

    Raises:
        RetinaJError: if another process holds it for ten minutes.
    """
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    busy = "Another process of RetinaJ has been preparing ImageJ for ten minutes: end it, or start the computer anew."
    with locked(folder / "jars.lock", seconds=_SECONDS, busy=busy):
        yield
