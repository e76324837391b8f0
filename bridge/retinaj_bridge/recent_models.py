"""Models that were used lately, remembered in the user's folder of RetinaJ."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj.user_folders import state_folder
from retinaj_bridge.private_folder import private_folder, read_private, write_private

_NAME = "recent.json"
_MOST = 20
_MOST_BYTES = 1_000_000

_lock = threading.Lock()


@dataclass(frozen=True)
class RecentModel:
    """A model that was used.

    Attributes:
        path: its folder or package.
        name: what it is called.
    """

    path: Path
    name: str


def recent_models() -> list[RecentModel]:
    """Those that are still there, the last one first."""
    return [model for model in _read() if _exists(model.path)]


def remember_model(path: Path, name: str) -> None:
    """Note that a model was used. Where that cannot be written, it is not: no detection fails for it.

    Args:
        path: its folder or package.
        name: what it is called.
    """
    used = RecentModel(path.absolute(), name)
    with _lock:
        known = _read()
        if known[:1] == [used]:
            return
        # Those that are missing stay: a disk may come back.
        entries = [used, *(model for model in known if model.path != used.path)][:_MOST]
        text = json.dumps([{"path": str(model.path), "name": model.name} for model in entries], ensure_ascii=False, indent=1)
        with contextlib.suppress(OSError, RetinaJError, UnicodeEncodeError):
            write_private(private_folder() / _NAME, text + "\n")


def _read() -> list[RecentModel]:
    text = read_private(state_folder() / _NAME, _MOST_BYTES)
    try:
        entries = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return []
    if not isinstance(entries, list):
        return []
    return [
        RecentModel(Path(entry["path"]), entry["name"])
        for entry in entries[:_MOST]
        if isinstance(entry, dict) and isinstance(entry.get("path"), str) and isinstance(entry.get("name"), str)
    ]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # without the right to look, or a text that is no path
        return False
