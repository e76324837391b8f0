"""Writing TFRecord files of the TF2 Object Detection API, images inside, with the label map beside."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from retinaj.annotations import label_map
from retinaj.annotations.annotation import Annotation
from retinaj.annotations.embedded_images import describe, encode_image
from retinaj.annotations.format import ImageSizes
from retinaj.annotations.record_file import write_records
from retinaj.annotations.tf_example import encode
from retinaj.annotations.tfrecord_objects import CORNERS
from retinaj.errors import RetinaJError

RECORDS = "annotations.record"
LABEL_MAP = "label_map.pbtxt"

# The API stops at boxes that reach further out of the image, as a share of its size.
_REACH = 0.1


def write(target: Path, annotations: Iterable[Annotation], class_names: Sequence[str], images: Path | None) -> None:
    """Write annotations.record and label_map.pbtxt to a folder.

    PNG and JPEG files go in as they are; other images as PNG with 8 or 16 bits, no value changed. The API decodes all images
    to 8 bits: of 16 it keeps the upper half.

    Args:
        target: the folder.
        annotations: all with the same class names; taken one at a time. Where one carries its image, that is used.
        class_names: their numbers in the label map are 1, 2, 3... in this order.
        images: folder of the images.

    Raises:
        RetinaJError: if an image is not there or cannot be held, or a box reaches more than a tenth out of its image.
    """
    target.mkdir(exist_ok=True)
    write_records(target / RECORDS, _examples(annotations, images))
    if class_names:
        label_map.write(target / LABEL_MAP, class_names)


def _examples(annotations: Iterable[Annotation], images: Path | None) -> Iterator[bytes]:
    files = ImageSizes(images, "TFRecord files have the images in them")
    taken: set[str] = set()
    for annotation in annotations:
        if annotation.encoded is not None:
            wanted, content = PurePosixPath(annotation.image_name), annotation.encoded()
        else:
            path = files.find(annotation.image_name, annotation.stem, annotation.source)
            wanted, content = PurePosixPath(path.relative_to(images or path.parent).as_posix()), encode_image(path)
        image = describe(content, f"{annotation.source}: {wanted}")
        name = str(wanted)
        if image.kind == "png" and wanted.suffix.lower() != ".png":
            name = str(wanted.with_suffix(".png"))
            name = f"{wanted}.png" if name in taken else name
        taken.add(name)
        shares = _shares(annotation, name, (image.width, image.height))
        yield encode(
            contents={
                "image/encoded": [content],
                "image/format": [image.kind.encode()],
                "image/filename": [name.encode(errors="replace")],  # file names need not be Unicode
                "image/source_id": [name.encode(errors="replace")],
                "image/key/sha256": [hashlib.sha256(content).hexdigest().encode()],
                "image/object/class/text": [each.encode() for each in annotation.boxes.names],
            },
            integers={
                "image/width": [image.width],
                "image/height": [image.height],
                "image/object/class/label": (annotation.boxes.label + 1).tolist(),
                **_flags(annotation),
            },
            floats={
                **{f"image/object/bbox/{corner}": shares[:, at] for at, corner in enumerate(CORNERS)},
                "image/object/area": annotation.boxes.area,
            },
        )


def _shares(annotation: Annotation, name: str, size: tuple[int, int]) -> NDArray[np.float32]:
    """The boxes as shares of the image as it is, whatever size the annotation was made for: pixels stay pixels."""
    boxes = annotation.boxes
    shares = boxes.xyxy.astype(np.float64) / np.array([*size, *size], np.float64)
    out = np.flatnonzero(((shares < -_REACH) | (shares > 1 + _REACH)).any(axis=1))
    if len(out):
        at = int(out[0])
        corners = ", ".join(f"{value:g}" for value in boxes.xyxy[at])
        more = f" ({len(out) - 1} more in this image)" if len(out) > 1 else ""
        raise RetinaJError(
            f"{annotation.source}: {annotation.place(at)} ({boxes.names[at]}; {corners}) reaches far out of {name}, which has "
            f"{size[0]} x {size[1]} pixels{more}. The Object Detection API stops at such boxes: correct or remove them."
        )
    return shares.astype(np.float32)


def _flags(annotation: Annotation) -> dict[str, list[int]]:
    details = [annotation.detail(at) for at in range(len(annotation.boxes))]
    return {
        "image/object/difficult": [int(each.difficult) for each in details],
        "image/object/truncated": [int(each.truncated) for each in details],
        "image/object/is_crowd": [int(each.crowd) for each in details],
    }
