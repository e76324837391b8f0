"""PASCAL VOC: one XML file per image, as LabelImg, CVAT and Roboflow write it.

Its pixel coordinates count from 1 and include the last pixel: (xmin, xmax) is x_min = xmin - 1, x_max = xmax.
"""

from __future__ import annotations

import math
import re

# Only to build what is written; all reading goes through defusedxml.
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING

import defusedxml.ElementTree as SafeElementTree
import numpy as np
from defusedxml.common import DefusedXmlException

from retinaj.annotations.annotation import Annotation, clean_name
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.files import atomic_path, require_file

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_FILE_BYTES = 32 * 1024**2  # about 100,000 objects; the largest real ones have hundreds

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(path: Path) -> Annotation:
    """Read one VOC file.

    Args:
        path: an XML file with the root element <annotation>. <size> and <filename> may be missing.

    Returns:
        The boxes as written, in zero-based half-open pixels; class names sorted.

    Raises:
        RetinaJError: if the file is missing, too large, not XML, contains entities or a document type, or an
            object lacks a name or a coordinate.
    """
    root = _parse(Path(path))
    if root.tag != "annotation":
        raise RetinaJError(f"{path} is not a PASCAL VOC annotation: its root is <{root.tag[:40]}>, not <annotation>.")
    objects = root.findall("object")
    names = [_name(path, place, element) for place, element in enumerate(objects, 1)]
    class_names = tuple(sorted(set(names)))
    corners = np.array([_corners(path, place, element) for place, element in enumerate(objects, 1)], np.float64)
    xyxy = corners.reshape(-1, 4) - (1, 1, 0, 0)
    notes: list[str] = []
    if len(xyxy) and (corners.reshape(-1, 4)[:, :2] == 0).any():
        notes.append("has coordinates of 0, although PASCAL VOC counts from 1: its boxes may be one pixel off")
    index = {name: label for label, name in enumerate(class_names)}
    label = np.array([index[name] for name in names], np.int32)
    boxes = Boxes(xyxy.astype(np.float32), label, class_names)
    return Annotation(Path(path), (root.findtext("filename") or "").strip(), boxes, _size(root), tuple(notes))


def write(path: Path, boxes: Boxes, *, image_name: str, size: tuple[int, int], channels: int = 3) -> None:
    """Write one VOC file, whole or not at all: what `to_xml` makes.

    Raises:
        RetinaJError: if a name contains a character that XML cannot hold.
    """
    content = to_xml(boxes, image_name=image_name, size=size, channels=channels)
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(content)


def to_xml(boxes: Boxes, *, image_name: str, size: tuple[int, int], channels: int = 3) -> bytes:
    """The content of a VOC file. Scores and planes have no place in VOC and are left out.

    Coordinates are written with as many digits as they need: `read` gives the same boxes back.

    Args:
        boxes: what to write.
        image_name: the image's file name.
        size: (width, height) of the image in pixels.
        channels: of the image, VOC's <depth>.

    Raises:
        RetinaJError: if a name contains a character that XML cannot hold.
    """
    root = ElementTree.Element("annotation")
    _add(root, "filename", image_name)
    element = ElementTree.SubElement(root, "size")
    for tag, value in zip(("width", "height", "depth"), (*size, channels), strict=True):
        _add(element, tag, str(value))
    _add(root, "segmented", "0")
    for xyxy, name in zip(boxes.xyxy.astype(np.float64).tolist(), boxes.names, strict=True):
        element = ElementTree.SubElement(root, "object")
        for tag, text in (("name", name), ("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
            _add(element, tag, text)
        box = ElementTree.SubElement(element, "bndbox")
        for tag, value, shift in zip(_CORNERS, xyxy, (1, 1, 0, 0), strict=True):
            _add(box, tag, f"{value + shift:.17g}")
    ElementTree.indent(root, "\t")
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _parse(path: Path) -> Element:
    require_file(path, "a PASCAL VOC annotation (XML)")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise RetinaJError(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MB; that is not one image's annotation.")
    try:
        root = SafeElementTree.parse(path, forbid_dtd=True).getroot()
    except DefusedXmlException as error:
        raise RetinaJError(f"{path} defines entities or a document type; RetinaJ does not read such XML.") from error
    except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
        raise RetinaJError(f"{path} is not readable XML: {error}.") from error
    if root is None:
        raise RetinaJError(f"{path} is not readable XML: it has no element.")
    return root


def _name(path: Path, place: int, element: Element) -> str:
    name = clean_name(element.findtext("name") or "", f"{path}: object {place}")
    if not name:
        raise RetinaJError(f"{path}: object {place} has no <name>; give it a class.")
    return name


def _corners(path: Path, place: int, element: Element) -> list[float]:
    values: list[float] = []
    for tag in _CORNERS:
        text = element.findtext(f"bndbox/{tag}")
        try:
            value = float(text) if text is not None else math.nan
        except ValueError:
            value = math.nan
        if not abs(value) < 1e9:
            got = "is missing" if text is None else f"is {text[:40]!r}"
            raise RetinaJError(f"{path}: object {place}: <{tag}> {got}; expected a number of pixels.")
        values.append(value)
    return values


def _size(root: Element) -> tuple[int, int] | None:
    try:
        width, height = (int(float(root.findtext(f"size/{tag}") or "")) for tag in ("width", "height"))
    except (ValueError, OverflowError):
        return None
    return (width, height) if width > 0 and height > 0 else None


def _add(parent: Element, tag: str, text: str) -> None:
    if found := _NOT_XML.search(text):
        raise RetinaJError(f"The name {text!r} contains {found.group()!r}, which XML cannot hold; rename it.")
    ElementTree.SubElement(parent, tag).text = text
