"""RetinaJ's commands in the ImageJ of this process: the same plugin as in a Fiji of its own, and the worker in here."""

from __future__ import annotations

import jpype

from retinaj_bridge.hosting import serve_in_process
from retinaj_bridge.jvm import java_class
from retinaj_bridge.plugin_jar import plugin_jar


def register(gateway: object = None) -> None:
    """Make RetinaJ's commands known to the ImageJ that runs in this process; once is enough.

    Afterwards macros and scripts can `run("RetinaJ Detect...", "model=[...]")`, and the Plugins menu, if ImageJ shows a window,
    has a submenu RetinaJ.

    Args:
        gateway: what `imagej.init` returned, if ImageJ was started by it. Only a reminder to start ImageJ first: there is
            one ImageJ in a process, and the commands go into that.

    Raises:
        RetinaJError: if no ImageJ runs in this process, or, where the commands were never used before, there is no network.
    """
    java_class("ij.IJ")  # says so if there is none
    jpype.addClassPath(plugin_jar())  # for an ImageJ that others started
    serve_in_process()
    java_class("retinaj.Commands").install()
