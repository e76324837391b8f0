"""COCO: one JSON file for a whole set of images; bbox is [x, y, width, height], zero-based, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retinaj.annotations.annotation import Annotation, ObjectDetails, clean_name
from retinaj.annotations.coco_writing import write, write_all
from retinaj.annotations.files import beginning, first_files
from retinaj.annotations.format import AnnotationFormat, Reading
from retinaj.annotations.segmentation import Corners, is_pixels, segmentation_corners
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.files import require_file

__all__ = ["FORMAT", "MAX_FILE_BYTES", "read", "write"]

MAX_FILE_BYTES = 1024**3  # COCO's own largest file has 450 MB

_Value = TypeVar("_Value")
_Model = TypeVar("_Model", bound=BaseModel)
_Key = int | str


class _Loose(BaseModel):
    """Fields that we do not need (licences, areas, ...) may be there and are ignored.

    What belongs to a single object is not looked at here: one bad object must not be the end of the file.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class _Image(_Loose):
    id: _Key
    file_name: str
    width: int | None = None
    height: int | None = None


class _Object(_Loose):
    image_id: _Key
    category_id: Any = None
    bbox: Any = None
    score: Any = None
    iscrowd: Any = 0


class _Category(_Loose):
    id: _Key
    name: Annotated[str, Field(min_length=1)]


class _File(_Loose):
    images: list[_Image]
    annotations: list[_Object]
    categories: Annotated[list[_Category], Field(min_length=1)]


class _Outline(_Loose):
    segmentation: Any = None


class _Outlines(_Loose):
    annotations: list[_Outline]


@dataclass
class _Found:
    """What the file has for one image."""

    places: list[str] = field(default_factory=list[str])
    objects: list[tuple[_Key, Corners, _Object]] = field(default_factory=list[tuple[_Key, Corners, _Object]])
    faults: list[str] = field(default_factory=list[str])


def read(path: Path) -> list[Annotation]:
    """Read one COCO file.

    Ids may be any numbers or strings. An object without a bbox gets the box around its segmentation. Crowd regions
    (iscrowd) are flagged in `details`; categories without any box are left out.

    Args:
        path: a JSON file with "images", "annotations" and "categories".

    Returns:
        One Annotation per image, in the file's order, also for images without objects. All share the same
        class names: the categories that have boxes, in the order of their ids. They have scores if each object has a
        "score" from 0 to 1.

    Raises:
        RetinaJError: if the file is missing, too large, not such JSON, or an object's image is not in it. Objects without a
            readable box or a known category are in `faults`.
    """
    path = Path(path)
    text = _content(path)
    content = _parse(path, text, _File)
    images = _unique(path, "image", [(image.id, image) for image in content.images])
    categories = _unique(path, "category", [(category.id, _name(path, category)) for category in content.categories])
    found = {key: _Found() for key in images}
    boxless = any(not item.bbox for item in content.annotations)
    # Read a second time rather than always: outlines are nearly all of a file, and take many times its size in memory.
    outlines = _parse(path, text, _Outlines).annotations if boxless else []
    for at, item in enumerate(content.annotations):
        place = f"annotation {at + 1}"
        if item.image_id not in images:
            raise RetinaJError(f"{path}: {place} has the image {item.image_id!r}, which is not in the file.")
        of_image = found[item.image_id]
        try:
            category = _category(item, categories)
            corners = _corners(item, outlines[at] if outlines else None)
        except ValueError as error:
            of_image.faults.append(f"{place} has {error}.")
        else:
            of_image.places.append(place)
            of_image.objects.append((category, corners, item))

    used = {category for each in found.values() for category, _, _ in each.objects}
    ordered = sorted(categories, key=lambda key: (isinstance(key, str), key if isinstance(key, int) else 0, str(key)))
    # Two categories of one name are one class: it is the name that a person sees.
    class_names = tuple(dict.fromkeys(categories[key] for key in ordered if key in used))
    index = {name: label for label, name in enumerate(class_names)}
    label_of = {key: index[categories[key]] for key in used}
    objects = [item for each in found.values() for _, _, item in each.objects]
    scored = bool(objects) and all(is_pixels(item.score) and 0 <= item.score <= 1 for item in objects)
    return [_annotation(path, images[key], each, label_of, class_names, scored) for key, each in found.items()]


