"""labelme: one JSON file per image with shapes, as labelme and X-AnyLabeling write it; each shape becomes its bounding box."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from retinaj.annotations.annotation import NO_DETAILS, Annotation, ObjectDetails, clean_name
from retinaj.annotations.collecting import MAX_PIXELS, ObjectCollector
from retinaj.annotations.files import annotation_files, beginning, first_files, new_file
from retinaj.annotations.format import AnnotationFormat, Reading
from retinaj.errors import RetinaJError
from retinaj.files import require_file

MAX_FILE_BYTES = 128 * 1024**2  # the image itself may be inside

_VERSION = "5.0.0"  # of labelme: the first number says which files it opens
_FLAGS = ("difficult", "truncated", "occluded", "crowd")
_Pixels = Annotated[float, Field(gt=-MAX_PIXELS, lt=MAX_PIXELS)]


class _Loose(BaseModel):
    """Further keys may be there and are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class _Shape(_Loose):
    label: Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]
    points: Annotated[list[Annotated[list[_Pixels], Field(min_length=2, max_length=2)]], Field(min_length=1)]
    shape_type: str | None = "polygon"
    group_id: int | str | None = None
    flags: dict[str, Any] | None = None
    description: str | None = None
    difficult: bool | None = None  # X-AnyLabeling has it here
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    properties: dict[str, str] | None = None


class _File(BaseModel):
    # Numbers that are none are the fault of one shape, not of the file.
    model_config = ConfigDict(extra="ignore", frozen=True)

    shapes: list[Any]
    imagePath: str | None = None  # noqa: N815 - labelme's names
    imageWidth: Any = None  # noqa: N815
    imageHeight: Any = None  # noqa: N815


def read(path: Path) -> Annotation:
    """Read one labelme file.

    Args:
        path: a JSON file with "shapes". The image in it ("imageData"), if any, is left alone.

    Returns:
        The smallest rectangle around each shape, in pixels. Shapes of one label with the same group_id are one object, as in
        labelme's own exporters. The flags difficult, truncated, occluded and crowd are kept as such; other flags that are
        set, and the description, as properties. Shapes that cannot be read are in `faults`.

    Raises:
        RetinaJError: if the file is missing, too large or not such JSON.
    """
    path = Path(path)
    content = _parse(path)
    objects = ObjectCollector(path)
    grouped: dict[object, list[tuple[str, _Shape]]] = {}
    for at, item in enumerate(content.shapes, 1):
        place = f"shape {at}"
        try:
            shape = _shape(place, item)
            if shape.group_id is None:
                _add(objects, [(place, shape)])
            else:
                grouped.setdefault((shape.label, str(shape.group_id)), []).append((place, shape))
        except RetinaJError as error:
            objects.fault(str(error))
    for parts in grouped.values():
        try:
            _add(objects, parts)
        except RetinaJError as error:
            objects.fault(str(error))
    return objects.annotation((content.imagePath or "").strip(), stem=path.stem, size=_size(content))


def _parse(path: Path) -> _File:
    require_file(path, "a labelme annotation (JSON)")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise RetinaJError(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MB; that is not one image's annotation.")
    try:
        return _File.model_validate_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as error:
        reason = _reason(error)
        raise RetinaJError(f'{path} is not a labelme annotation: {reason}. Expected JSON with "shapes".') from error
    except OSError as error:
        raise RetinaJError(f"{path} cannot be read: {error.strerror or error}.") from error


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))} {first['msg']}".strip()


def _shape(place: str, item: object) -> _Shape:
    try:
        return _Shape.model_validate(item)
    except ValidationError as error:
        raise RetinaJError(f"{place}: {_reason(error)}.") from error


def _add(objects: ObjectCollector, parts: Sequence[tuple[str, _Shape]]) -> None:
    place, first = parts[0]
    name = clean_name(first.label, place)
    if not name:
        raise RetinaJError(f"{place} has no label; give it a class.")
    corners = [_corners(each, shape) for each, shape in parts]
    if len(parts) > 1:
        objects.notes.append(f"{place} and {len(parts) - 1} more of group {first.group_id!r} ({name}) are one object")
    x_min, y_min, x_max, y_max = zip(*corners, strict=True)
    box = (min(x_min), min(y_min), max(x_max), max(y_max))
    objects.add(place, name, box, score=first.score, details=_details(place, first))


