"""Writing COCO: one JSON file for a whole set of images, piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from retinaj.annotations.annotation import Annotation
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.files import atomic_path


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
        write_all(temporary, annotations, class_names, None)


def write_all(target: Path, annotations: Iterable[Annotation], class_names: Sequence[str], images: Path | None) -> None:
    """One image after the other, so that of the file only the entries of images are ever in memory."""
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
    for at, (x_min, y_min, x_max, y_max) in enumerate(boxes.xyxy.astype(float).tolist()):
        item: dict[str, object] = {
            "category_id": int(boxes.label[at]) + 1,
            "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
            "area": max(0.0, x_max - x_min) * max(0.0, y_max - y_min),
            "iscrowd": int(annotation.detail(at).crowd),
        }
        if boxes.score is not None:
            item["score"] = float(boxes.score[at])
        yield item
