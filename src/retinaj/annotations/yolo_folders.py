"""Where YOLO's tools put labels and the images that belong to them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from retinaj.annotations.files import require_inside
from retinaj.annotations.text_files import first_lines, is_label_file
from retinaj.errors import RetinaJError
from retinaj.images import natural_key
from retinaj.images.files import ImageFiles

_DEPTH = 4  # of folders below the one that is named
_MAX_FOLDERS = 10_000
_LOOKED_AT = 20  # label files, to recognise the format
_LABEL_FOLDER = re.compile("labels|obj_[a-z]+_data")  # the second is Darknet's, and CVAT's


@dataclass(frozen=True)
class LabelFile:
    """One file of labels.

    Attributes:
        path: of the file.
        inside: the folders between the one that was named and the file, except "labels": such as ("train",).
    """

    path: Path
    inside: tuple[str, ...] = ()


def yolo_labels(path: Path) -> list[LabelFile]:
    """The label files that a path means, in natural order: a file, those of a folder, and those of its labels/ and below.

    Raises:
        RetinaJError: if there are none, or one is a link that leads out of the folder.
    """
    if not path.is_dir():
        return [LabelFile(path)]
    found = list(_walk(path))
    require_inside(path, (label.path for label in found))
    if not found:
        raise RetinaJError(f"{path} has no label files (.txt) in it or in a folder labels below it.")
    return sorted(found, key=lambda label: (label.inside, natural_key(label.path.name)))


def first_label_lines(path: Path) -> Iterator[str]:
    """The first line of each of the first few label files of a path; none if it is no such folder or cannot be read."""
    labels = [LabelFile(path)] if path.is_file() else _first(path, _LOOKED_AT)
    for label in labels:
        if label.path.suffix.lower() == ".txt":
            yield from first_lines(label.path, 1)


def has_labels(folder: Path) -> bool:
    """Whether a folder has label files, perhaps all of them empty."""
    return bool(_first(folder, 1))


def _first(folder: Path, count: int) -> list[LabelFile]:
    try:
        return list(islice(_walk(folder), count))
    except (OSError, RetinaJError):
        return []


def _walk(root: Path) -> Iterator[LabelFile]:
    for visited, (name, folders, files) in enumerate(os.walk(root)):  # follows no links to folders
        if visited >= _MAX_FOLDERS:
            raise RetinaJError(f"{root} has more than {_MAX_FOLDERS:,} folders in it; name the one with the labels.")
        folder = Path(name)
        parts = folder.relative_to(root).parts
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each != "images" and len(parts) < _DEPTH)
        if parts and not any(_LABEL_FOLDER.fullmatch(part) for part in (root.name, *parts)):
            continue
        inside = tuple(part for part in parts if part != "labels")
        for file in files:
            path = folder / file
            if file.lower().endswith(".txt") and not file.startswith(".") and path.is_file() and is_label_file(path):
                yield LabelFile(path, inside)


class LabelImages:
    """The images that belong to label files: in the folder that was named, in images/ beside labels/, or beside the labels."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._files: dict[Path, ImageFiles | None] = {}

    @property
    def searched(self) -> list[Path]:
        """The folders that were looked through, the likeliest first."""
        return list(self._files)[:3]

    def find(self, label: LabelFile) -> Path | None:
        """The image of a label file, or None.

        Raises:
            RetinaJError: if the named folder is none, or several images have the label file's stem.
        """
        for folder in self._candidates(label):
            if folder not in self._files:
                wanted = folder.is_dir() or folder == self._folder
                self._files[folder] = ImageFiles(folder) if wanted else None
            files = self._files[folder]
            image = None if files is None else files.find("", label.path.stem, label.path)
            if image is not None:
                return image
        return None

    def _candidates(self, label: LabelFile) -> Iterator[Path]:
        parent = label.path.absolute().parent
        if self._folder is not None:
            yield self._folder
            if label.inside:
                yield self._folder.joinpath(*label.inside)
        for at in reversed(range(len(parent.parts))):
            if parent.parts[at] == "labels":
                yield Path(*parent.parts[:at], "images", *parent.parts[at + 1 :])
                break
        yield parent
