"""COCO: one JSON file for a whole set of images; bbox is [x, y, width, height], zero-based, in pixels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retinaj.annotations.annotation import Annotation, clean_name
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.files import require_file, write_text

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

    Ids may be any numbers or strings. Crowd regions (iscrowd) are no single objects and are left out, as are
    categories without any box; both are noted.

    Args:
        path: a JSON file with "images", "annotations" and "categories".

    Returns:
        One Annotation per image, in the file's order, also for images without objects. All share the same
        class names: the categories that have boxes, in the order of their ids.

    Raises:
        RetinaJError: if the file is missing, too large, not such JSON, or its ids do not agree.
    """
    content = _parse(Path(path))
    images = _unique(path, "image", [(image.id, image) for image in content.images])
    categories = _unique(path, "category", [(category.id, _name(path, category)) for category in content.categories])
    objects: dict[int | str, list[_Object]] = {key: [] for key in images}
    crowds: Counter[int | str] = Counter()
    for place, item in enumerate(content.annotations, 1):
        for kind, key, known in (("image", item.image_id, images), ("category", item.category_id, categories)):
            if key not in known:
                raise RetinaJError(f"{path}: annotation {place} has the {kind} {key!r}, which is not in the file.")
        if item.iscrowd:
            crowds[item.image_id] += 1
            continue
        if len(item.bbox) != 4:
            raise RetinaJError(f"{path}: annotation {place} has the bbox {item.bbox}; expected [x, y, width, height].")
        objects[item.image_id].append(item)

    used = {item.category_id for items in objects.values() for item in items}
    ordered = sorted(categories, key=lambda key: (isinstance(key, str), key if isinstance(key, int) else 0, str(key)))
    # Two categories of one name are one class: it is the name that a person sees.
    class_names = tuple(dict.fromkeys(categories[key] for key in ordered if key in used))
    index = {name: label for label, name in enumerate(class_names)}
    annotations: list[Annotation] = []
    for key, image in images.items():
        xywh = np.array([item.bbox for item in objects[key]], np.float64).reshape(-1, 4)
        label = np.array([index[categories[item.category_id]] for item in objects[key]], np.int32)
        boxes = Boxes(np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]]).astype(np.float32), label, class_names)
        size = (image.width, image.height) if image.width and image.height else None
        notes = [f"has {crowds[key]} crowd regions (iscrowd), which are left out"] if crowds[key] else []
        annotations.append(Annotation(Path(path), image.file_name, boxes, size, tuple(notes)))
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
    annotations: list[dict[str, object]] = []
    for image_id, (name, _, boxes) in enumerate(images, 1):
        if boxes.class_names != class_names:
            raise RetinaJError(f"The boxes of {name} have the classes {boxes.class_names}, others have {class_names}.")
        for at, (x_min, y_min, x_max, y_max) in enumerate(boxes.xyxy.astype(np.float64).tolist()):
            item: dict[str, object] = {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": int(boxes.label[at]) + 1,
                "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
                "area": max(0.0, x_max - x_min) * max(0.0, y_max - y_min),
                "iscrowd": 0,
            }
            if boxes.score is not None:
                item["score"] = float(boxes.score[at])
            annotations.append(item)
    content = {
        "images": [
            {"id": at, "file_name": name, "width": int(size[0]), "height": int(size[1])}
            for at, (name, size, _) in enumerate(images, 1)
        ],
        "annotations": annotations,
        "categories": [{"id": at, "name": name} for at, name in enumerate(class_names, 1)],
    }
    write_text(Path(path), json.dumps(content))


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
