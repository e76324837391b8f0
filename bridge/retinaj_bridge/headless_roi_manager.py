"""A ROI Manager without a display.

ImageJ's ROI Manager is a window, and Java refuses to construct windows without a display, although its list of ROIs needs
none. So the object is allocated without running its constructor and gets the fields that the constructor would have set.
That leans on private fields: it is done only on versions of ImageJ whose ROI Manager the tests went through, and a rehearsal
comes before the object is handed to ImageJ.
"""

from __future__ import annotations

from typing import Any

from retinaj.errors import RetinaJError
from retinaj_bridge.jvm import java_class, private_field

# Add a version after `tests/retinaj_bridge` passed on it.
TESTED_VERSIONS = ("1.54p",)

_CLASS = "ij.plugin.frame.RoiManager"


def install_headless_roi_manager() -> None:
    """Give ImageJ a ROI Manager that works without a display. Does nothing if ImageJ has one already.

    Afterwards `roiManager(...)`, `RoiManager....` and `RoiManager.getInstance()` work as they do with a window.

    Raises:
        RetinaJError: on an ImageJ that this was not tested on, or if the rehearsal fails.
    """
    if java_class(_CLASS).getRawInstance() is not None:
        return
    version = str(java_class("ij.IJ").getVersion())
    advice = "run it where there is a display (on Linux, `xvfb-run` makes one), or on the ImageJ that RetinaJ starts by itself."
    if version not in TESTED_VERSIONS:
        raise RetinaJError(
            f"ImageJ {version} has no ROI Manager without a display, and RetinaJ's substitute was tested only with "
            f"{', '.join(TESTED_VERSIONS)}: {advice}"
        )
    try:
        manager = _allocate()
        _rehearse(manager)
        private_field(_CLASS, "instance").set(None, manager)
    except Exception as error:
        raise RetinaJError(
            f"ImageJ {version} did not take the ROI Manager for use without a display ({error}): {advice}"
        ) from error


def _allocate() -> Any:
    """A RoiManager as its constructor for hidden use would have made it."""
    manager = _new_unconstructed(_CLASS)
    names = java_class("javax.swing.JList")()
    model = java_class("javax.swing.DefaultListModel")()
    names.setModel(model)
    true = java_class("java.lang.Boolean").TRUE
    ten = java_class("java.lang.Double").valueOf(10.0)
    fields = {
        "list": names,
        "listModel": model,
        "rois": java_class("java.util.ArrayList")(),
        # Checkboxes keep their state without a display, only their constructor refuses.
        "showAllCheckbox": _new_unconstructed("java.awt.Checkbox"),
        "labelsCheckbox": _new_unconstructed("java.awt.Checkbox"),
        "firstTime": true,
        "recordShowAll": true,
        "multiCropShow": true,
        "defaultLineWidth": java_class("java.lang.Integer").valueOf(1),
        "translateX": ten,
        "translateY": ten,
    }
    for name, value in fields.items():
        private_field(_CLASS, name).set(manager, value)
    return manager


def _rehearse(manager: Any) -> None:
    """Go through what macros do most, on the object that nobody else sees yet."""
    roi = java_class("ij.gui.Roi")(1.5, 2.0, 3.25, 4.0)
    roi.setName("rehearsal")
    manager.addRoi(roi)
    manager.rename(0, "renamed")
    manager.select(0)
    if (int(manager.getCount()), str(manager.getName(0)), int(manager.getSelectedIndex())) != (1, "renamed", 0):
        raise RuntimeError("it lost the ROI that was added to it")
    manager.reset()
    if int(manager.getCount()) != 0:
        raise RuntimeError("it could not be emptied")


def _new_unconstructed(name: str) -> Any:
    unsafe = private_field("sun.misc.Unsafe", "theUnsafe").get(None)
    return unsafe.allocateInstance(java_class("java.lang.Class").forName(name))
