"""What the OME-XML in a TIFF says beyond the pixels: names of images and channels, physical sizes. It is not trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from retinaj.errors import RetinaJError
from retinaj.images.tiff_chain import MAX_PAGES

_LARGEST_XML = 64 * 2**20  # characters; that of a plate with 100,000 planes has about 20 million


@dataclass(frozen=True)
class OmeImage:
    """One image of an OME-XML.

    Attributes:
        name: for people; "" if it has none.
        channel_names: "" for a channel without one.
        physical_size: the size of a pixel along x, y and z with its "unit"; None if it is not stated.
    """

    name: str
    channel_names: tuple[str, ...]
    physical_size: dict[str, float | str] | None


def read_ome_xml(path: Path, xml: str) -> list[OmeImage]:
    """The images that an OME-XML describes, in its order.

    Args:
        path: the TIFF, for errors.
        xml: its first ImageDescription.

    Raises:
        RetinaJError: if it is not well-formed, absurdly large, has entities, or names a file in another folder as a part.
    """
    if len(xml) > _LARGEST_XML:
        raise RetinaJError(f"{path} has an OME-XML of {len(xml):,} characters; RetinaJ reads up to {_LARGEST_XML:,}.")
    try:
        # The declared encoding was that of the bytes.
        root = ElementTree.fromstring(xml.encode("utf-8", "replace"), forbid_dtd=True)
    except DefusedXmlException as error:
        raise RetinaJError(
            f"{path} has an OME-XML with a document type or entities, which OME-XML never needs and which can be made to "
            "fill the memory. Open it in ImageJ and save it as TIFF."
        ) from error
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise RetinaJError(f"{path} has a damaged OME-XML: {error}. Open it in ImageJ and save it as TIFF.") from error
    images: list[OmeImage] = []
    for element in root.iter():
        if _tag(element) == "UUID":
            _require_beside(path, element.get("FileName", ""))
        if _tag(element) == "Image":
            pixels = next((child for child in element if _tag(child) == "Pixels"), None)
            if pixels is not None:
                _require_few(path, pixels)
                names = tuple(child.get("Name", "") for child in pixels if _tag(child) == "Channel")
                images.append(OmeImage(element.get("Name", ""), names, _physical_size(pixels)))
    return images


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _require_beside(path: Path, name: str) -> None:
    """Images may be spread over the files of one folder; a path would let a TIFF show any file of its reader."""
    if "/" in name or "\\" in name or ":" in name or name == "..":
        raise RetinaJError(
            f"{path} has an OME-XML that names {name!r} as a part of the image; parts are read from the same folder only. Open "
            "it in ImageJ and save it as one TIFF."
        )


def _require_few(path: Path, pixels: Any) -> None:
    """tifffile makes a list of all planes, whether they are there or not."""
    sizes = [pixels.get(f"Size{axis}", "1") for axis in "TCZ"]
    if not all(size.isdecimal() and len(size) < 10 for size in sizes) or math.prod(map(int, sizes)) > MAX_PAGES:
        raise RetinaJError(
            f"{path} says in its OME-XML that it has {sizes[0][:20]} frames, {sizes[1][:20]} channels, {sizes[2][:20]} slices; "
            f"RetinaJ reads up to {MAX_PAGES:,} planes."
        )


def _physical_size(pixels: Any) -> dict[str, float | str] | None:
    size: dict[str, float | str] = {}
    unit = pixels.get("PhysicalSizeXUnit", "µm")
    for axis in "xyz":
        value = pixels.get(f"PhysicalSize{axis.upper()}")
        if value is None or pixels.get(f"PhysicalSize{axis.upper()}Unit", "µm") != unit:
            continue
        try:
            length = float(value)
        except ValueError:
            continue
        if math.isfinite(length) and length > 0:
            size[axis] = length
    if "x" not in size or "y" not in size or unit in ("pixel", "reference frame"):
        return None
    return {"unit": unit, **size}
