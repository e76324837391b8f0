"""Finding the annotation files of a folder, and looking at how a file begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from retinaj.annotations.annotation import Annotation
from retinaj.errors import RetinaJError
from retinaj.images import natural_key

if TYPE_CHECKING:
    from retinaj.annotations.format import Reading

_LOOKED_AT = 20  # files of a folder, to recognise its format
_LONGEST_NAME = 200  # bytes; file systems take 255, with the ending
_MAX_FOLDERS = 10_000  # that are searched for forgotten files


Broken = Callable[[Path, RetinaJError], None]


def annotation_files(path: Path, suffixes: Sequence[str], broken: Broken | None = None) -> list[Path]:
    """The file itself, or the files with these suffixes (lower case) directly in a folder, in natural order; no hidden ones.

    Raises:
        RetinaJError: if there is no such file or folder, the folder has none, or one of them is a link that leads out of the
            folder. With `broken`, that is called with the link and the error, and the other files are returned.
    """
    path = Path(path)
    if not path.is_dir():
        return [path]
    found = [file for file in path.iterdir() if _is_one(file, suffixes)]
    if not found:
        raise RetinaJError(f"{path} has no {' or '.join(suffixes)} files in it.")
    if broken is not None:
        found = _inside(path, found, broken)
    require_inside(path, found)
    return sorted(found, key=lambda file: natural_key(file.name))


def read_files(files: Iterable[Path], read_one: Callable[[Path], Annotation], reading: Reading) -> list[Annotation]:
    """One annotation from each file; a file that is broken as a whole is told to `reading.broken` and left out.

    Raises:
        RetinaJError: that of the first broken file, if there is no `reading.broken`.
    """
    found: list[Annotation] = []
    for file in files:
        try:
            found.append(read_one(file))
        except RetinaJError as error:
            if reading.broken is None:
                raise
            reading.broken(file, error)
    return found


def require_inside(folder: Path, files: Iterable[Path]) -> None:
    """Refuse links that lead out of a folder: whoever made the folder must not choose which other files are read.

    Raises:
        RetinaJError: naming the first such link.
    """
    links = [file for file in files if file.is_symlink()]
    root = folder.resolve() if links else folder
    for file in links:
        if not file.resolve().is_relative_to(root):
            raise RetinaJError(
                f"{file} is a link to a file outside {folder}, which RetinaJ does not follow; put the file itself there, "
                "or name the folder where it is."
            )


def _inside(folder: Path, files: Iterable[Path], broken: Broken) -> list[Path]:
    inside: list[Path] = []
    for file in files:
        try:
            require_inside(folder, [file])
            inside.append(file)
        except RetinaJError as error:
            broken(file, error)
    return inside


def first_files(path: Path, suffixes: Sequence[str]) -> list[Path]:
    """As `annotation_files`, but no more than recognising a format takes, in no certain order; none instead of an error."""
    try:
        if not path.is_dir():
            return [path] if path.suffix.lower() in suffixes and path.is_file() else []
        return list(islice((file for file in path.iterdir() if _is_one(file, suffixes)), _LOOKED_AT))
    except OSError:
        return []


def _is_one(file: Path, suffixes: Sequence[str]) -> bool:
    return file.suffix.lower() in suffixes and not file.name.startswith(".") and file.is_file()


def beginning(path: Path, count: int = 4096) -> bytes:
    """The first bytes of a file; none if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(count)
    except OSError:
        return b""


def file_stem(annotation: Annotation) -> str:
    """The stem of the file that annotates one image, for formats with one file per image: that of the image's own name.

    Raises:
        RetinaJError: if the annotation names no image, or by a name that no file can have.
    """
    name = annotation.image_name.replace("\\", "/").rsplit("/", 1)[-1]
    stem = Path(name).stem if name else (annotation.stem or "")
    if not stem or stem in (".", "..") or "\0" in stem:
        raise RetinaJError(
            f"{annotation.source}: an annotation names no image ({annotation.image_name!r}); no file can be named after it."
        )
    if len(stem.encode(errors="replace")) > _LONGEST_NAME:
        raise RetinaJError(f"{annotation.source}: the name of the image {stem[:40]!r}... is too long for a file; shorten it.")
    return stem


def new_file(folder: Path, annotation: Annotation, suffix: str) -> Path:
    """The path of the file in `folder` that annotates one image, which must not be there yet.

    Raises:
        RetinaJError: as `file_stem`, or if another image of the same name went there.
    """
    file = folder / f"{file_stem(annotation)}{suffix}"
    if file.exists():
        raise RetinaJError(
            f"{annotation.source}: two images of the name {file_stem(annotation)!r} cannot both go to {file.name}; rename one."
        )
    return file


def unread_files(folder: Path, suffix: str, read: Set[Path]) -> list[str]:
    """One line about the files with this suffix in subfolders that are not among those read; none if there are none.

    A folder among those read stands for all that is in it.
    """
    if not folder.is_dir():
        return []
    found = 0
    for seen, (name, _, files) in enumerate(os.walk(folder)):  # follows no links to folders
        inner = Path(name)
        if inner != folder and inner not in read and read.isdisjoint(inner.parents):
            found += sum(file.lower().endswith(suffix) and inner / file not in read for file in files)
        if seen >= _MAX_FOLDERS:
            break
    what = "1 file" if found == 1 else f"{found:,} files"
    return [f"{what} ({suffix}) in subfolders of {folder}: not read; name these folders too"] if found else []
