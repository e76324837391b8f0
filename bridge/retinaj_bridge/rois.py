"""Boxes into ImageJ: ROIs in the ROI Manager and rows in the Results table."""

from __future__ import annotations

from typing import Any

import numpy as np

from retinaj.annotations.imagej_roi import roi_names
from retinaj.boxes import Boxes
from retinaj.colours import class_colour
from retinaj.errors import RetinaJError
from retinaj_bridge.headless_roi_manager import install_headless_roi_manager
from retinaj_bridge.jvm import java_class
from retinaj_bridge.pixels import count_planes


def roi_manager() -> Any:
    """The ROI Manager that macros see now, opened if there is none.

    Raises:
        RetinaJError: if there is no display and this ImageJ's ROI Manager cannot do without.
    """
    manager_class = java_class("ij.plugin.frame.RoiManager")
    headless = bool(java_class("java.awt.GraphicsEnvironment").isHeadless())
    if headless:
        install_headless_roi_manager()
    # In a batch-mode macro this is the macro's own hidden manager.
    manager = manager_class.getInstance2()
    return manager_class.getRoiManager() if manager is None else manager


def make_rois(boxes: Boxes, image: Any, *, channel: int | None = None) -> list[Any]:
    """An ij.gui.Roi of each box.

    Args:
        boxes: with or without scores and planes.
        image: the ij.ImagePlus that they lie on, which decides how ImageJ counts its planes.
        channel: the channel that they belong to, from 1; None for all together, as they are after a detection on all.

    Returns:
        Rectangles with sub-pixel corners, named by class and score ("RBC 0.97"), in the colour of the class, with the
        properties class and score, at their plane; in the order of the boxes.

    Raises:
        RetinaJError: if a coordinate is outside what ImageJ's ROI files can hold (-5,000 to 60,536).
    """
    if len(boxes) and not (boxes.xyxy.min() >= -5000 and boxes.xyxy.max() <= 60536):
        raise RetinaJError("A box lies outside of what ImageJ's ROI files can hold (-5,000 to 60,536 pixels).")
    roi_class, colour_class = java_class("ij.gui.Roi"), java_class("java.awt.Color")
    colours = [colour_class(*class_colour(label)) for label in range(len(boxes.class_names))]
    grouped = int(roi_class.getDefaultGroup()) > 0
    names, classes = roi_names(boxes), boxes.names
    rois: list[Any] = []
    for at, (x_min, y_min, x_max, y_max) in enumerate(boxes.xyxy.astype(np.float64).tolist()):
        roi = roi_class(x_min, y_min, x_max - x_min, y_max - y_min)
        if grouped:
            roi.setGroup(0)  # a group has a colour of its own, which would win when the ROI is saved and opened again
        roi.setName(names[at])
        roi.setStrokeColor(colours[boxes.label[at]])
        roi.setProperty("class", classes[at])
        if boxes.score is not None:
            roi.setProperty("score", f"{boxes.score[at]:.4f}")
        if boxes.plane is not None:
            t, _, z = boxes.plane[at].tolist()
            _set_position(roi, image, channel or 0, z + 1, t + 1)
        rois.append(roi)
    return rois


def _set_position(roi: Any, image: Any, channel: int, z: int, t: int) -> None:
    """Put a ROI on its plane, counted from 1, in the way in which ImageJ shows it there."""
    channels, slices, frames = count_planes(image)
    if bool(image.isHyperStack()) or channels > 1:
        roi.setPosition(channel, z, t)
    elif slices * frames > 1:
        roi.setPosition(image.getStackIndex(1, z, t))


def add_to_roi_manager(rois: list[Any], image: Any, *, replace: bool) -> None:
    """Put ROIs of an image into the ROI Manager, behind those that are there, or instead of them."""
    manager = roi_manager()
    if replace:
        manager.reset()
    for roi in rois:
        manager.addRoi(roi)
    shown = java_class("ij.IJ").getInstance() is not None and not bool(java_class("ij.macro.Interpreter").isBatchMode())
    if shown:
        manager.runCommand(image, "Show All")


def add_to_results(boxes: Boxes, image: Any, *, channel: int | None = None, replace: bool) -> None:
    """Add a row for each box to the Results table, behind the rows that are there, or instead of them.

    The columns are image, class, score, x_min, y_min, x_max and y_max in pixels; on stacks also channel (0 for all), slice
    and frame, from 1.
    """
    table = java_class("ij.measure.ResultsTable").getResultsTable()
    if replace:
        table.reset()
    title = str(image.getTitle())
    corners = boxes.xyxy.astype(np.float64).tolist()
    for at, (name, box) in enumerate(zip(boxes.names, corners, strict=True)):
        table.incrementCounter()
        table.addValue("image", title)
        table.addValue("class", name)
        if boxes.score is not None:
            table.addValue("score", float(boxes.score[at]))
        for column, value in zip(("x_min", "y_min", "x_max", "y_max"), box, strict=True):
            table.addValue(column, value)
        if boxes.plane is not None:
            t, _, z = boxes.plane[at].tolist()
            for column, value in (("channel", channel or 0), ("slice", z + 1), ("frame", t + 1)):
                table.addValue(column, float(value))
    table.show("Results")
