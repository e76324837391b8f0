"""YOLO: one text file per image, "class x_center y_center width height" a line, in shares of the image's size.

As Ultralytics, Darknet, LabelImg, CVAT, Label Studio and Roboflow write it: the images lie in images/ beside labels/, or
beside the labels themselves, and the names of the classes in a data.yaml, classes.txt or obj.names. A line with five numbers
behind the class ends with a score, one with six or more is the outline of an object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from retinaj.annotations.annotation import Annotation
from retinaj.annotations.class_files import ClassFile, find_class_file, read_class_file
from retinaj.annotations.collecting import ObjectCollector, number, share
from retinaj.annotations.files import beginning, new_file
from retinaj.annotations.format import AnnotationFormat, Reading
from retinaj.annotations.text_files import is_number, numbered_lines
from retinaj.annotations.yolo_folders import LabelImages, first_label_lines, has_labels, yolo_labels
from retinaj.errors import RetinaJError
from retinaj.images import read_header

_FARTHEST = 2.0  # beyond that a coordinate is not a share of the image's size, but pixels
_KEYS = ("x_center", "y_center", "width", "height")
_YAML = (".yaml", ".yml")


def read_all(path: Path, reading: Reading) -> list[Annotation]:
    """Read YOLO's labels.

    Args:
        path: a label file, a folder of them, a data set's folder with labels/ somewhere in it, or its data.yaml.
        reading: `images` and `classes` say where the images and the names of the classes are, if not where YOLO's tools
            expect them.

    Returns:
        One Annotation per label file, with boxes in pixels. Without names, the classes are called by their numbers. Lines
        that cannot be read, and labels whose image is missing, are in `faults`.

    Raises:
        RetinaJError: if there are no labels, the images of none of them are there, or a file is broken as a whole.
    """
    class_path = reading.classes
    if path.suffix.lower() in _YAML and path.is_file():
        path, class_path = path.parent, class_path or path
    files = yolo_labels(path)
    folder = path if path.is_dir() else path.parent
    class_path = class_path or find_class_file(folder) or find_class_file(files[0].path.parent)
    classes = None if class_path is None else read_class_file(class_path)
    collected = [_collect(file.path, classes) for file in files]
    if classes is None:
        for objects in [each for each in collected if len(each)][:1]:  # once is enough
            objects.notes.append("no data.yaml or classes.txt names the classes, so that they are called by their numbers")
        names = tuple(sorted({name for objects in collected for name in objects.names}, key=int))
    else:
        names = tuple(dict.fromkeys(classes.names.values()))

    images = LabelImages(reading.images)
    found = [images.find(file) for file in files]
    if not any(found) and any(map(len, collected)):
        raise RetinaJError(
            f"{path}: YOLO counts in shares of the images' sizes, and its images are not in "
            f"{' or '.join(map(str, images.searched))}; name their folder with --images."
        )
    annotations: list[Annotation] = []
    for file, objects, image in zip(files, collected, found, strict=True):
        size = None
        if image is not None:
            header = read_header(image)
            size = header.width, header.height
        elif len(objects):
            objects.forget("the image is missing, and YOLO counts in shares of its size. Add it, or remove the label file.")
        name = "" if image is None else "/".join((*file.inside, image.name))
        annotations.append(objects.annotation(name, names, stem=file.path.stem, size=size, in_shares=True))
    return annotations


def _collect(path: Path, classes: ClassFile | None) -> ObjectCollector:
    objects = ObjectCollector(path)
    for place, words in numbered_lines(path, "YOLO labels (.txt)"):
        try:
            corners, score = _box(place, words, keypoints=classes is not None and classes.keypoints)
            objects.add(place, _class(place, words[0], classes), corners, score=score)
        except RetinaJError as error:
            objects.fault(str(error))
    return objects


def _class(place: str, word: str, classes: ClassFile | None) -> str:
    value = number(word, f"{place}: the class")
    if value < 0 or value % 1:
        raise RetinaJError(f"{place}: the class is {word[:40]!r}; expected a whole number from 0.")
    if classes is None:
        return str(int(value))
    if int(value) not in classes.names:
        raise RetinaJError(f"{place}: the class is {int(value)}, but {classes.path.name} has names for {len(classes.names)}.")
    return classes.names[int(value)]


def _box(place: str, words: list[str], *, keypoints: bool) -> tuple[list[float], float | None]:
    """Corners in shares of the image's size, and the score if there is one."""
    count = len(words) - 1
    if count < 4:
        raise RetinaJError(f"{place} has {len(words)} words; expected a class and four numbers, or an outline.")
    if count <= 5 or keypoints:
        values = [number(word, f"{place}: {key}") for word, key in zip(words[1:5], _KEYS, strict=True)]
        x, y, width, height = values
        corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    else:
        values = [number(word, f"{place}: the outline") for word in words[1 : 1 + count // 2 * 2]]
        corners = [min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])]
    if (farthest := max(map(abs, values))) > _FARTHEST:
        raise RetinaJError(f"{place} has {farthest:g}; expected shares of the image's size, from 0 to 1, not pixels.")
    scored = count % 2 == 1 and not keypoints
    return corners, share(words[-1], f"{place}: the score") if scored else None


