"""The ImageJ window, with RetinaJ in its Plugins menu."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jpype

from retinaj.errors import RetinaJError
from retinaj_bridge.command import register
from retinaj_bridge.hosting import serve_in_process
from retinaj_bridge.jvm import java_class
from retinaj_bridge.startup import start

_SECONDS_BETWEEN_LOOKS = 0.2


def open_window(*, fiji: Path | None = None, endpoint: str | None = None) -> None:
    """Open ImageJ with Plugins > RetinaJ, and return when the user has closed it.

    With PyImageJ (`fiji` or `endpoint`), closing ImageJ ends the whole process: that is PyImageJ's way.

    Args:
        fiji: as for `start`.
        endpoint: as for `start`.

    Raises:
        RetinaJError: as `start`; or on macOS without PyObjC.
    """
    running = start(window=True, fiji=fiji, endpoint=endpoint)
    try:
        # macOS wants its event loop on the main thread; elsewhere this calls the function directly.
        jpype.setupGuiEnvironment(lambda: _show_and_wait(running.gateway))
    except ModuleNotFoundError as error:
        raise RetinaJError("On macOS the window needs PyObjC: run `pip install pyobjc-core pyobjc-framework-cocoa`.") from error


def _show_and_wait(gateway: Any) -> None:
    try:
        serve_in_process()  # before someone can choose from the menu
        if gateway is None:
            java_class("ij.ImageJ")()
        else:
            gateway.ui().showUI()
        register()
        while java_class("ij.IJ").getInstance() is not None:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    finally:
        jpype.shutdownGuiEnvironment()
