"""Finding the annotation files of a folder, and looking at how a file begins."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from retinaj.annotations.annotation import Annotation
from retinaj.errors import RetinaJError
from retinaj.images import natural_key

_LOOKED_AT = 20  # files of a folder, to recognise its format


def annotation_files(path: Path, suffixes: Sequence[str]) -> list[Path]:
    """The file itself, or the files with these suffixes (lower case) directly in a folder, in natural order; no hidden ones.

    Raises:
        RetinaJError: if there is no such file or folder, or the folder has none.
    """
    path = Path(path)
    if not path.is_dir():
        return [path]
    found = [file for file in path.iterdir() if _is_one(file, suffixes)]
    if not found:
        raise RetinaJError(f"{path} has no {' or '.join(suffixes)} files in it.")
    return sorted(found, key=lambda file: natural_key(file.name))


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
    return stem
