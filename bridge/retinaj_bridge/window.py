"""The ImageJ window, with RetinaJ in its Plugins menu."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jpype

from retinaj.errors import RetinaJError
from retinaj_bridge.command import COMMAND, register
from retinaj_bridge.jvm import java_class
from retinaj_bridge.startup import start

_SECONDS_BETWEEN_LOOKS = 0.2


def open_window(*, fiji: Path | None = None, endpoint: str | None = None) -> None:
    """Open ImageJ with Plugins > RetinaJ > Detect..., and return when the user has closed it.

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
        if gateway is None:
            java_class("ij.ImageJ")()
        else:
            gateway.ui().showUI()
        register()
        add_to_menu()
        while java_class("ij.IJ").getInstance() is not None:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    finally:
        jpype.shutdownGuiEnvironment()


def add_to_menu() -> None:
    """Add Plugins > RetinaJ > Detect... to the menu of ImageJ's window, and the command to ImageJ's list of commands.

    Raises:
        RetinaJError: if ImageJ shows no window.
    """
    window = java_class("ij.IJ").getInstance()
    if window is None:
        raise RetinaJError("ImageJ shows no window; open it first.")

    def add() -> None:
        menus = java_class("ij.Menus")
        item = java_class("java.awt.MenuItem")("Detect...")
        item.setActionCommand(COMMAND)
        item.addActionListener(window)
        submenu = java_class("java.awt.Menu")("RetinaJ")
        submenu.add(item)
        bar = menus.getMenuBar()
        plugins = next(bar.getMenu(at) for at in range(int(bar.getMenuCount())) if str(bar.getMenu(at).getLabel()) == "Plugins")
        plugins.add(submenu)
        # With this name alone, Command Finder lists it; the listener takes it before ImageJ looks for the class.
        menus.getCommands().put(COMMAND, "RetinaJ")

    java_class("java.awt.EventQueue").invokeAndWait(_Runnable(add))


@jpype.JImplements("java.lang.Runnable", deferred=True)
class _Runnable:
    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action

    @jpype.JOverride
    def run(self) -> None:
        self._action()
