"""Reading ImageJ ROIs: one .roi, a RoiSet.zip as ImageJ's ROI Manager saves it, or the overlay inside a TIFF."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import roifile
from numpy.typing import NDArray

from retinaj.annotations.annotation import NO_DETAILS, Annotation, ObjectDetails, clean_name
from retinaj.annotations.imagej_files import MAX_ROIS, read_contents
from retinaj.annotations.imagej_names import (
    RoiText,
    class_rule,
    group_of,
    is_automatic,
    read_properties,
    score_of,
)
from retinaj.annotations.imagej_overlay import StackShape, read_overlay
from retinaj.boxes import Boxes
from retinaj.colours import all_class_colours, hex_colour
from retinaj.errors import RetinaJError
from retinaj.quiet import silenced

_MAX_COORDINATE = 1e9

_ENDINGS = ("_RoiSet", "-RoiSet", "_rois")
_TIFF = (".tif", ".tiff")
_KNOWN_TYPES = frozenset(range(11)) - {roifile.ROI_TYPE.NOROI}
_COLOURLESS = 0  # alpha of a colour that is not set


@dataclass(frozen=True)
class _Roi:
    """One ROI as read: what is wrong with it has been found already."""

    place: str
    box: tuple[float, float, float, float]
    class_name: str
    score: float | None
    position: tuple[int, int, int, int]  # t, c, z and the number of the plane, 1-based; 0 is "not set"
    details: ObjectDetails
    points: int  # of a multi-point ROI


def read_rois(path: Path, class_from: str = "name", stack: StackShape | None = None) -> Annotation:
    """All ROIs of one file.

    Args:
        path: a .roi file, a ZIP of them, or a TIFF with an overlay.
        class_from: where a ROI has its class: see `class_rule`.
        stack: channels, slices and frames of the image, if known: a plain stack's ROIs count its planes with one number,
            which is a slice unless this says otherwise.

    Returns:
        One box per ROI of whatever type, the smallest rectangle around it, in the order of the file; with scores if each
        has one, and planes if one has a position. ROIs that cannot be read are in `faults`.

    Raises:
        RetinaJError: if the file is missing, damaged as a whole, not ROIs, or unpacks to an absurd size.
    """
    path = Path(path)
    notes: list[str] = []
    size: tuple[int, int] | None = None
    if path.suffix.lower() in _TIFF and path.is_file():
        overlay = read_overlay(path)
        named = [("", data) for data in overlay.rois]
        stack, size, notes = overlay.stack, overlay.size, list(overlay.notes)
    else:
        named = read_contents(path)
    if len(named) > MAX_ROIS:
        raise RetinaJError(f"{path} has {len(named):,} ROIs; RetinaJ reads up to {MAX_ROIS:,}.")
    rule = class_rule(class_from)
    rois: list[_Roi] = []
    faults: list[str] = []
    with silenced("roifile"):
        for number, (name, data) in enumerate(named, 1):
            place = _place(number, name)
            try:
                roi = _decode(name, data)
                place = _place(number, name or roi.name)  # an overlay's have no name but their own
                rois.append(_read(place, roi, class_from, rule))
            except ValueError as error:
                faults.append(f"{place} {error}.")
            except RetinaJError as error:
                faults.append(str(error))
    notes += [f"{roi.place} has {roi.points} points and became one box around them" for roi in rois if roi.points > 1]
    return _annotation(path, rois, tuple(faults), notes, stack, size)


def image_stem(path: Path) -> str:
    """The stem of the image that a file of ROIs belongs to.

    >>> image_stem(Path("cell 1_RoiSet.zip")), image_stem(Path("cell2.roi"))
    ('cell 1', 'cell2')
    """
    stem = path.stem
    for ending in _ENDINGS:
        stem = stem.removesuffix(ending)
    return stem or path.stem


def _annotation(
    path: Path,
    rois: list[_Roi],
    faults: tuple[str, ...],
    notes: list[str],
    stack: StackShape | None,
    size: tuple[int, int] | None,
) -> Annotation:
    names = sorted({roi.class_name for roi in rois})
    index = {name: label for label, name in enumerate(names)}
    scores = [roi.score for roi in rois if roi.score is not None]
    planes = np.array([_plane(roi.position, stack) for roi in rois], np.int32).reshape(-1, 3)
    placed = np.array([any(roi.position) for roi in rois], np.bool_)
    if placed.any() and not placed.all():
        notes.append(f"{(~placed).sum()} of its {len(rois)} ROIs have no position in the stack and count for its first plane")
    details = tuple(roi.details for roi in rois)
    return Annotation(
        source=path,
        image_name=path.name if path.suffix.lower() in _TIFF else image_stem(path),
        boxes=Boxes(
            np.array([roi.box for roi in rois], np.float32).reshape(-1, 4),
            np.array([index[roi.class_name] for roi in rois], np.int32),
            tuple(names),
            np.array(scores, np.float32) if scores and len(scores) == len(rois) else None,
            planes if placed.any() else None,
        ),
        size=size,
        notes=tuple(notes),
        stem=path.stem if path.suffix.lower() in _TIFF else image_stem(path),
        details=details if any(each != NO_DETAILS for each in details) else (),
        places=tuple(roi.place for roi in rois),
        faults=faults,
    )


def _decode(name: str, data: bytes) -> roifile.ImagejRoi:
    try:
        roi = roifile.ImagejRoi.frombytes(data)
    except Exception as error:  # damaged bytes make it raise nearly anything
        raise ValueError(f"is not an ImageJ ROI or is damaged: {' '.join(str(error).split())}") from error
    if int(roi.roitype) not in _KNOWN_TYPES:
        raise ValueError(f"is of the type {data[6]}, which is none of ImageJ's")
    roi.name = roi.name or name
    return roi


def _read(place: str, roi: roifile.ImagejRoi, class_from: str, rule: Callable[[RoiText], str]) -> _Roi:
    properties = read_properties(roi.props)
    text = RoiText(clean_name(roi.name, place), group_of(roi.group, properties), properties)
    class_name = clean_name(rule(text), place)
    score = score_of(text, class_from)
    box = _bounds(roi)
    if not all(-_MAX_COORDINATE < value < _MAX_COORDINATE for value in box):
        raise ValueError(f"has the corners {box}; expected numbers of pixels")
    is_points = roi.roitype == roifile.ROI_TYPE.POINT
    return _Roi(
        place=place,
        box=box,
        class_name=class_name,
        score=score,
        position=(roi.t_position, roi.c_position, roi.z_position, roi.position),
        details=_details(place, roi, text, class_name, score),
        points=roi.n_coordinates if is_points else 0,
    )


def _place(number: int, name: str) -> str:
    printable = "".join(character if character.isprintable() else "?" for character in name[:60])
    return f"ROI {number} ({printable})" if printable else f"ROI {number}"


def _details(place: str, roi: roifile.ImagejRoi, text: RoiText, class_name: str, score: float | None) -> ObjectDetails:
    said = {class_name} if score is None else {class_name, f"{class_name} {score:.2f}"}
    name = clean_name(text.properties.get("name", text.name), place)
    alpha, red, green, blue = roi.stroke_color
    colour = (red, green, blue)
    said_colour = text.properties.get("colour", "") == hex_colour(colour)
    # RetinaJ's writer gives each object its class as a property and, for want of its own colour, the class's.
    of_class = "class" in text.properties and colour in all_class_colours() and not said_colour
    own = (
        {"class", "name"}
        | ({"colour"} if said_colour else set())
        | ({"score"} if score is not None else set())
        | ({"group"} if text.group != (roi.group or None) else set())
    )
    return ObjectDetails(
        name="" if name in said or is_automatic(name) else name,
        group=text.group,
        colour=None if alpha == _COLOURLESS or of_class else colour,
        properties={key: value for key, value in text.properties.items() if key not in own},
    )


def _bounds(roi: roifile.ImagejRoi) -> tuple[float, float, float, float]:
    """The rectangle around a ROI, half open: integer outlines run along pixel borders in ImageJ."""
    if roi.subpixelrect:
        return roi.xd, roi.yd, roi.xd + roi.widthd, roi.yd + roi.heightd
    if roi.options & roifile.ROI_OPTIONS.SPLINE_FIT:
        return float(roi.left), float(roi.top), float(roi.right), float(roi.bottom)  # the curve swings out between its points
    points: NDArray[np.floating] | None = roi.subpixel_coordinates
    if roi.roitype == roifile.ROI_TYPE.LINE:
        points = np.array([[roi.x1, roi.y1], [roi.x2, roi.y2]])
    if points is not None and len(points):
        low, high = points.min(axis=0), points.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])
    return float(roi.left), float(roi.top), float(roi.right), float(roi.bottom)


def _plane(position: tuple[int, int, int, int], stack: StackShape | None) -> tuple[int, int, int]:
    """(t, c, z), 0-based, of a position as stored."""
    *hyperstack, number = position
    if any(hyperstack):
        t, c, z = (max(value - 1, 0) for value in hyperstack)
    elif stack is None:
        t, c, z = 0, 0, max(number - 1, 0)
    else:
        t, c, z = stack.plane(max(number, 1))
    limit = np.iinfo(np.int32).max
    return min(t, limit), min(c, limit), min(z, limit)
