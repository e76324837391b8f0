"""What an annotation format is: the one shape in which the readers and writers of all formats are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

import numpy as np

from retinaj.annotations.annotation import NO_DETAILS, Annotation, ObjectDetails
from retinaj.errors import RetinaJError
from retinaj.images import read_header
from retinaj.images.files import ImageFiles

# What an annotation may say beside classes and boxes, and how to name it to people.
FEATURES: Mapping[str, str] = {
    "score": "scores",
    "plane": "positions in a stack",
    "fraction": "fractions of pixels",
    "empty": "images without objects",
    "difficult": "flags of difficult objects",
    "truncated": "flags of truncated objects",
    "occluded": "flags of occluded objects",
    "crowd": "flags of crowds",
    "name": "names of single objects",
    "group": "groups",
    "colour": "colours",
    "properties": "properties of single objects",
}

# What most formats can hold, so that only the others name it (`AnnotationFormat.limits`), and what becomes of it there.
LIMITS: Mapping[str, tuple[str, str]] = {
    "outside": ("parts of boxes outside the image", "cut at its border"),
    "blank": ("blanks in names of classes", "written as _"),
}


@dataclass(frozen=True)
class Reading:
    """How to read annotations, where the files themselves leave it open.

    Attributes:
        format: name of the format; None recognises it by content.
        images: folder of the images: formats that count in shares of the image's size need it.
        classes: file with the names of the classes (YOLO's data.yaml or classes.txt, label_map.pbtxt; the one class of label
            images or masks); None looks beside the annotations.
        columns: for tables, the name of the column for each of RetinaJ's: {"label": "cell type", "x_min": "left"}; and
            "units", "pixels" or "shares" (of the image's size), for its coordinates.
        class_from: for ImageJ ROIs, where the class stands: "name", "group", "property:KEY", or a regular expression with one
            group that is searched for in the name.
        broken: called with each file that is broken as a whole, and why, so that the other files of the folder are still read;
            None raises that error. See `retinaj.annotations.files.read_files`.
    """

    format: str | None = None
    images: Path | None = None
    classes: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    class_from: str = "name"
    broken: Callable[[Path, RetinaJError], None] | None = None


@dataclass(frozen=True)
class AnnotationFormat:
    """One format.

    Attributes:
        name: what `--format` and `--to` call it.
        title: for people, with the kind of file.
        layout: whether `write` makes one "file" for all images, or a "folder".
        suffix: of that file, or of the files in the folder, with its dot.
        holds: which of FEATURES it can hold.
        limits: which of LIMITS it cannot hold.
        needs_size: whether writing needs the images' sizes.
        carries_images: whether the images themselves are in it, so that writing needs them or `Annotation.encoded`.
        image_folder: where the tools of a format with many files expect the images, relative to its folder.
        next_step: what is left for the user to do where no images were written beside the annotations.
        caveat: one sentence on what else writing changes, for those who convert; "" if nothing.
        as_pixels: whether writing turns boxes into pixels, so that they may be others when they are read again.
        recognises: whether a file or folder is of this format, by its content; looks at no more than a few kilobytes of a
            few files, and never raises.
        read: all annotations of a file or folder.
        write: (target, annotations, class names, folder of the images or None) writes all annotations to a path that does not
            exist yet. All boxes have these class names. It writes straight to the target: `write_annotations` sees to
            its taking place whole or not at all.
    """

    name: str
    title: str
    layout: Literal["file", "folder"]
    suffix: str
    holds: frozenset[str]
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Reading], list[Annotation]]
    write: Callable[[Path, Iterable[Annotation], Sequence[str], Path | None], None]
    needs_size: bool = False
    limits: frozenset[str] = frozenset()
    carries_images: bool = False
    image_folder: str = "images"
    next_step: str = ""
    caveat: str = ""
    as_pixels: bool = False


class ImageSizes:
    """The sizes of images by their names, for formats that count in shares of them; headers are read once, when asked for."""

    def __init__(self, folder: Path | None, why: str) -> None:
        """Args: the folder of the images, if one was given; `why` begins the error if it is needed and was not."""
        self._files = None if folder is None else ImageFiles(folder)
        self._why = why

    def find(self, image_name: str, stem: str | None, source: Path) -> Path:
        """The image file that an annotation means.

        Raises:
            RetinaJError: if no folder was given, or it has no such image.
        """
        if self._files is None:
            raise RetinaJError(f"{source}: {self._why}; name their folder with --images.")
        path = self._files.find(image_name, stem, source)
        if path is None:
            raise RetinaJError(f"{source}: its image {image_name or stem!r} is not in {self._files.folder}, but {self._why}.")
        return path

    def size_if_there(self, image_name: str, stem: str | None, source: Path) -> tuple[int, int] | None:
        """(width, height) in pixels of that image, or None if no folder was given or the image is not in it.

        Raises:
            RetinaJError: if the image's header cannot be read, or several images have its stem.
        """
        if self._files is None or self._files.find(image_name, stem, source) is None:
            return None
        return self.size(image_name, stem, source)

    def size(self, image_name: str, stem: str | None, source: Path) -> tuple[int, int]:
        """(width, height) in pixels of that image.

        Raises:
            RetinaJError: as `find`, or if the image's header cannot be read.
        """
        header = read_header(self.find(image_name, stem, source))
        return header.width, header.height


def features(annotation: Annotation) -> dict[str, int]:
    """How many boxes (for "empty": images) of an annotation have each of FEATURES and LIMITS.

    >>> from retinaj.boxes import Boxes
    >>> features(Annotation(Path("a.xml"), "a.png", Boxes([[0, 0, 1.5, 1]], [0], ("cell",), [0.5])))
    {'score': 1, 'fraction': 1}
    """
    boxes = annotation.boxes
    found = {
        "score": 0 if boxes.score is None else len(boxes),
        "plane": 0 if boxes.plane is None else len(boxes),
        "fraction": int((boxes.xyxy % 1 != 0).any(axis=1).sum()),
        "empty": int(len(boxes) == 0),
        "outside": _outside(annotation),
        "blank": sum(" " in name for name in boxes.names),
    }
    for name in (each.name for each in fields(ObjectDetails)):
        unsaid = getattr(NO_DETAILS, name)
        found[name] = sum(getattr(detail, name) != unsaid for detail in annotation.details)
    return {name: count for name, count in found.items() if count}


def _outside(annotation: Annotation) -> int:
    if annotation.size is None:
        return 0
    limit = np.array([*annotation.size, *annotation.size], np.float32)
    return int(((annotation.boxes.xyxy < 0) | (annotation.boxes.xyxy > limit)).any(axis=1).sum())
