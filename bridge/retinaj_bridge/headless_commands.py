"""Commands of ImageJ that look for a window of the ROI Manager or the Results, done without one."""

from __future__ import annotations

from typing import Any

from retinaj.errors import RetinaJError
from retinaj_bridge.headless_roi_manager import install_headless_roi_manager
from retinaj_bridge.jvm import java_class

HEADLESS_COMMANDS = ("ROI Manager...", "Add to Manager", "Measure", "Analyze Particles...")


def run_headless_command(name: str) -> bool:
    """Do one of HEADLESS_COMMANDS on the active image, or prepare it.

    Returns:
        Whether it is done; if not, ImageJ shall run it as always.

    Raises:
        RetinaJError: if ImageJ's ROI Manager cannot do without a display, or nothing is selected that could be added to it.
    """
    image = java_class("ij.WindowManager").getCurrentImage()
    if name == "ROI Manager...":
        install_headless_roi_manager()
        return True
    if image is None:
        return False  # ImageJ says so
    if name == "Add to Manager":
        roi = image.getRoi()
        if roi is None:
            raise RetinaJError("There is no selection to add to the ROI Manager; make one first.")
        _roi_manager().addRoi(roi)
        return True
    if name == "Measure":
        analyzer = java_class("ij.plugin.filter.Analyzer")
        overlay = int(java_class("ij.measure.Measurements").ADD_TO_OVERLAY)
        if int(analyzer.getMeasurements()) & overlay:
            return False
        # ImageJ would show the row in the Results window, and drops the other rows when there is none.
        analyzer(image).measure()
        return True
    words = str(java_class("ij.Macro").getOptions() or "").split()
    if "add" in words:
        manager = _roi_manager()
        if "clear" in words:
            manager.reset()
        java_class("ij.plugin.filter.ParticleAnalyzer").setRoiManager(manager)
    return False


def _roi_manager() -> Any:
    install_headless_roi_manager()
    return java_class("ij.plugin.frame.RoiManager").getRawInstance()