def _recognises(path: Path) -> bool:
    if path.is_file() and path.suffix.lower() in _YAML:
        return b"names" in beginning(path, 2**16)
    lines = list(first_label_lines(path))
    if not lines:  # images without objects only; the names of the classes tell them from other text files
        return path.is_dir() and find_class_file(path) is not None and has_labels(path)
    return any(_is_yolo(line.split()) for line in lines)


def _is_yolo(words: list[str]) -> bool:
    numbers = len(words) >= 5 and all(is_number(word) and abs(float(word)) <= _FARTHEST for word in words[1:])
    return numbers and is_number(words[0]) and float(words[0]) >= 0 and float(words[0]) % 1 == 0


def _write_all(target: Path, annotations: Iterable[Annotation], class_names: Sequence[str], images: Path | None) -> None:
    import yaml

    labels = target / "labels"
    labels.mkdir(parents=True)
    for annotation in annotations:
        with new_file(labels, annotation, ".txt").open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(_lines(annotation))
    # No "path": Ultralytics then looks beside this file.
    content = {"train": "images", "val": "images", "names": dict(enumerate(class_names))}
    (target / "data.yaml").write_text(_DATA_HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")


_DATA_HEAD = """\
# Ultralytics trains with this file when the images are in the folder images beside it. It looks for each image's labels in the
# folder labels. Divide the images into two folders, or two lists, for "train" and "val": here both are the same.
"""


def _lines(annotation: Annotation) -> Iterator[str]:
    if annotation.size is None:
        raise RetinaJError(f"{annotation.source}: the image's size is not known, and YOLO counts in shares of it.")
    size = np.array([*annotation.size, *annotation.size], np.float64)
    boxes = annotation.boxes
    swapped = np.flatnonzero((boxes.width < 0) | (boxes.height < 0))
    if len(swapped):
        at = int(swapped[0])
        raise RetinaJError(
            f"{annotation.source}: {annotation.place(at)} has swapped corners, {boxes.xyxy[at].tolist()}, which YOLO cannot "
            "hold. Correct it; `retinaj check` lists all such boxes."
        )
    # Ultralytics leaves out images with a label beyond 0..1.
    shares = np.clip(boxes.xyxy.astype(np.float64) / size, 0, 1)
    centre, extent = (shares[:, :2] + shares[:, 2:]) / 2, shares[:, 2:] - shares[:, :2]
    for label, values in zip(boxes.label.tolist(), np.hstack([centre, extent]).tolist(), strict=True):
        yield f"{label} {' '.join(f'{value:.12g}' for value in values)}\n"


FORMAT = AnnotationFormat(
    name="yolo",
    title="YOLO (one .txt per image, with data.yaml or classes.txt)",
    layout="folder",
    suffix=".txt",
    # No scores, although they are read: Ultralytics does not train on labels that have them.
    holds=frozenset({"fraction", "empty"}),
    limits=frozenset({"outside"}),
    needs_size=True,
    next_step="Ultralytics trains with its data.yaml once the images are in the folder images beside it; --copy-images puts "
    "them there.",
    recognises=_recognises,
    read=read_all,
    write=_write_all,
)