def _corners(place: str, shape: _Shape) -> tuple[float, float, float, float]:
    points = shape.points
    if shape.shape_type == "circle":  # its centre, and a point on it
        if len(points) != 2:
            raise RetinaJError(f"{place} is a circle of {len(points)} points; expected its centre and a point on it.")
        (x, y), radius = points[0], math.dist(*points)
        return x - radius, y - radius, x + radius, y + radius
    if shape.shape_type == "rectangle" and len(points) < 2:
        raise RetinaJError(f"{place} is a rectangle of {len(points)} points; expected two corners.")
    x, y = zip(*points, strict=True)
    return min(x), min(y), max(x), max(y)


def _details(place: str, shape: _Shape) -> ObjectDetails:
    flags = {name: value for name, value in (shape.flags or {}).items() if value is True}
    known = {name: flags.pop(name, False) for name in _FLAGS}
    known["difficult"] = known["difficult"] or bool(shape.difficult)
    properties = {clean_name(name, place): "true" for name in flags} | (shape.properties or {})
    if shape.description:
        properties["description"] = shape.description
    if not properties and not any(known.values()):
        return NO_DETAILS
    return replace(ObjectDetails(properties=properties), **known)


def _size(content: _File) -> tuple[int, int] | None:
    width, height = content.imageWidth, content.imageHeight
    if isinstance(width, int) and isinstance(height, int) and 0 < width < MAX_PIXELS and 0 < height < MAX_PIXELS:
        return width, height
    return None


def _recognises(path: Path) -> bool:
    return any(_is_labelme(beginning(file, 2**16)) for file in first_files(path, (".json",)))


def _is_labelme(start: bytes) -> bool:
    start = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"{") and (b'"shapes"' in start or b'"imagePath"' in start)


def _read_all(path: Path, reading: Reading) -> list[Annotation]:
    return [read(file) for file in annotation_files(path, (".json",))]


def _write_all(target: Path, annotations: Iterable[Annotation], class_names: Sequence[str], images: Path | None) -> None:
    target.mkdir(exist_ok=True)
    for annotation in annotations:
        width, height = annotation.size or (None, None)
        content = {
            "version": _VERSION,
            "flags": {},
            "shapes": list(_shapes(annotation)),
            "imagePath": annotation.image_name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        text = json.dumps(content, ensure_ascii=False, indent=2)
        new_file(target, annotation, ".json").write_text(text + "\n", "utf-8", newline="\n")


def _shapes(annotation: Annotation) -> Iterable[Mapping[str, object]]:
    boxes = annotation.boxes
    corners = cast("list[list[float]]", boxes.xyxy.astype(np.float64).tolist())
    for at, (name, (x_min, y_min, x_max, y_max)) in enumerate(zip(boxes.names, corners, strict=True)):
        detail = annotation.detail(at)
        # labelme keeps keys that it does not know.
        more: dict[str, object] = {} if boxes.score is None else {"score": float(boxes.score[at])}
        properties = dict(detail.properties)
        description = properties.pop("description", "")
        if properties:
            more["properties"] = properties
        yield {
            "label": name,
            "points": [[x_min, y_min], [x_max, y_max]],
            "group_id": None,
            "description": description,
            "shape_type": "rectangle",
            "flags": {flag: True for flag in _FLAGS if getattr(detail, flag)},
        } | more


FORMAT = AnnotationFormat(
    name="labelme",
    title="labelme (one .json per image)",
    layout="folder",
    suffix=".json",
    holds=frozenset({"score", "fraction", "empty", "difficult", "truncated", "occluded", "crowd", "properties"}),
    recognises=_recognises,
    read=_read_all,
    write=_write_all,
    image_folder=".",
    next_step="labelme opens them once the images lie beside them; --copy-images puts them there.",
)
