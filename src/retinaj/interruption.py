"""Ctrl-C: a command ends at once, with one line and without a traceback, whatever it is doing."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType

from retinaj.files import anything_written

STATUS = 130
NOTHING_WRITTEN = "Stopped; nothing was written."

_asked = False


def handle_interruptions() -> None:
    """From now on, Ctrl-C and a polite kill (SIGTERM) end the program; call it before the slow imports."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as shells set it for what runs in the background
        signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)


def stopped(interruption: KeyboardInterrupt) -> str:
    """What to tell the user: the interruption's own words, where a command gave it some; nothing where it has told by itself.

    >>> stopped(KeyboardInterrupt("the first three images are done."))
    'Stopped; the first three images are done.'
    """
    if interruption.args:
        return f"Stopped; {interruption.args[0]}"
    if getattr(interruption, "__notes__", None):
        return ""
    return "Stopped; what was finished before is kept." if anything_written() else NOTHING_WRITTEN


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; end the program here where that could be swallowed and nothing can be lost."""
    global _asked
    if _asked:
        _end("Stopped at once.")
    _asked = True
    if not anything_written() and _is_importing(frame):
        _end(NOTHING_WRITTEN)
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported: callbacks of the import system, and libraries, swallow exceptions then."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _end(line: str) -> None:
    with contextlib.suppress(OSError):
        shown = "\r\x1b[K\x1b[?25h" if os.isatty(2) and os.name == "posix" else ""  # a progress bar hides the cursor
        os.write(2, f"{shown}{line}\n".encode())
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os._exit(STATUS)
