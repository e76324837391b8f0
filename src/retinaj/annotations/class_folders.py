"""Pictures of objects sorted into one folder per class, or in one folder if there is but one class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from retinaj.annotations.annotation import clean_name
from retinaj.annotations.files import annotation_files, first_files
from retinaj.errors import RetinaJError
from retinaj.images import natural_key
from retinaj.images.files import read_names

DEFAULT_CLASS = "object"
SUFFIXES = (".png", ".tif", ".tiff")  # not JPEG, which changes values

_MAX_CLASSES = 1000
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]|^\.|[. ]$')  # by Windows or Unix, or hidden
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def class_files(folder: Path, classes: Path | None = None) -> list[tuple[str, Path]]:
    """(class, file) of each picture in a folder, or else in its folders, which are named by class; in natural order.

    Args:
        folder: with pictures of one class, or with folders of them; or one picture.
        classes: a text file with the name of that one class; default: "object".

    Raises:
        RetinaJError: if there is none, `classes` does not have one name, or a folder's name cannot be a class's.
    """
    if first_files(folder, SUFFIXES):
        name = DEFAULT_CLASS if classes is None else _only_name(classes)
        return [(name, file) for file in annotation_files(folder, SUFFIXES)]
    found: list[tuple[str, Path]] = []
    for inner in inner_folders(folder):
        if first_files(inner, SUFFIXES):
            name = clean_name(inner.name, str(inner))
            found += [(name, file) for file in annotation_files(inner, SUFFIXES)]
    if not found:
        expected = f"{' or '.join(SUFFIXES)} files, or folders of them named by class"
        raise RetinaJError(f"{folder} has no pictures of objects; expected {expected}.")
    return found


def inner_folders(folder: Path) -> list[Path]:
    """The folders in a folder, without hidden ones, in natural order."""
    if not folder.is_dir():
        return []
    found = [inner for inner in folder.iterdir() if inner.is_dir() and not inner.name.startswith(".")]
    return sorted(found, key=lambda inner: natural_key(inner.name))


def folder_names(class_names: Sequence[str], title: str) -> dict[str, str]:
    """The folder of each class by name: "." if there is only "object", else a folder of its name.

    Args:
        class_names: of all boxes.
        title: of the format, for the error.

    Raises:
        RetinaJError: if a name cannot be that of a folder on every system, or two differ in case only.

    >>> folder_names(["object"], "labels"), folder_names(["red cell", "WBC"], "labels")
    ({'object': '.'}, {'red cell': 'red cell', 'WBC': 'WBC'})
    """
    if list(class_names) == [DEFAULT_CLASS]:
        return {DEFAULT_CLASS: "."}
    if len(class_names) > _MAX_CLASSES:
        raise RetinaJError(f"There are {len(class_names):,} classes; {title} has a folder for each, up to {_MAX_CLASSES:,}.")
    seen: dict[str, str] = {}
    for name in class_names:
        if _FORBIDDEN.search(name) or _DEVICES.fullmatch(name) or len(name.encode()) > 200:
            raise RetinaJError(f"The class {name[:80]!r} cannot be the name of a folder, as {title} needs it; rename it.")
        if other := seen.get(name.casefold()):
            raise RetinaJError(
                f"The classes {other!r} and {name!r} differ in case only; {title} has a folder for each. Rename one."
            )
        seen[name.casefold()] = name
    return {name: name for name in class_names}


def _only_name(classes: Path) -> str:
    names = read_names(classes)
    if len(names) != 1:
        raise RetinaJError(
            f"{classes} has {len(names)} names, but label images and masks in one folder are of one class; expected its name "
            "alone. For several classes, make a folder for each."
        )
    return clean_name(names[0], str(classes))
