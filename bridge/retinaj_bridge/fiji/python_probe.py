"""Asking the Python that Fiji shall start whether it still has RetinaJ."""

from __future__ import annotations

import subprocess
from pathlib import Path

from retinaj.errors import RetinaJError

_SECONDS = 120
# -P: nothing is imported from the current folder, as when Fiji starts it.
_OPTIONS = ("-P", "-X", "utf8")
_QUESTION = "import retinaj, retinaj_bridge.worker; print('RetinaJ', retinaj.__version__)"
_REMEDY = "Run `retinaj fiji install` in the Python environment that has RetinaJ, and restart Fiji."


def retinaj_of(python: Path) -> str:
    """The version of RetinaJ that an interpreter has.

    Raises:
        RetinaJError: if there is no such program, it does not run, or it has no RetinaJ.
    """
    if not python.is_file():
        raise RetinaJError(f"There is no {python}: the Python environment was moved or deleted. {_REMEDY}")
    try:
        done = subprocess.run(
            [str(python), *_OPTIONS, "-c", _QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RetinaJError(f"{python} has not answered for {_SECONDS} seconds. {_REMEDY}") from error
    except OSError as error:
        raise RetinaJError(f"{python} cannot be run: {error.strerror}. {_REMEDY}") from error
    last = done.stdout.strip().rpartition("\n")[2]
    if done.returncode or not last.startswith("RetinaJ "):
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"it ended with status {done.returncode}"]
        raise RetinaJError(f"{python} does not have a working RetinaJ: {lines[-1][:300].rstrip('.')}. {_REMEDY}")
    return last.removeprefix("RetinaJ ")
