"""Reading text files of labels: bounded, whatever wrote them, and with the numbers of the lines."""

from __future__ import annotations

import codecs
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from retinaj.annotations.files import annotation_files, beginning, first_files
from retinaj.errors import RetinaJError
from retinaj.files import require_file

_FEW = 4096  # bytes, to recognise a format
MAX_FILE_BYTES = 64 * 1024**2  # of one image's labels: more than a million objects

# Text files that labelling tools put beside the labels: lists of classes and of images, and what to read first.
_NO_LABELS = (
    "classes", "_classes", "predefined_classes", "labels", "obj", "names", "train", "val", "valid", "validation", "test",
    "trainval", "readme", "readme.dataset", "readme.roboflow", "license", "notes",
)  # fmt: skip


def label_files(path: Path) -> list[Path]:
    """The file itself, or the label files (.txt) directly in a folder, in natural order.

    Raises:
        RetinaJError: as `annotation_files`, and if all are lists of classes or images.
    """
    if not path.is_dir():
        return [path]
    found = [file for file in annotation_files(path, (".txt",)) if is_label_file(file)]
    if not found:
        raise RetinaJError(f"{path} has no labels in it, only lists of classes or images; expected one .txt for each image.")
    return found


def is_label_file(file: Path) -> bool:
    """Whether a .txt file is labels, judged by its name and, where that is a usual one for lists, by its first line."""
    if file.stem.lower() not in _NO_LABELS:
        return True
    words = (first_lines(file) or [""])[0].split()
    return len(words) >= 5 and all(is_number(word) for word in words[1:])


def first_lines(path: Path, count: int = 20) -> list[str]:
    """The first lines that are not blank, as far as a few kilobytes reach; none if it is not text."""
    start = beginning(path, _FEW)
    # The last character, and the last line, may be cut; names in it may be in any encoding.
    text = codecs.getincrementaldecoder(_encoding(start))("replace").decode(start)
    lines = text.splitlines()
    if len(start) == _FEW and len(lines) > 1:
        lines.pop()
    return [] if "\0" in text else [line for line in lines if line.strip()][:count]


def sample_lines(path: Path, suffixes: Sequence[str] = (".txt",)) -> Iterator[str]:
    """The first line of each of the first few label files of a folder, or of one file: to recognise the format."""
    for file in first_files(path, suffixes):
        if is_label_file(file):
            yield from first_lines(file, 1)


def is_number(word: str) -> bool:
    """Whether a word is a finite number.

    >>> is_number("-1.5e3"), is_number("nan"), is_number("Car")
    (True, False, False)
    """
    try:
        return abs(float(word)) < float("inf")
    except ValueError:
        return False


@contextmanager
def open_text(path: Path, what: str, max_bytes: int, *, else_latin: bool = False) -> Generator[TextIO]:
    """A text file, open for reading: UTF-8 or UTF-16, with or without a byte order mark.

    Args:
        path: the file.
        what: was expected there, for the error.
        max_bytes: it may have.
        else_latin: whether text that is not Unicode is taken for Latin-1, as programs on Windows write it.

    Raises:
        RetinaJError: if it is missing, larger, or not text; the last is noticed while it is read.
    """
    require_file(path, what)
    if path.stat().st_size > max_bytes:
        raise RetinaJError(f"{path} is larger than {max_bytes // 2**20} MB; expected {what}.")
    try:
        encoding = _encoding(beginning(path))
        if else_latin and not _decodes(path, encoding):
            encoding = "latin-1"
        with path.open(encoding=encoding, newline="") as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise RetinaJError(f"{path} is not text ({error.reason} at byte {error.start:,}); expected {what}.") from error
    except OSError as error:
        raise RetinaJError(f"{path} cannot be read: {error.strerror or error}.") from error


def numbered_lines(path: Path, what: str) -> Iterator[tuple[str, list[str]]]:
    """(place, words) of each line of a label file that is not blank.

    Raises:
        RetinaJError: as `open_text`.
    """
    with open_text(path, what, MAX_FILE_BYTES) as stream:
        for at, line in enumerate(stream, 1):
            if words := line.split():
                yield f"line {at}", words


def _encoding(start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as stream:
            while block := stream.read(2**20):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
