"""Whether RetinaJ is in a Fiji, and what it works with there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj.user_folders import state_folder
from retinaj_bridge.client import connect_to_running
from retinaj_bridge.fiji.folder import FijiFolder
from retinaj_bridge.fiji.installing import PROPERTIES_NAME
from retinaj_bridge.fiji.manifest import FOLDER, read_manifest
from retinaj_bridge.fiji.properties import read_properties


@dataclass(frozen=True)
class Status:
    """How things stand.

    Attributes:
        fiji: where.
        imagej: the version of its ImageJ, or None if it cannot be told.
        installed: the version of RetinaJ in it, or None.
        python: the interpreter that it starts, or None if it is not written down.
        python_exists: whether that is there.
        worker: of the worker that runs: "process 4711, version 0.1.0"; "" if none runs; else why it refuses.
    """

    fiji: FijiFolder
    imagej: str | None
    installed: str | None
    python: Path | None
    python_exists: bool
    worker: str


def status(fiji: FijiFolder) -> Status:
    """Look; nothing is started or changed.

    Raises:
        RetinaJError: if the list of what was installed is damaged.
    """
    manifest = read_manifest(fiji.plugins / FOLDER)
    python = chosen_python(fiji)
    return Status(
        fiji,
        fiji.imagej_version(),
        manifest.version if manifest is not None else None,
        python,
        python is not None and python.is_file(),
        _worker(),
    )


def chosen_python(fiji: FijiFolder) -> Path | None:
    """The interpreter that the plugin in a Fiji starts, or None if it is not written down."""
    try:
        python = read_properties(fiji.plugins / FOLDER / PROPERTIES_NAME).get("python", "")
    except OSError:
        return None
    return Path(python) if python.strip() else None


def _worker() -> str:
    try:
        client = connect_to_running(state_folder())
    except RetinaJError as error:
        return str(error)
    if client is None:
        return ""
    with client:
        return f"process {client.pid}, version {client.version}"
