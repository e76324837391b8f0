"""ROI files and overlays, between the readers and writers of annotations and the real ImageJ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jpype
import numpy as np
import pytest

from retinaj.annotations import ObjectDetails, Reading, read_annotations
from retinaj.annotations.imagej_roi import read_roi_set, write_roi_set
from retinaj.boxes import Boxes

Classes = Callable[[str], Any]

CORNERS = ((10.25, 20.5), (50.75, 22.0), (-30.0, 60.125))


def polygon(imagej: Classes, kind: str, *, whole: bool = False) -> Any:
    number = jpype.JInt if whole else jpype.JFloat
    x, y = (
        jpype.JArray(number)([number(int(value) if whole else value) for value in axis]) for axis in zip(*CORNERS, strict=True)
    )
    polygon_class = imagej("ij.gui.PolygonRoi")
    return polygon_class(x, y, len(CORNERS), getattr(imagej("ij.gui.Roi"), kind))


def spline(imagej: Classes) -> Any:
    roi = polygon(imagej, "POLYGON")
    roi.fitSpline()
    return roi


def composite(imagej: Classes, *parts: Any) -> Any:
    first, second = (imagej("ij.gui.ShapeRoi")(part) for part in parts)
    return first.or_(second)


MADE: dict[str, Callable[[Classes], Any]] = {
    "rectangle": lambda j: j("ij.gui.Roi")(10, 20, 30, 40),
    "sub-pixel rectangle": lambda j: j("ij.gui.Roi")(10.25, 20.5, 30.25, 40.5),
    "negative": lambda j: j("ij.gui.Roi")(-20, -10, 5, 5),
    "negative sub-pixel": lambda j: j("ij.gui.Roi")(-20.5, -10.25, 5.0, 5.5),
    "far away": lambda j: j("ij.gui.Roi")(40_000, 50_000, 30, 40),
    "rounded": lambda j: j("ij.gui.Roi")(10, 20, 30, 40, 8),
    "oval": lambda j: j("ij.gui.OvalRoi")(10, 20, 30, 40),
    "sub-pixel oval": lambda j: j("ij.gui.OvalRoi")(10.25, 20.5, 30.25, 40.5),
    "polygon": lambda j: polygon(j, "POLYGON"),
    "whole-pixel polygon": lambda j: polygon(j, "POLYGON", whole=True),
    "spline": spline,
    "freehand": lambda j: polygon(j, "FREEROI"),
    "traced": lambda j: polygon(j, "TRACED_ROI"),
    "polyline": lambda j: polygon(j, "POLYLINE"),
    "freeline": lambda j: polygon(j, "FREELINE"),
    "angle": lambda j: polygon(j, "ANGLE"),
    "line": lambda j: j("ij.gui.Line")(10.5, 60.25, 50.0, 20.0),
    "arrow": lambda j: j("ij.gui.Arrow")(10.5, 60.25, 50.0, 20.0),
    "point": lambda j: j("ij.gui.PointRoi")(10.5, 20.25),
    "points": lambda j: j("ij.gui.PointRoi")(jpype.JArray(jpype.JFloat)([10.5, 50]), jpype.JArray(jpype.JFloat)([20.25, 60])),
    "ellipse": lambda j: j("ij.gui.EllipseRoi")(10.0, 20.0, 60.0, 50.0, 0.5),
    "rotated rectangle": lambda j: j("ij.gui.RotatedRectRoi")(10.0, 20.0, 60.0, 50.0, 12.0),
    "text": lambda j: j("ij.gui.TextRoi")(10.5, 20.5, "hello"),
    "image": lambda j: j("ij.gui.ImageRoi")(10, 20, j("ij.process.ColorProcessor")(5, 7)),
    "composite": lambda j: composite(j, j("ij.gui.Roi")(10, 20, 30, 40), j("ij.gui.OvalRoi")(60, 70, 5, 5)),
}
# ImageJ rounds the bounds of these to whole pixels, or stores them so.
ROUNDED = ("ellipse", "rotated rectangle", "spline")


@pytest.mark.parametrize("kind", MADE)
def test_the_box_of_each_type_is_what_imagej_says(imagej: Classes, tmp_path: Path, kind: str) -> None:
    roi = MADE[kind](imagej)
    roi.setName(kind)
    path = tmp_path / "a.roi"
    assert bool(imagej("ij.io.RoiEncoder").save(roi, str(path)))
    boxes = read_roi_set(path)
    bounds = roi.getFloatBounds()
    expected = [bounds.x, bounds.y, bounds.x + bounds.width, bounds.y + bounds.height]
    np.testing.assert_allclose(boxes.xyxy, [expected], rtol=0, atol=1.1 if kind in ROUNDED else 0)
    assert boxes.names == [kind]


def test_imagej_shows_all_that_is_written(imagej: Classes, tmp_path: Path) -> None:
    path = tmp_path / "a_RoiSet.zip"
    boxes = Boxes([[1.25, 2.5, 11.5, 7], [-3.5, 0, 40, 41]], [1, 0], ("RBC", "WBC 🦠")).on_plane(1, 0, 6)
    details = (
        ObjectDetails(name="µ-2", group=7, properties={"plate: no": "12 \\ α\nβ"}),
        ObjectDetails(group=300, colour=(1, 2, 3)),
    )
    write_roi_set(path, boxes, details=details)
    manager = imagej("ij.plugin.frame.RoiManager").getInstance()
    manager.open(str(path))
    first, second = list(manager.getRoisAsArray())
    for roi, (x_min, y_min, x_max, y_max) in zip((first, second), boxes.xyxy.tolist(), strict=True):
        bounds = roi.getFloatBounds()
        assert (bounds.x, bounds.y, bounds.width, bounds.height) == (x_min, y_min, x_max - x_min, y_max - y_min)
        assert int(roi.getType()) == int(imagej("ij.gui.Roi").RECTANGLE)
        assert (int(roi.getTPosition()), int(roi.getCPosition()), int(roi.getZPosition())) == (2, 0, 7)
    assert (str(first.getName()), str(second.getName())) == ("WBC 🦠", "RBC")
    assert (str(first.getProperty("class")), str(first.getProperty("name"))) == ("WBC 🦠", "µ-2")
    assert str(first.getProperty("plate: no")) == "12 \\ α\nβ"
    assert (int(first.getGroup()), int(second.getGroup())) == (7, 0)
    assert str(second.getProperty("group")) == "300"  # more than ImageJ counts
    assert int(second.getStrokeColor().getRGB()) & 0xFFFFFF == 0x010203


def test_an_overlay_saved_by_imagej_is_an_annotation(imagej: Classes, tmp_path: Path) -> None:
    image = imagej("ij.IJ").createImage("cells", "16-bit ramp", 64, 48, 1, 3, 4)
    roi_class, overlay = imagej("ij.gui.Roi"), imagej("ij.gui.Overlay")()
    for name, position in (("RBC", (1, 2, 4)), ("WBC", (1, 3, 1))):
        roi = roi_class(5.5, 6.0, 10.0, 12.0)
        roi.setName(name)
        roi.setPosition(*position)
        overlay.add(roi)
    image.setOverlay(overlay)
    image.setRoi(0, 0, 60, 40)
    assert bool(imagej("ij.io.FileSaver")(image).saveAsTiff(str(tmp_path / "cells.tif")))
    # a plain stack of frames: ImageJ counts its planes with one number
    movie = imagej("ij.IJ").createImage("movie", "8-bit black", 30, 20, 1, 1, 5)
    roi = imagej("ij.gui.OvalRoi")(1, 2, 3, 4)
    roi.setPosition(4)
    movie.setRoi(roi)
    assert bool(imagej("ij.io.FileSaver")(movie).saveAsTiff(str(tmp_path / "movie.tif")))
    imagej("ij.IJ").saveAsTiff(imagej("ij.IJ").createImage("plain", "8-bit black", 30, 20, 1), str(tmp_path / "plain.tif"))

    cells, movies = read_annotations(tmp_path, Reading(images=tmp_path))
    assert (cells.image_name, cells.stem, cells.size) == ("cells.tif", "cells", (64, 48))
    assert cells.boxes.names == ["RBC", "WBC"]
    assert cells.boxes.xyxy.tolist() == [[5.5, 6, 15.5, 18]] * 2
    assert cells.boxes.plane is not None
    assert cells.boxes.plane.tolist() == [[3, 0, 1], [0, 0, 2]]
    assert cells.notes == ("it has an overlay and also a selection, which is left out",)
    assert movies.boxes.xyxy.tolist() == [[1, 2, 4, 6]]
    assert movies.boxes.plane is not None
    assert movies.boxes.plane.tolist() == [[3, 0, 0]]