def _annotation(
    path: Path, image: _Image, found: _Found, label_of: dict[_Key, int], class_names: tuple[str, ...], scored: bool
) -> Annotation:
    crowd = [item.iscrowd in (1, "1") for _, _, item in found.objects]
    return Annotation(
        source=path,
        image_name=image.file_name,
        boxes=Boxes(
            np.array([corners for _, corners, _ in found.objects], np.float32),
            np.array([label_of[category] for category, _, _ in found.objects], np.int32),
            class_names,
            np.array([item.score for _, _, item in found.objects], np.float32) if scored else None,
        ),
        size=(image.width, image.height) if image.width and image.height and min(image.width, image.height) > 0 else None,
        details=tuple(ObjectDetails(crowd=each) for each in crowd) if any(crowd) else (),
        places=tuple(found.places),
        faults=tuple(found.faults),
    )


def _category(item: _Object, categories: dict[_Key, str]) -> _Key:
    key = item.category_id
    if not isinstance(key, int | str) or key not in categories:
        raise ValueError(f"the category {_short(key)}, which is not in the file")
    return key


def _corners(item: _Object, outline: _Outline | None) -> Corners:
    if item.bbox:
        if not (isinstance(item.bbox, list) and len(item.bbox) == 4 and all(map(is_pixels, item.bbox))):  # pyright: ignore
            raise ValueError(f"the bbox {_short(item.bbox)}; expected [x, y, width, height] in pixels")
        x, y, width, height = item.bbox
        return x, y, x + width, y + height
    segmentation = None if outline is None else outline.segmentation
    if not segmentation:
        raise ValueError("neither a bbox nor a segmentation; expected a bbox [x, y, width, height] in pixels")
    try:
        return segmentation_corners(segmentation)
    except ValueError as error:
        raise ValueError(f"no bbox, and as segmentation {error}") from error


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _content(path: Path) -> bytes:
    require_file(path, "a COCO annotation (JSON)")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise RetinaJError(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MB; split it.")
    try:
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise RetinaJError(f"{path} cannot be read: {error.strerror or error}.") from error
    if text[:4096].lstrip().startswith(b"[") and b'"image_id"' in text[:4096]:
        raise RetinaJError(
            f"{path} is a list of COCO results (detections with image and category numbers): the names of the images and "
            'classes are not in it. Expected the annotation file that has them, with "images", "annotations" and "categories".'
        )
    return text


def _parse(path: Path, text: bytes, model: type[_Model]) -> _Model:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise RetinaJError(
            f"{path} is not a COCO annotation: {place}: {first['msg']}. "
            'Expected JSON with "images", "annotations" and "categories".'
        ) from error


def _name(path: Path, category: _Category) -> str:
    name = clean_name(category.name, f"{path}: category {category.id!r}")
    if not name:
        raise RetinaJError(f"{path}: category {category.id!r} has no name; give it one.")
    return name


def _unique(path: Path, kind: str, items: Sequence[tuple[_Key, _Value]]) -> dict[_Key, _Value]:
    found: dict[_Key, _Value] = {}
    for key, value in items:
        if key in found:
            raise RetinaJError(f"{path} has two {kind} entries with the id {key!r}; ids must differ.")
        found[key] = value
    return found


def _recognises(path: Path) -> bool:
    if path.is_dir():  # a folder of JSON files is labelme's; COCO is one file
        return False
    start = beginning(path, 2**16).lstrip(b"\xef\xbb\xbf \t\r\n")
    return bool(first_files(path, (".json",))) and start.startswith(b"{") and any(key in start for key in _KEYS)


_KEYS = (b'"images"', b'"annotations"', b'"categories"')


def _read_all(path: Path, reading: Reading) -> list[Annotation]:
    return read(path)


FORMAT = AnnotationFormat(
    name="coco",
    title="COCO (one .json for all images)",
    layout="file",
    suffix=".json",
    holds=frozenset({"score", "fraction", "empty", "crowd"}),
    recognises=_recognises,
    read=_read_all,
    write=write_all,
)
