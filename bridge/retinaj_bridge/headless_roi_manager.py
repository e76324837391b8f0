"""A ROI Manager without a display: see HeadlessRoiManager.java."""

from __future__ import annotations

import jpype

from retinaj.errors import RetinaJError
from retinaj_bridge.jvm import java_class


def install_headless_roi_manager() -> None:
    """Give ImageJ a ROI Manager that works without a display. Does nothing if ImageJ has one already.

    Afterwards `roiManager(...)`, `RoiManager....` and `RoiManager.getInstance()` work as they do with a window.

    Raises:
        RetinaJError: on an ImageJ that this was not tested on, or if a rehearsal fails.
    """
    try:
        java_class("retinaj.HeadlessRoiManager").install()
    except jpype.JException as error:
        raise RetinaJError(str(error.getMessage())) from error
