"""Going through all that can be wrong with RetinaJ in a Fiji."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from retinaj import __version__
from retinaj.errors import RetinaJError
from retinaj.user_folders import state_folder
from retinaj_bridge.fiji.fiji_checks import check_folder, check_imagej, check_java, check_leftovers, check_plugin
from retinaj_bridge.fiji.findings import Finding, Grade, good, problem, untried
from retinaj_bridge.fiji.folder import FijiFolder
from retinaj_bridge.fiji.python_probe import retinaj_of
from retinaj_bridge.fiji.status import chosen_python
from retinaj_bridge.fiji.worker_trial import running_worker, try_detection
from retinaj_bridge.private_folder import private_folder

# Models, logs and results in the making need some.
_LEAST_FREE_BYTES = 500 * 1024**2
_INSTALL = "Run `retinaj fiji install` in the Python environment that has RetinaJ, and restart Fiji."

_OF_FIJI: dict[str, Callable[[FijiFolder], Finding]] = {
    "Fiji": check_folder,
    "ImageJ": check_imagej,
    "Fiji's Java": check_java,
    "Plugin": check_plugin,
    "Leftovers": check_leftovers,
}


def examine(fiji: FijiFolder) -> Iterator[Finding]:
    """Look at everything, one finding at a time: the folder of Fiji, the Python that it starts, the worker.

    A worker is started for real if none runs, and given an image to search.
    """
    for what, check in _OF_FIJI.items():
        yield _guarded(what, lambda check=check: check(fiji))
    python = chosen_python(fiji)
    asked = _guarded("Python", lambda: check_python(python))
    yield asked
    home = _guarded("RetinaJ's folder", check_state_folder)
    yield home
    yield _guarded("Disk space", check_disk_space)
    if python is None or Grade.PROBLEM in (asked.grade, home.grade):
        yield untried("Worker", "It needs what is wrong above.")
        yield untried("Detection", "It needs what is wrong above.")
    else:
        yield from try_worker(python)


def check_python(python: Path | None) -> Finding:
    """Whether the interpreter that Fiji starts is there and has this version of RetinaJ."""
    if python is None:
        return problem("Python", "Fiji does not know which Python has RetinaJ.", _INSTALL)
    version = retinaj_of(python)
    if version != __version__:
        found = f"{python} has RetinaJ {version}, but this Python has {__version__}."
        return problem("Python", found, "Run `retinaj fiji install` in the environment that you want to use, and restart Fiji.")
    return good("Python", str(python))


def check_state_folder() -> Finding:
    """Whether Fiji and the worker can find each other, and nobody else comes between."""
    folder = private_folder()
    try:
        with tempfile.TemporaryFile(dir=folder):
            return good("RetinaJ's folder", str(folder))
    except OSError as error:
        return problem("RetinaJ's folder", f"{folder} cannot be written to: {error.strerror}.", "Give yourself the right to.")


def check_disk_space() -> Finding:
    """Whether there is room where RetinaJ writes unasked."""
    for place in (state_folder(), Path(tempfile.gettempdir())):
        there = next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists())
        free = shutil.disk_usage(there).free
        if free < _LEAST_FREE_BYTES:
            found = f"{free / 1024**2:.0f} MB are free for {place}; RetinaJ needs {_LEAST_FREE_BYTES / 1024**2:.0f} MB."
            return problem("Disk space", found, "Delete what you do not need.")
    return good("Disk space", f"more than {_LEAST_FREE_BYTES / 1024**2:.0f} MB are free")


def try_worker(python: Path) -> Iterator[Finding]:
    """Start the worker, or take the one that runs, and let it search an image."""
    try:
        with running_worker(python) as (client, how):
            if client.version != __version__:
                found = f"One of version {client.version} runs, but this Python has {__version__}."
                yield problem("Worker", found, "Close Fiji, wait a minute, and open it again.")
            else:
                yield good("Worker", how)
            yield _guarded("Detection", lambda: good("Detection", try_detection(client)))
    except (RetinaJError, OSError) as error:
        yield problem("Worker", str(error), _INSTALL if "No module" in str(error) else "")
        yield untried("Detection", "It needs the worker.")


def _guarded(what: str, check: Callable[[], Finding]) -> Finding:
    """A check's finding, or what kept it from coming to one."""
    try:
        return check()
    except (RetinaJError, OSError) as error:
        return problem(what, str(error))
