"""TFRecord files of the TF2 Object Detection API: images with their boxes, the boxes as shares of the image's size."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retinaj.annotations import label_map
from retinaj.annotations.annotation import Annotation
from retinaj.annotations.embedded_images import FileNames, describe
from retinaj.annotations.format import AnnotationFormat, ImageSizes, Reading
from retinaj.annotations.label_map import LabelMap
from retinaj.annotations.record_file import Record, is_record_file, read_record_at, read_records
from retinaj.annotations.tf_example import Example
from retinaj.annotations.tfrecord_objects import pixels, read_objects
from retinaj.annotations.tfrecord_writing import write
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.images import natural_key

MAX_IMAGES = 1_000_000
MAX_CLASSES = 10_000

# train.record, val.tfrecord-00000-of-00010, data-00003-of-00010
_FILE_NAME = re.compile(r"\.(tf)?records?$|-(?P<number>\d{5})-of-(?P<count>\d{5})$", re.IGNORECASE)
_LOOKED_AT = 20  # files of a folder, to recognise its format


def read(path: Path, reading: Reading) -> list[Annotation]:
    """Read the records of one file, or of all record files in a folder.

    Coordinates become pixels by the size of the image in the record. Those within the precision of the stored shares, 32-bit
    floats, of a whole number of pixels become that number.

    Args:
        path: a TFRecord file, or a folder of them, perhaps of one set in many (train.record-00000-of-00010 and so on).
        reading: `classes` is the label map; default: the one in the same folder. `images` is needed for records without an
            image that do not tell its size either.

    Returns:
        One Annotation per record, in natural order of the files. `encoded` gives back the PNG or JPEG file in it, and
        `image_name` is a file name for it that no other has and every system takes. All have the same class names: those
        that have boxes, in the order of their numbers.

    Raises:
        RetinaJError: if a file is missing, damaged, no TFRecord or not of images, a set of files is not complete, or records
            have only numbers for classes and there is no label map. Objects that cannot be read are in `faults`.
    """
    path = Path(path)
    files = _record_files(path) if path.is_dir() else [path]
    classes_file = reading.classes or label_map.find(files[0].parent)
    classes = None if classes_file is None else label_map.read(classes_file)
    numbers = {} if classes is None else {name: number for number, name in classes.names.items()}
    sizes = ImageSizes(reading.images, "the records have neither images nor their sizes")
    annotations: list[Annotation] = []
    names = FileNames()
    for file in files:
        for annotation, found in _read_file(file, classes, sizes, names):
            annotations.append(annotation)
            for name, number in found.items():
                numbers.setdefault(name, number)
            if len(annotations) > MAX_IMAGES:
                raise RetinaJError(f"{path} has more than {MAX_IMAGES:,} records; read its files one by one.")
    if not annotations:
        raise RetinaJError(f"{path} has no records in it.")
    if not path.is_dir() and (part := _FILE_NAME.search(path.name)) and part["count"]:
        note = f"is from one of {int(part['count'])} files; name their folder to read all"
        annotations[0] = replace(annotations[0], notes=(*annotations[0].notes, note))
    return _with_common_classes(annotations, numbers)


class _ImageInRecord(NamedTuple):
    """What a record says about its image: name, (width, height), channels, how to get its file, and a doubt."""

    name: str
    size: tuple[int, int]
    depth: int | None
    encoded: Callable[[], bytes] | None
    notes: tuple[str, ...]


def _read_file(
    file: Path, classes: LabelMap | None, sizes: ImageSizes, names: FileNames
) -> Iterator[tuple[Annotation, Mapping[str, int]]]:
    """Each record's annotation, with the numbers of its classes."""
    for record in read_records(file):
        example = Example(record.data, f"{file}: record {record.number}")
        objects = read_objects(example, f"record {record.number}", file, classes)
        image = _find_image(file, record, example, sizes, names)
        class_names = tuple(dict.fromkeys(objects.names))
        index = {name: label for label, name in enumerate(class_names)}
        label = np.array([index[name] for name in objects.names], np.int32)
        annotation = Annotation(
            source=file,
            image_name=image.name,
            boxes=Boxes(pixels(objects.shares, image.size), label, class_names),
            size=image.size,
            notes=image.notes,
            depth=image.depth,
            details=objects.details,
            places=objects.places,
            faults=objects.faults,
            encoded=image.encoded,
        )
        yield annotation, objects.numbers


