"""A display of our own by Xvfb, so that nobody's mouse comes in between."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager


def has_virtual_display() -> bool:
    """Whether Xvfb (Debian's package xvfb) is there."""
    return shutil.which("Xvfb") is not None


@contextmanager
def virtual_display(size: str = "1280x800", *, window_manager: bool = True) -> Generator[str]:
    """Start a display, and openbox on it where that is there; yields its name, such as ":99"."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
    started = [subprocess.Popen(command, pass_fds=(write,), stderr=subprocess.DEVNULL)]
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise RuntimeError("Xvfb did not start")
        if window_manager and shutil.which("openbox"):
            environment = os.environ | {"DISPLAY": f":{number}"}
            started.append(subprocess.Popen(["openbox"], env=environment, stderr=subprocess.DEVNULL))
        yield f":{number}"
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()
