"""PASCAL VOC: one XML file per image, as LabelImg, CVAT and Roboflow write it.

Its pixel coordinates count from 1 and include the last pixel: (xmin, xmax) is x_min = xmin - 1, x_max = xmax.
"""

from __future__ import annotations

import math
import re

# Only to build what is written; all reading goes through defusedxml.
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import defusedxml.ElementTree as SafeElementTree
import numpy as np
from defusedxml.common import DefusedXmlException

from retinaj.annotations.annotation import NO_DETAILS, Annotation, ObjectDetails, clean_name
from retinaj.annotations.files import annotation_files, beginning, file_stem, first_files
from retinaj.annotations.format import AnnotationFormat, Reading
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
        The boxes as written, in zero-based half-open pixels; class names sorted. Objects without a name or a coordinate are
        in `faults`.

    Raises:
        RetinaJError: if the file is missing, too large, not XML, or contains entities or a document type.
    """
    path = Path(path)
    root = _parse(path)
    if root.tag != "annotation":
        raise RetinaJError(f"{path} is not a PASCAL VOC annotation: its root is <{root.tag[:40]}>, not <annotation>.")
    found: list[_Object] = []
    faults: list[str] = []
    for place, element in enumerate(root.findall("object"), 1):
        try:
            found.append(_object(f"object {place}", element))
        except RetinaJError as error:
            faults.append(str(error))
    class_names = tuple(sorted({each.name for each in found}))
    corners = np.array([each.corners for each in found], np.float64).reshape(-1, 4)
    notes: list[str] = []
    if len(corners) and (corners[:, :2] == 0).any():
        notes.append("has coordinates of 0, although PASCAL VOC counts from 1: its boxes may be one pixel off")
    index = {name: label for label, name in enumerate(class_names)}
    label = np.array([index[each.name] for each in found], np.int32)
    details = tuple(each.details for each in found)
    return Annotation(
        source=path,
        image_name=(root.findtext("filename") or "").strip(),
        boxes=Boxes((corners - (1, 1, 0, 0)).astype(np.float32), label, class_names),
        size=_size(root),
        notes=tuple(notes),
        stem=path.stem,
        depth=_depth(root),
        details=details if any(each != NO_DETAILS for each in details) else (),
        places=tuple(each.place for each in found),
        faults=tuple(faults),
    )


def write(
    path: Path,
    boxes: Boxes,
    *,
    image_name: str,
    size: tuple[int, int],
    channels: int = 3,
    details: Sequence[ObjectDetails] = (),
) -> None:
    """Write one VOC file, whole or not at all: what `to_xml` makes.

    Raises:
        RetinaJError: if a name contains a character that XML cannot hold.
    """
    content = to_xml(boxes, image_name=image_name, size=size, channels=channels, details=details)
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(content)


def to_xml(
    boxes: Boxes,
    *,
    image_name: str,
    size: tuple[int, int],
    channels: int = 3,
    details: Sequence[ObjectDetails] = (),
) -> bytes:
    """The content of a VOC file. Scores and planes have no place in VOC and are left out.

    Coordinates are written with as many digits as they need: `read` gives the same boxes back.

    Args:
        boxes: what to write.
        image_name: the image's file name.
        size: (width, height) of the image in pixels.
        channels: of the image, VOC's <depth>.
        details: one per box, or none.

    Raises:
        RetinaJError: if a name contains a character that XML cannot hold.
    """
    root = ElementTree.Element("annotation")
    _add(root, "filename", image_name)
    element = ElementTree.SubElement(root, "size")
    for tag, value in zip(("width", "height", "depth"), (*size, channels), strict=True):
        _add(element, tag, str(value))
    _add(root, "segmented", "0")
    flags = details or [NO_DETAILS] * len(boxes)
    for xyxy, name, flag in zip(boxes.xyxy.astype(np.float64).tolist(), boxes.names, flags, strict=True):
        element = ElementTree.SubElement(root, "object")
        _add(element, "name", name)
        _add(element, "pose", "Unspecified")
        _add(element, "truncated", str(int(flag.truncated)))
        _add(element, "difficult", str(int(flag.difficult)))
        if flag.occluded:
            _add(element, "occluded", "1")
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


@dataclass(frozen=True)
class _Object:
    place: str
    name: str
    corners: list[float]
    details: ObjectDetails


def _object(place: str, element: Element) -> _Object:
    name = clean_name(element.findtext("name") or "", place)
    if not name:
        raise RetinaJError(f"{place} has no <name>; give it a class.")
    corners = [_corner(place, element, tag) for tag in _CORNERS]
    difficult, truncated, occluded = (_flag(element, tag) for tag in ("difficult", "truncated", "occluded"))
    details = ObjectDetails(difficult=difficult, truncated=truncated, occluded=occluded)
    return _Object(place, name, corners, details)


def _corner(place: str, element: Element, tag: str) -> float:
    text = element.findtext(f"bndbox/{tag}")
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        value = math.nan
    if not abs(value) < 1e9:
        got = "is missing" if text is None else f"is {text[:40]!r}"
        raise RetinaJError(f"{place}: <{tag}> {got}; expected a number of pixels.")
    return value


def _flag(element: Element, tag: str) -> bool:
    return (element.findtext(tag) or "").strip().lower() in ("1", "true", "yes")


def _depth(root: Element) -> int | None:
    text = (root.findtext("size/depth") or "").strip()
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 6 and int(text) else None


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


def _recognises(path: Path) -> bool:
    return any(_is_voc(beginning(file)) for file in first_files(path, (".xml",)))


def _is_voc(start: bytes) -> bool:
    # UTF-16 has a zero byte beside each of these letters.
    return b"<annotation" in start.replace(b"\0", b"")


def _read_all(path: Path, reading: Reading) -> list[Annotation]:
    return [read(file) for file in annotation_files(path, (".xml",))]


def _write_all(target: Path, annotations: Iterable[Annotation], class_names: Sequence[str], images: Path | None) -> None:
    target.mkdir(exist_ok=True)
    for annotation in annotations:
        file = target / f"{file_stem(annotation)}.xml"
        if file.exists():
            raise RetinaJError(f"{annotation.source}: two images of the name {file.stem!r} cannot both go to {file.name}.")
        file.write_bytes(
            to_xml(
                annotation.boxes,
                image_name=annotation.image_name,
                size=annotation.size or (0, 0),
                channels=annotation.depth or 3,
                details=annotation.details,
            )
        )


FORMAT = AnnotationFormat(
    name="voc",
    title="PASCAL VOC (one .xml per image)",
    layout="folder",
    suffix=".xml",
    holds=frozenset({"fraction", "empty", "difficult", "truncated", "occluded"}),
    recognises=_recognises,
    read=_read_all,
    write=_write_all,
    needs_size=True,
)
