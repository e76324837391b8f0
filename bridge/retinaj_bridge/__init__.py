"""RetinaJ in ImageJ: models find boxes on the active image and put them into the ROI Manager.

    run("RetinaJ Detect...", "model=[/path/of/the/model] threshold=0.40 overlap=0.50");

In a macro run by `run_macro` (on the command line `retinaj imagej MACRO.ijm`), in the window of `open_window` (`retinaj
imagej`), or, after `register`, in an ImageJ that a notebook started. TensorFlow is imported when a model folder is opened,
not before; packages run without it.

What is named here is imported when first used: Fiji's worker, a process of its own, needs no Java in it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retinaj_bridge.command import register
    from retinaj_bridge.macros import MacroOutcome, run_macro
    from retinaj_bridge.pixels import to_xarray
    from retinaj_bridge.startup import RunningImageJ, start
    from retinaj_bridge.window import open_window

__all__ = ["MacroOutcome", "RunningImageJ", "open_window", "register", "run_macro", "start", "to_xarray"]

_HOMES = {
    "MacroOutcome": "retinaj_bridge.macros",
    "RunningImageJ": "retinaj_bridge.startup",
    "open_window": "retinaj_bridge.window",
    "register": "retinaj_bridge.command",
    "run_macro": "retinaj_bridge.macros",
    "start": "retinaj_bridge.startup",
    "to_xarray": "retinaj_bridge.pixels",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'retinaj_bridge' has no attribute {name!r}")
