"""Instance label images: one picture per image, in which every object has a value of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.annotations.annotation import Annotation
from retinaj.annotations.class_folders import SUFFIXES, class_files, inner_folders
from retinaj.annotations.files import first_files, read_files
from retinaj.annotations.format import AnnotationFormat, Reading
from retinaj.annotations.instances import Instances, find_instances
from retinaj.annotations.label_writing import write
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.images import read_header, read_image
from retinaj.images.files import ImageFiles

MAX_PIXELS = 2**28  # of a plane, 16,384 x 16,384, and of a stack: what can be numbered and compared in memory
MAX_OBJECTS = 1_000_000
_LOOKED_AT = 5  # files of a folder, to recognise labels
_LOOKED_AT_PIXELS = 2**24

# What tools add to the image's name.
_ENDINGS = ("_cp_masks", "_instances", "_labels", "_masks", "_label", "_mask")


@dataclass
class _Objects:
    """The objects of the label images of one image."""

    xyxy: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])
    label: list[int] = field(default_factory=list[int])
    planes: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    places: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    faults: list[str] = field(default_factory=list[str])
    size: tuple[int, int] | None = None
    is_stack: bool = False


def read(path: Path, reading: Reading) -> list[Annotation]:
    """Read label images as boxes around their objects.

    The class is the name of the folder, where the folder given has a folder for each class; else it is "object", or
    the one name in `reading.classes`. Pictures named like an image with "_labels", "_masks" or the like (as Cellpose does)
    belong to that image; if some are, the others are not looked at.

    Args:
        path: a PNG or TIFF file, or a folder of them: grey, of integers (also as floating point, as ImageJ's 32 bits), or
            RGB with a colour for each object; 0, or black, is background. Stacks give the boxes of each plane.
        reading: see above.

    Returns:
        One Annotation per image, with a note if objects touch or have several parts.

    Raises:
        RetinaJError: if there are none, or one is damaged, too large, or a photograph rather than a label image.
    """
    files = class_files(Path(path), reading.classes)
    if any(_has_ending(file) for _, file in files):
        files = [(name, file) for name, file in files if _has_ending(file)]
    images = None if reading.images is None else ImageFiles(reading.images)
    class_names = tuple(dict.fromkeys(name for name, _ in files))
    of_image: dict[str, list[tuple[str, Path]]] = {}
    for name, file in files:
        of_image.setdefault(_image_stem(file, images), []).append((name, file))
    first = {parts[0][1]: stem for stem, parts in of_image.items()}
    return read_files(first, lambda file: _annotation(first[file], of_image[first[file]], class_names), reading)


def _has_ending(path: Path) -> bool:
    return path.stem.endswith(_ENDINGS)


def _image_stem(path: Path, images: ImageFiles | None) -> str:
    """The stem of the image that a label image belongs to: the one that is there, or else as if all were named as usual."""
    shorter = next((path.stem.removesuffix(ending) for ending in _ENDINGS if path.stem.endswith(ending)), "") or path.stem
    if images is not None and shorter not in images.by_stem and path not in images.by_stem.get(path.stem, [path]):
        return path.stem
    return shorter


def _annotation(stem: str, files: list[tuple[str, Path]], class_names: tuple[str, ...]) -> Annotation:
    found = _Objects()
    for name, path in files:
        _add(found, path, class_names.index(name), f"{name}: " if len(class_names) > 1 else "")
    return Annotation(
        source=files[0][1],
        image_name="",
        boxes=Boxes(
            np.concatenate(found.xyxy) if found.xyxy else np.zeros((0, 4), np.float32),
            np.array(found.label, np.int32),
            class_names,
            plane=np.array(found.planes, np.int32).reshape(-1, 3) if found.is_stack else None,
        ),
        size=found.size,
        notes=tuple(found.notes),
        stem=stem,
        places=tuple(found.places),
        faults=tuple(found.faults),
    )


def _add(found: _Objects, path: Path, label: int, prefix: str) -> None:
    """Add the objects of one label image."""
    array = _read_labels(path)
    size = array.sizes["x"], array.sizes["y"]
    if found.size is not None and found.size != size:
        other = f"{found.size[0]} x {found.size[1]}"
        found.faults.append(f"{prefix}{path.name} has {size[0]} x {size[1]} pixels, its others {other}; they must agree.")
        return
    found.size = size
    for (t, z), plane, where in _planes(array):
        instances = find_instances(plane)
        if not instances.are_labels or len(instances) > MAX_OBJECTS:
            raise RetinaJError(
                f"{path} is an ordinary image rather than a label image: its {len(instances):,} values are scattered all over "
                "it. Expected 0 for the background and one value for each object."
            )
        if fault := _binary(instances):
            found.faults.append(f"{prefix}{where}{fault}")
            continue
        found.xyxy.append(instances.xyxy)
        found.label += [label] * len(instances)
        found.planes += [(t, 0, z)] * len(instances)
        found.places += [f"{prefix}{where}label {value}" for value in instances.values.tolist()]
        if note := instances.note():
            found.notes.append(f"{prefix}{where}{note}")
        found.is_stack |= bool(where)


def _binary(instances: Instances) -> str | None:
    """What is wrong if all objects have one value, which would make them one object."""
    if len(instances) != 1 or not (instances.parts[0] > 2 or (instances.values[0] == 255 and instances.parts[0] > 1)):
        return None
    return (
        f"label {instances.values[0]} is the only one and has {instances.parts[0]:,} separate parts: a mask of all objects, "
        "which does not tell them apart. In ImageJ, Analyze Particles with Show: Count Masks makes a label image of it."
    )


def _read_labels(path: Path) -> xr.DataArray:
    """A label image, as integers, with the axes t, z, y, x as far as it has them.

    Raises:
        RetinaJError: if it is damaged, too large, or has numbers or channels that labels do not have.
    """
    sizes = read_header(path).sizes
    count = int(np.prod([float(length) for axis, length in sizes.items() if axis != "c"]))
    if not count:
        raise RetinaJError(f"{path} has no pixels; save it again or leave it out.")
    if count > MAX_PIXELS:
        raise RetinaJError(f"{path} has {count:,} pixels; RetinaJ reads label images of up to {MAX_PIXELS:,}. Cut it up.")
    array = read_image(path)
    if "c" in array.dims:
        if not array.attrs["rgb"] or array.dtype != np.uint8:
            raise RetinaJError(f"{path} has {array.sizes['c']} channels; a label image has one, or colours in 8-bit RGB.")
        red, green, blue = (array.isel(c=at).astype(np.uint32) for at in range(3))
        return red * 65536 + green * 256 + blue
    if array.dtype.kind == "f":
        return _whole(path, array)
    if array.dtype.kind not in "uib" or array.dtype.itemsize > 4:
        raise RetinaJError(f"{path} has pixels of type {array.dtype}; a label image has whole numbers of 8, 16 or 32 bits.")
    if array.dtype.kind == "i":
        return _whole(path, array)
    return array


def _whole(path: Path, array: xr.DataArray) -> xr.DataArray:
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high < 2**32 and (array.dtype.kind == "i" or bool((array == np.floor(array)).all()))):
        raise RetinaJError(f"{path} has values from {low:g} to {high:g}; expected whole numbers from 0, one for each object.")
    return array.astype(np.uint32)


def _planes(array: xr.DataArray) -> Iterator[tuple[tuple[int, int], NDArray[Any], str]]:
    """((t, z), pixels, where) of each plane; where is "" if there is but one."""
    stack = array.expand_dims([axis for axis in "tz" if axis not in array.dims]).transpose("t", "z", "y", "x")
    alone = stack.sizes["t"] == stack.sizes["z"] == 1
    for t in range(stack.sizes["t"]):
        for z in range(stack.sizes["z"]):
            yield (t, z), stack.isel(t=t, z=z).to_numpy(), "" if alone else f"frame {t + 1}, slice {z + 1}, "


def _recognises(path: Path) -> bool:
    """Only what can hardly be anything else: an image folder taken for labels would be worse than having to say it."""
    folders = [path] if first_files(path, SUFFIXES) else inner_folders(path)[:_LOOKED_AT]
    sure = False
    for folder in folders:
        files = first_files(folder, SUFFIXES)
        for file in islice([each for each in files if _has_ending(each)] or files, _LOOKED_AT):
            verdict = _is_sure(file)
            if verdict is False:
                return False
            sure = sure or verdict is True
    return sure


def _is_sure(path: Path) -> bool | None:
    """Whether a picture surely is a label image; None if it has too few objects to tell."""
    try:
        header = read_header(path)
        if header.channels > 1 or header.width * header.height > _LOOKED_AT_PIXELS or set(header.sizes) - set("yx"):
            return False
        instances = find_instances(_read_labels(path).to_numpy())
    except RetinaJError:
        return False
    if len(instances) == 1 and instances.parts[0] == 1:  # a single cell, or a mask of all
        return True if _has_ending(path) else None
    return instances.are_surely_labels if len(instances) else None


FORMAT = AnnotationFormat(
    name="labels",
    title="label images (one .tif or .png per image, a value for each object)",
    layout="folder",
    suffix="_labels.tif",
    holds=frozenset({"empty"}),
    recognises=_recognises,
    read=read,
    write=write,
    needs_size=True,
    as_pixels=True,
    caveat="Boxes become filled rectangles of whole pixels, cut at the image's border; small ones hide parts of larger ones.",
)
