"""COCO: one JSON file for a whole set of images; bbox is [x, y, width, height], zero-based, in pixels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retinaj.annotations.annotation import Annotation, ObjectDetails, clean_name
from retinaj.annotations.files import beginning, first_files
from retinaj.annotations.format import AnnotationFormat, Reading
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.files import atomic_path, require_file

MAX_FILE_BYTES = 1024**3  # COCO's own largest file has 450 MB

_Value = TypeVar("_Value")
_Pixels = Annotated[float, Field(gt=-1e9, lt=1e9)]


class _Loose(BaseModel):
    """Fields that we do not need (segmentation, licences, ...) may be there and are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class _Image(_Loose):
    id: int | str
    file_name: str
    width: int | None = None
    height: int | None = None


class _Object(_Loose):
    image_id: int | str
    category_id: int | str
    bbox: Annotated[list[_Pixels], Field(max_length=4)] = []
    iscrowd: int = 0


class _Category(_Loose):
    id: int | str
    name: Annotated[str, Field(min_length=1)]


class _File(_Loose):
    images: list[_Image]
    annotations: list[_Object]
    categories: Annotated[list[_Category], Field(min_length=1)]


def read(path: Path) -> list[Annotation]:
    """Read one COCO file.

    Ids may be any numbers or strings. Crowd regions (iscrowd) are flagged in `details`; categories without any box are left
    out.

    Args:
        path: a JSON file with "images", "annotations" and "categories".

    Returns:
        One Annotation per image, in the file's order, also for images without objects. All share the same
        class names: the categories that have boxes, in the order of their ids.

    Raises:
        RetinaJError: if the file is missing, too large, not such JSON, or its ids do not agree. Objects without a box are in
            `faults`.
    """
    content = _parse(Path(path))
    images = _unique(path, "image", [(image.id, image) for image in content.images])
    categories = _unique(path, "category", [(category.id, _name(path, category)) for category in content.categories])
    objects: dict[int | str, list[tuple[str, _Object]]] = {key: [] for key in images}
    faults: dict[int | str, list[str]] = {key: [] for key in images}
    for number, item in enumerate(content.annotations, 1):
        place = f"annotation {number}"
        for kind, key, known in (("image", item.image_id, images), ("category", item.category_id, categories)):
            if key not in known:
                raise RetinaJError(f"{path}: {place} has the {kind} {key!r}, which is not in the file.")
        if len(item.bbox) == 4:
            objects[item.image_id].append((place, item))
        else:
            faults[item.image_id].append(f"{place} has the bbox {item.bbox}; expected [x, y, width, height].")

    used = {item.category_id for items in objects.values() for _, item in items}
    ordered = sorted(categories, key=lambda key: (isinstance(key, str), key if isinstance(key, int) else 0, str(key)))
    # Two categories of one name are one class: it is the name that a person sees.
    class_names = tuple(dict.fromkeys(categories[key] for key in ordered if key in used))
    index = {name: label for label, name in enumerate(class_names)}
    annotations: list[Annotation] = []
    for key, image in images.items():
        items = [item for _, item in objects[key]]
        xywh = np.array([item.bbox for item in items], np.float64).reshape(-1, 4)
        label = np.array([index[categories[item.category_id]] for item in items], np.int32)
        crowd = any(item.iscrowd for item in items)
        annotations.append(
            Annotation(
                source=Path(path),
                image_name=image.file_name,
                boxes=Boxes(np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]]).astype(np.float32), label, class_names),
                size=(image.width, image.height) if image.width and image.height else None,
                details=tuple(ObjectDetails(crowd=bool(item.iscrowd)) for item in items) if crowd else (),
                places=tuple(place for place, _ in objects[key]),
                faults=tuple(faults[key]),
            )
        )
    return annotations


def write(path: Path, images: Sequence[tuple[str, tuple[int, int], Boxes]]) -> None:
    """Write one COCO file, whole or not at all; scores, where there are any, go to "score". Planes are not written.

    Args:
        path: the JSON file.
        images: (file name, (width, height) in pixels, boxes) of each image; all boxes of the same class
            names.

    Raises:
        RetinaJError: if there is no image, or the class names differ.
    """
    if not images:
        raise RetinaJError(f"There are no images to write to {path}.")
    class_names = images[0][2].class_names
    for name, _, boxes in images:
        if boxes.class_names != class_names:
            raise RetinaJError(f"The boxes of {name} have the classes {boxes.class_names}, others have {class_names}.")
    annotations = (Annotation(Path(path), name, boxes, size) for name, size, boxes in images)
    with atomic_path(Path(path)) as temporary:
        _write_all(temporary, annotations, class_names, None)


def _write_all(target: Path, annotations: Iterable[Annotation], class_names: Sequence[str], images: Path | None) -> None:
    """One image after the other, so that what is in memory does not grow with the file."""
    entries: list[str] = []
    count = 0
    with target.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write('{"annotations": [')
        for image_id, annotation in enumerate(annotations, 1):
            width, height = annotation.size or (None, None)
            entry = {"id": image_id, "file_name": annotation.image_name, "width": width, "height": height}
            entries.append(json.dumps({key: value for key, value in entry.items() if value is not None}))
            for item in _items(annotation):
                count += 1
                stream.write(("" if count == 1 else ", ") + json.dumps({"id": count, "image_id": image_id} | item))
        categories = json.dumps([{"id": at, "name": name} for at, name in enumerate(class_names, 1)])
        stream.write(f'], "images": [{", ".join(entries)}], "categories": {categories}}}')


def _items(annotation: Annotation) -> Iterable[dict[str, object]]:
    boxes = annotation.boxes
    for at, (x_min, y_min, x_max, y_max) in enumerate(boxes.xyxy.astype(np.float64).tolist()):
        item: dict[str, object] = {
            "category_id": int(boxes.label[at]) + 1,
            "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
            "area": max(0.0, x_max - x_min) * max(0.0, y_max - y_min),
            "iscrowd": int(annotation.detail(at).crowd),
        }
        if boxes.score is not None:
            item["score"] = float(boxes.score[at])
        yield item


def _parse(path: Path) -> _File:
    require_file(path, "a COCO annotation (JSON)")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise RetinaJError(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MB; split it.")
    try:
        return _File.model_validate_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise RetinaJError(
            f"{path} is not a COCO annotation: {place}: {first['msg']}. "
            'Expected JSON with "images", "annotations" and "categories".'
        ) from error
    except OSError as error:
        raise RetinaJError(f"{path} cannot be read: {error.strerror or error}.") from error


def _name(path: Path, category: _Category) -> str:
    name = clean_name(category.name, f"{path}: category {category.id!r}")
    if not name:
        raise RetinaJError(f"{path}: category {category.id!r} has no name; give it one.")
    return name


def _unique(path: Path, kind: str, items: list[tuple[int | str, _Value]]) -> dict[int | str, _Value]:
    found: dict[int | str, _Value] = {}
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
    write=_write_all,
)
