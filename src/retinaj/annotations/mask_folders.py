"""One mask per object, in a folder per image: the layout of the 2018 Data Science Bowl, ID/images/ID.png and ID/masks/*.png."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retinaj.annotations.annotation import Annotation
from retinaj.annotations.class_folders import SUFFIXES, class_files, folder_names, inner_folders
from retinaj.annotations.files import file_stem, first_files
from retinaj.annotations.format import AnnotationFormat, Reading
from retinaj.annotations.instances import count_parts, describe, grown
from retinaj.annotations.painting import pixel_rectangles
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.images import find_images, read_header, read_image
from retinaj.images.files import ImageFiles

MAX_PIXELS = 2**28  # of a mask
_LOOKED_AT = 20  # folders, to recognise the layout
_TITLE = "masks"


@dataclass
class _Objects:
    """The masks of one image; `canvas` has the number of the last one at each pixel."""

    canvas: NDArray[np.int32]
    xyxy: list[tuple[int, int, int, int]] = field(default_factory=list[tuple[int, int, int, int]])
    label: list[int] = field(default_factory=list[int])
    places: list[str] = field(default_factory=list[str])
    faults: list[str] = field(default_factory=list[str])
    meeting: set[int] = field(default_factory=set[int])
    divided: int = 0


def read(path: Path, reading: Reading) -> list[Annotation]:
    """Read one mask per object as boxes.

    The class is "object", or the one name in `reading.classes`; masks in folders, ID/masks/CLASS/*.png, are of the
    classes that the folders are named by.

    Args:
        path: a folder with a folder per image, in which "masks" has a PNG or TIFF for each object: all but 0 is object.
        reading: see above.

    Returns:
        One Annotation per image whose folder has "masks", in natural order; images without masks there have no objects.
        A note says if objects touch or have several parts. Masks that are empty, damaged or of another size are in `faults`.

    Raises:
        RetinaJError: if there is no such folder.
    """
    path = Path(path)
    folders = [folder for folder in inner_folders(path) if (folder / "masks").is_dir()]
    if not folders:
        raise RetinaJError(
            f'{path} has no folder per image with masks in it; expected ID/masks/*.png, as in "cell 1/masks/1.png".'
        )
    found = [(folder, _mask_files(folder / "masks", reading.classes)) for folder in folders]
    class_names = tuple(sorted({name for _, files in found for name, _ in files}))
    images = None if reading.images is None else ImageFiles(reading.images)
    return [_annotation(folder, files, class_names, images) for folder, files in found]


def _mask_files(folder: Path, classes: Path | None) -> list[tuple[str, Path]]:
    return class_files(folder, classes) if any(folder.iterdir()) else []


def _annotation(
    folder: Path, files: list[tuple[str, Path]], class_names: tuple[str, ...], images: ImageFiles | None
) -> Annotation:
    own = find_images(folder / "images") if (folder / "images").is_dir() else []
    size = _size(own, files)
    found = _Objects(np.zeros(size[::-1], np.int32))
    for name, path in files:
        _add(found, path, class_names.index(name), size)
    note = describe(len(found.xyxy), len(found.meeting), found.divided)
    # Images may be in this layout themselves, or all in one folder.
    elsewhere = not own or (images is not None and folder.name in images.by_stem)
    return Annotation(
        source=folder / "masks",
        image_name="" if elsewhere else f"{folder.name}/images/{own[0].name}",
        boxes=Boxes(np.array(found.xyxy, np.float32).reshape(-1, 4), np.array(found.label, np.int32), class_names),
        size=size if files else None,
        notes=() if note is None else (note,),
        stem=folder.name if elsewhere else None,
        places=tuple(found.places),
        faults=tuple(found.faults),
    )


def _size(images: list[Path], masks: list[tuple[str, Path]]) -> tuple[int, int]:
    """(width, height) of the image, or else of the first mask whose header is readable."""
    for path in (*images[:1], *(file for _, file in masks)):
        try:
            header = read_header(path)
        except RetinaJError:
            continue  # its own reader says so
        if header.width * header.height <= MAX_PIXELS:
            return header.width, header.height
    return 1, 1


def _add(found: _Objects, path: Path, label: int, size: tuple[int, int]) -> None:
    """Add the object of one mask, or what is wrong with it."""
    place = f"{path.parent.name}/{path.name}"
    try:
        mask = _read_mask(path, size)
    except RetinaJError as error:
        found.faults.append(f"{place}: {error}")
        return
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        found.faults.append(f"{place} is empty, so that there is no object in it; remove it.")
        return
    y_min, y_max, x_min, x_max = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    found.xyxy.append((x_min, y_min, x_max, y_max))
    found.label.append(label)
    found.places.append(place)
    inside = mask[y_min:y_max, x_min:x_max]
    found.divided += count_parts(inside) > 1
    around = np.s_[max(y_min - 1, 0) : y_max + 1, max(x_min - 1, 0) : x_max + 1]
    others = np.unique(found.canvas[around][grown(mask[around])])
    number = len(found.xyxy)
    if others := set(others.tolist()) - {0}:
        found.meeting |= others | {number}
    found.canvas[around][mask[around]] = number


def _read_mask(path: Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    header = read_header(path)
    if (header.width, header.height) != size or set(header.sizes) - set("cyx"):
        shape = " x ".join(str(length) for axis, length in reversed(list(header.sizes.items())) if axis != "c")
        raise RetinaJError(f"it has {shape} pixels, the image {size[0]} x {size[1]}; they must agree.")
    pixels = read_image(path).to_numpy()
    return np.asarray(pixels.any(axis=0) if pixels.ndim == 3 else pixels != 0, np.bool_)


def _recognises(path: Path) -> bool:
    try:
        for folder in islice((each for each in path.iterdir() if each.is_dir()), _LOOKED_AT) if path.is_dir() else ():
            masks = folder / "masks"
            if first_files(masks, SUFFIXES) or any(first_files(inner, SUFFIXES) for inner in inner_folders(masks)[:_LOOKED_AT]):
                return True
    except OSError:
        return False
    return False


def _write(target: Path, annotations: Iterable[Annotation], class_names: Sequence[str], images: Path | None) -> None:
    """Also copies each image to its place in the layout, if the folder of the images is given and has it."""
    folders = folder_names(class_names, _TITLE)
    files = None if images is None else ImageFiles(images)
    for annotation in annotations:
        folder = target / file_stem(annotation)
        if folder.exists():
            raise RetinaJError(f"{annotation.source}: two images would both go to {folder.name}; rename one.")
        (folder / "masks").mkdir(parents=True)
        width, height = annotation.size or (0, 0)
        for at, (x_min, y_min, x_max, y_max) in enumerate(pixel_rectangles(annotation, _TITLE).tolist()):
            mask = Image.new("L", (width, height))
            mask.paste(255, (x_min, y_min, x_max, y_max))
            file = folder / "masks" / folders[annotation.boxes.names[at]] / f"{at + 1:04}_mask.png"
            file.parent.mkdir(exist_ok=True)
            mask.save(file, compress_level=1)
        image = None if files is None else files.find(annotation.image_name, annotation.stem, annotation.source)
        if image is not None:
            (folder / "images").mkdir()
            shutil.copyfile(image, folder / "images" / f"{folder.name}{image.suffix}")


FORMAT = AnnotationFormat(
    name="masks",
    title="one mask per object (ID/masks/*.png for each image)",
    layout="folder",
    suffix="_mask.png",
    holds=frozenset({"empty"}),
    recognises=_recognises,
    read=read,
    write=_write,
    needs_size=True,
    as_pixels=True,
    caveat="Boxes become filled rectangles of whole pixels, cut at the image's border.",
)
