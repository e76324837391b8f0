"""A training data set that grows image by image: copies of the images, and beside them their annotations.

    DATASET/retinaj-dataset.json    what it is, and of which pixels each image was made
    DATASET/images/NAME.tif         one plane each, with all its channels
    DATASET/annotations/NAME.xml    PASCAL VOC; or DATASET/annotations.json, COCO
    DATASET/earlier/                annotations that were replaced since

Nothing that another program put there is overwritten, and what is replaced is kept.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retinaj.annotations import Annotation, coco, pascal_voc, relabel, require_sound
from retinaj.annotations.coco_writing import write_all
from retinaj.annotations.images_beside import safe_stem
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.files import atomic_path, require_writable, write_text
from retinaj.images import image_stem
from retinaj.images.writing import lossless_suffix, write_image

DATASET_FILE = "retinaj-dataset.json"
IMAGE_FOLDER = "images"

Kind = Literal["voc", "coco"]
Outcome = Literal["added", "replaced", "unchanged"]

_VOC_FOLDER, _COCO_FILE, _EARLIER = "annotations", "annotations.json", "earlier"
_MAX_INDEX_BYTES = 64 * 1024**2
_ImageName = Annotated[str, Field(pattern=r'^[^<>:"/\\|?*\x00-\x1f]+\.(tif|png)$', max_length=250)]

# Two commands at once, perhaps of two Fijis, must not take the same name.
_lock = threading.Lock()


class _Index(BaseModel):
    """What DATASET_FILE says: the kind of annotations, and the SHA-256 of each image's pixels by its file name."""

    model_config = ConfigDict(extra="ignore")

    format: Literal["retinaj-dataset"] = "retinaj-dataset"
    annotations: Kind
    images: dict[_ImageName, str] = {}


@dataclass(frozen=True)
class Added:
    """What became of an image.

    Attributes:
        name: of its file in the data set.
        outcome: "unchanged" if it was there, with the same boxes.
    """

    name: str
    outcome: Outcome


