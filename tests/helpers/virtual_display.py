"""A display for tests with windows."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def virtual_display() -> Iterator[str]:
    """A display of our own by Xvfb, so that nobody's mouse comes in between; else the one there is."""
    if shutil.which("Xvfb") is None:
        if os.environ.get("DISPLAY"):
            yield os.environ["DISPLAY"]
            return
        pytest.skip("no display: neither Xvfb (Debian's package xvfb) nor DISPLAY is there")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    started = [server]
    try:
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        assert number, "Xvfb did not start"
        if has_window_manager():
            started.append(subprocess.Popen(["openbox"], env=os.environ | {"DISPLAY": f":{number}"}, stderr=subprocess.DEVNULL))
        yield f":{number}"
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def has_window_manager() -> bool:
    """Whether windows get frames and the keyboard as on a desktop."""
    return shutil.which("openbox") is not None