def _find_image(file: Path, record: Record, example: Example, sizes: ImageSizes, names: FileNames) -> _ImageInRecord:
    where = f"{file}: record {record.number}"
    wanted = next(filter(None, example.texts("image/filename") + example.texts("image/source_id")), "")
    stored = _stored_size(example)
    content = _content(example)
    if content:
        image = describe(content, where)
        size = (image.width, image.height)
        doubt = f"says that its image has {_text(stored)} pixels, but it has {_text(size)}, by which the boxes are placed"
        return _ImageInRecord(
            name=names.safe(wanted, image.kind),
            size=size,
            depth=image.channels,
            encoded=partial(_read_image, file, record.number, record.offset),
            notes=() if stored in (None, size) else (doubt,),
        )
    if not wanted:
        features = ", ".join(example.names()[:10])[:300] or "none"
        raise RetinaJError(
            f"{where} has neither an image (image/encoded) nor the name of one (image/filename); expected records as the "
            f"TF2 Object Detection API reads them. Its features are: {features}."
        )
    return _ImageInRecord(wanted, stored or sizes.size(wanted, None, file), None, None, ())


def _content(example: Example) -> bytes:
    return next(iter(example.contents("image/encoded")), b"")


def _read_image(file: Path, number: int, offset: int) -> bytes:
    return _content(Example(read_record_at(file, number, offset).data, f"{file}: record {number}"))


def _stored_size(example: Example) -> tuple[int, int] | None:
    width, height = (next(iter(example.integers(f"image/{side}")), 0) for side in ("width", "height"))
    return (width, height) if 0 < width < 2**31 and 0 < height < 2**31 else None


def _text(size: tuple[int, int] | None) -> str:
    return "unknown" if size is None else f"{size[0]} x {size[1]}"


def _with_common_classes(annotations: Sequence[Annotation], numbers: Mapping[str, int]) -> list[Annotation]:
    used = {name for annotation in annotations for name in annotation.boxes.class_names}
    if len(used) > MAX_CLASSES:
        raise RetinaJError(f"{annotations[0].source.parent} has {len(used):,} classes; RetinaJ reads up to {MAX_CLASSES:,}.")
    class_names = tuple(sorted(used, key=lambda name: (numbers.get(name, math.inf), name)))
    index = {name: label for label, name in enumerate(class_names)}
    common: list[Annotation] = []
    for annotation in annotations:
        boxes = annotation.boxes
        label = np.array([index[name] for name in boxes.class_names], np.int32)[boxes.label]
        common.append(replace(annotation, boxes=replace(boxes, label=label, class_names=class_names)))
    return common


def _record_files(folder: Path) -> list[Path]:
    """The record files of a folder, in natural order.

    Raises:
        RetinaJError: if there are none, or one of a set is missing.
    """
    files = sorted(_named_as_records(folder), key=lambda file: natural_key(file.name))
    if not files:
        raise RetinaJError(f"{folder} has no TFRecord files in it (.record, .tfrecord, or -00000-of-00010 at the end).")
    sets: dict[tuple[str, int], set[int]] = {}
    for file in files:
        part = _FILE_NAME.search(file.name)
        if part and part["count"]:
            sets.setdefault((file.name[: part.start()], int(part["count"])), set()).add(int(part["number"]))
    for (name, count), found in sets.items():
        missing = [number for number in range(count) if number not in found]
        if missing:
            raise RetinaJError(
                f"{folder} has {len(found)} of the {count} files {name}-...-of-{count:05}: "
                f"{name}-{missing[0]:05}-of-{count:05} is missing. Copy it there, or read the files one by one."
            )
    return files


def _named_as_records(folder: Path) -> Iterator[Path]:
    return (
        file for file in folder.iterdir() if _FILE_NAME.search(file.name) and not file.name.startswith(".") and file.is_file()
    )


def _recognises(path: Path) -> bool:
    try:
        if path.is_dir():
            return any(is_record_file(file) for file in islice(_named_as_records(path), _LOOKED_AT))
        # By its name too: no other format has it, and the reader says what is wrong with the content.
        return path.is_file() and (is_record_file(path) or _FILE_NAME.search(path.name) is not None)
    except OSError:
        return False


FORMAT = AnnotationFormat(
    name="tfrecord",
    title="TFRecord of the TF2 Object Detection API (.record, with the images in it)",
    layout="folder",
    suffix=".record",
    holds=frozenset({"fraction", "empty", "difficult", "truncated", "crowd"}),
    recognises=_recognises,
    read=read,
    write=write,
    carries_images=True,
)