class GrowingDataset:
    """A data set that this class made, or will make.

    Args:
        folder: an existing one of ours, an empty folder, or one to make.
        kind: of a new one; None takes PASCAL VOC, and whatever an existing one is.

    Raises:
        RetinaJError: if the folder holds something else, is of another kind, or cannot be written to.
    """

    def __init__(self, folder: Path, kind: Kind | None = None) -> None:
        self.folder = folder
        self._index = self._open(kind)

    @property
    def kind(self) -> Kind:
        """The format of the annotations."""
        return self._index.annotations

    @property
    def images(self) -> Path:
        """The folder of the images, for training."""
        return self.folder / IMAGE_FOLDER

    @property
    def annotations(self) -> Path:
        """The file or folder of the annotations, for training."""
        return self.folder / (_VOC_FOLDER if self.kind == "voc" else _COCO_FILE)

    def names(self) -> list[str]:
        """The images that were added and are still there, in the order of their adding."""
        return [name for name in self._index.images if (self.images / name).is_file()]

    def add(self, image: xr.DataArray, boxes: Boxes, title: str, *, suffix: str = "", replacing: bool = False) -> Added:
        """Add an image with its boxes, whole or not at all.

        Args:
            image: dims y, x or c, y, x; attrs "rgb" and "physical_size" as `retinaj.images.read_image` sets them.
            boxes: inside the image, without scores and planes; perhaps none.
            title: of the image: the file is named after it.
            suffix: of its name, for one plane of several.
            replacing: replace the boxes of an image that is there already, which is known by its pixels.

        Raises:
            RetinaJError: if it is there already with other boxes and these are not to be replaced, or an annotation that is
                there cannot be read.
        """
        with _lock:
            self._index = self._open(self.kind)  # as another call, or another program, has left it
            digest = _digest(image)
            known = next((name for name in self.names() if self._index.images[name] == digest), None)
            size = (image.sizes["x"], image.sizes["y"])
            if known is None:
                name = self._new_name(image, title, suffix)
                annotation = Annotation(self.annotations, name, boxes, size, depth=image.sizes.get("c", 1))
                path = self.images / name
                self._remember(name, digest)  # first: a name without its file does no harm, a file without its name would
                try:
                    write_image(path, image)
                    self._write(annotation)
                except BaseException:
                    path.unlink(missing_ok=True)  # ours, and of no use without its annotation
                    raise
                return Added(name, "added")
            annotation = Annotation(self.annotations, known, boxes, size, depth=image.sizes.get("c", 1))
            found = self._read(known)
            if found is not None and _same(found.boxes, boxes):
                return Added(known, "unchanged")
            if found is not None and not replacing:
                raise RetinaJError(
                    f"This image is in the data set {self.folder} already, as {known}, with {len(found.boxes)} other boxes. To "
                    "replace them by these, choose to replace earlier boxes (in a macro: the option replace)."
                )
            self._write(annotation)
            return Added(known, "added" if found is None else "replaced")

    def _open(self, kind: Kind | None) -> _Index:
        path = self.folder / DATASET_FILE
        if not path.is_file():
            if self.folder.exists() and not (self.folder.is_dir() and not any(self.folder.iterdir())):
                raise RetinaJError(
                    f"{self.folder} is not a data set that RetinaJ made in ImageJ (it has no {DATASET_FILE}), and nothing is "
                    "added to others. Choose a new folder."
                )
            require_writable(path)
            return _Index(annotations=kind or "voc")
        try:
            with path.open("rb") as stream:
                content = stream.read(_MAX_INDEX_BYTES + 1)
            if len(content) > _MAX_INDEX_BYTES:
                raise RetinaJError(f"{path} is larger than {_MAX_INDEX_BYTES // 2**20} MB; RetinaJ did not write it.")
            index = _Index.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise RetinaJError(f"{path} is damaged: {place}: {first['msg']}. Choose a new folder for the data set.") from error
        except OSError as error:
            raise RetinaJError(f"{path} cannot be read: {error.strerror or error}.") from error
        if kind is not None and kind != index.annotations:
            raise RetinaJError(
                f"The data set {self.folder} has annotations in the format {index.annotations}, not {kind}; go on in that "
                "format, or choose a new folder."
            )
        return index

    def _new_name(self, image: xr.DataArray, title: str, suffix: str) -> str:
        """A name that neither an image nor an annotation has; small and capital letters are one on some systems."""
        ending = lossless_suffix(Path(title), image)
        stem = safe_stem(image_stem(title))
        taken = {image_stem(name).casefold() for name in self._index.images}
        for folder in (self.images, self.folder / _VOC_FOLDER):
            taken |= {path.stem.casefold() for path in folder.iterdir()} if folder.is_dir() else set[str]()
        chosen, number = f"{stem}{suffix}", 1
        while chosen.casefold() in taken:
            number += 1
            chosen = f"{stem}-{number}{suffix}"
        return chosen + ending

    def _remember(self, name: str, digest: str) -> None:
        index = self._index.model_copy(update={"images": {**self._index.images, name: digest}})
        write_text(self.folder / DATASET_FILE, index.model_dump_json(indent=1) + "\n")
        self._index = index

    def _read(self, name: str) -> Annotation | None:
        """The annotation of an image, if it has one."""
        if self.kind == "voc":
            path = self.annotations / f"{image_stem(name)}.xml"
            return require_sound(pascal_voc.read(path)) if path.is_file() else None
        return next((each for each in self._all() if each.image_name == name), None)

    def _write(self, annotation: Annotation) -> None:
        """Write the annotation of one image; the file that is replaced thereby is kept, if it had one of the image."""
        if self.kind == "voc":
            path = self.annotations / f"{image_stem(annotation.image_name)}.xml"
            with _keeping(path, self.folder / _EARLIER, replaced=path.is_file()):
                size = annotation.size or (0, 0)
                channels = annotation.depth or 1
                pascal_voc.write(path, annotation.boxes, image_name=annotation.image_name, size=size, channels=channels)
            return
        path, others = self.annotations, self._all()
        rest = [each for each in others if each.image_name != annotation.image_name]
        names = list(others[0].boxes.class_names) if others else []
        names += sorted(set(annotation.boxes.names) - set(names))
        if not names:
            raise RetinaJError(
                "An image without objects cannot be the first of a COCO data set, which lists the classes: begin with another."
            )
        together = [replace(each, boxes=relabel(each.boxes, names, str(path))) for each in (*rest, annotation)]
        with (
            _keeping(path, self.folder / _EARLIER, replaced=len(rest) < len(others)),
            atomic_path(path) as temporary,
        ):
            write_all(temporary, together, names, None)

    def _all(self) -> list[Annotation]:
        return [require_sound(each) for each in coco.read(self.annotations)] if self.annotations.is_file() else []


@contextmanager
def _keeping(path: Path, folder: Path, *, replaced: bool) -> Generator[None]:
    """A copy of a file in another folder, under the next free number, while it is replaced; removed if that fails."""
    if not replaced:
        yield
        return
    number = 1
    while (copy := folder / f"{path.stem}-{number}{path.suffix}").exists():
        number += 1
    with atomic_path(copy) as temporary:
        shutil.copyfile(path, temporary)
    try:
        yield
    except BaseException:
        copy.unlink(missing_ok=True)
        raise


def _digest(image: xr.DataArray) -> str:
    pixels = np.ascontiguousarray(image.to_numpy())
    digest = hashlib.sha256(f"{pixels.dtype.str} {pixels.shape} ".encode())
    digest.update(pixels.data)
    return digest.hexdigest()


def _same(a: Boxes, b: Boxes) -> bool:
    """Whether they are the same boxes in any order."""

    def rows(boxes: Boxes) -> list[tuple[object, ...]]:
        return sorted((*corners, name) for corners, name in zip(boxes.xyxy.round(3).tolist(), boxes.names, strict=True))

    return rows(a) == rows(b)


def boxes_of(xyxy: Sequence[Sequence[float]], classes: Sequence[str], width: int, height: int) -> tuple[Boxes, int]:
    """The boxes that can be learnt, cut at the border of the image, and how many cannot: outside of it, or points and lines."""
    names = tuple(sorted(set(classes)))
    boxes = Boxes(np.asarray(xyxy, np.float32), np.array([names.index(name) for name in classes], np.int32), names)
    cut = boxes.clipped(width, height)
    usable = (cut.area > 0) & (np.maximum(cut.width, cut.height) > 1)
    kept = cut.select(usable)
    used = tuple(sorted(set(kept.names)))
    return relabel(kept, used, "the ROIs"), int((~usable).sum())
