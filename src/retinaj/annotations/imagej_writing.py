"""Writing boxes as a RoiSet.zip that ImageJ's ROI Manager opens."""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import roifile

from retinaj.annotations.annotation import NO_DETAILS, ObjectDetails
from retinaj.annotations.imagej_names import MAX_GROUP, parse_name, roi_names, write_properties
from retinaj.boxes import Boxes
from retinaj.colours import RGB, all_class_colours, class_colours, hex_colour
from retinaj.errors import RetinaJError
from retinaj.files import atomic_path


def write_roi_set(
    path: Path,
    boxes: Boxes,
    *,
    colours: Mapping[str, RGB] | None = None,
    plain_stack: bool = False,
    details: Sequence[ObjectDetails] = (),
) -> None:
    """Write boxes as a RoiSet.zip of rectangles that ImageJ's ROI Manager opens, replacing the file whole.

    Each is named by class and score ("RBC 0.97"), drawn in its class's colour, has both as properties, and keeps its
    sub-pixel coordinates. Boxes with planes get the time frame and slice, counted from 1 as in ImageJ, and channel 0,
    "all channels", unless they lie in another than the first.

    Args:
        path: the ZIP file.
        boxes: what to write.
        colours: (red, green, blue) of each class by name; default: `retinaj.colours.class_colours`.
        plain_stack: whether the image has time frames or slices but not both, and no channels. ImageJ counts the planes of
            such a stack with one number, and ignores the positions of a hyperstack on it.
        details: one per box, or none: names, groups, colours and properties of single ROIs. A name that tells another
            class than the box has becomes the property "name", and a group above ImageJ's 255 the property "group".

    Raises:
        RetinaJError: if a coordinate is outside what ImageJ's format can hold (-5,000 to 60,536).
    """
    chosen = class_colours(boxes.class_names) if colours is None else colours
    used: set[str] = set()
    with atomic_path(Path(path)) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for at, (name, class_name) in enumerate(zip(roi_names(boxes), boxes.names, strict=True)):
            detail = details[at] if details else NO_DETAILS
            roi = _rectangle(boxes, at, plain_stack)
            properties = {**detail.properties, "class": class_name}
            if boxes.score is not None:
                properties["score"] = f"{boxes.score[at]:.4f}"
            if detail.name and parse_name(detail.name)[0] == class_name and boxes.score is None:
                name = detail.name
            elif detail.name:
                properties["name"] = detail.name
            if detail.group is not None and 0 < detail.group <= MAX_GROUP:
                roi.group = detail.group
            elif detail.group is not None:
                properties["group"] = str(detail.group)
            if detail.colour in all_class_colours():  # the object's own, which readers would take for its class's
                properties["colour"] = hex_colour(detail.colour)
            roi.stroke_color = bytes((255, *(detail.colour or chosen[class_name])))
            roi.props = write_properties(properties)
            # A fixed date: the same boxes give the same file.
            archive.writestr(zipfile.ZipInfo(_entry(name, used)), _encode(roi, name), zipfile.ZIP_DEFLATED)


def _entry(name: str, used: set[str]) -> str:
    """A ZIP entry's name must be unique, short and free of folders; the name that ImageJ shows is inside."""
    stem = re.sub(r"[^\w .()+-]", "_", name)[:80]
    entry, number = stem, len(used)
    while entry in used:
        number += 1
        entry = f"{stem}-{number}"
    used.add(entry)
    return f"{entry}.roi"


def _encode(roi: roifile.ImagejRoi, name: str) -> bytes:
    """The ROI's bytes. roifile counts characters where ImageJ counts units of UTF-16: two for an emoji."""
    roi.name = name
    data = bytearray(roi.tobytes())
    extra = len(name.encode("utf-16-be")) // 2 - len(name)
    if extra:
        (header,) = struct.unpack_from(">i", data, 60)
        for at, more in ((header + 20, extra), (header + 40, 2 * extra)):  # the name's length, the properties' place
            struct.pack_into(">i", data, at, struct.unpack_from(">i", data, at)[0] + more)
    return bytes(data)


def _rectangle(boxes: Boxes, at: int, plain_stack: bool) -> roifile.ImagejRoi:
    x_min, y_min, x_max, y_max = boxes.xyxy[at].astype(np.float64).tolist()
    top, left, bottom, right = int(np.floor(y_min)), int(np.floor(x_min)), int(np.ceil(y_max)), int(np.ceil(x_max))
    if min(top, left) < -5000 or max(bottom, right) > 60536:
        raise RetinaJError(f"The box {boxes.xyxy[at].tolist()} is outside what ImageJ's ROIs can hold.")
    t, c, z = (0, 0, 0) if boxes.plane is None else (boxes.plane[at] + 1).tolist()
    position = 0
    if plain_stack and boxes.plane is not None:
        # Given both, ImageJ would take the hyperstack's and forget this one.
        position, t, c, z = t + z - 1, 0, 0, 0
    # Version 228 and this option make it a rectangle with sub-pixel corners; `frompoints` would make a freehand outline.
    return roifile.ImagejRoi(
        roitype=roifile.ROI_TYPE.RECT,
        version=228,
        options=roifile.ROI_OPTIONS.SUB_PIXEL_RESOLUTION,
        top=top,
        left=left,
        bottom=bottom,
        right=right,
        xd=x_min,
        yd=y_min,
        widthd=x_max - x_min,
        heightd=y_max - y_min,
        position=position,
        c_position=c if c > 1 else 0,
        z_position=z,
        t_position=t,
    )
