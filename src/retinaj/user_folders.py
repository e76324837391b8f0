"""Where RetinaJ keeps what belongs to the user and not to a project."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Where downloads and compiled files are kept: `retinaj` in the user's cache folder, or the folder RETINAJ_CACHE."""
    if chosen := os.environ.get("RETINAJ_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "retinaj"


def state_folder() -> Path:
    """Where Fiji and the worker find each other, and what they remember: `.retinaj` in the home folder, or RETINAJ_HOME.

    The same rule stands in the plugin's `Home.java`.
    """
    return Path(os.environ.get("RETINAJ_HOME") or Path.home() / ".retinaj")
