"""The files of a package, read one at a time and never unpacked: nothing in a package can write outside or run.

A package is a zip, a folder, or the `rdf.yaml` in a folder. Whatever looks like an attack is refused as a whole.
"""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from retinaj.errors import RetinaJError
from retinaj.zip_entries import read_entry

DESCRIPTION_NAMES = ("rdf.yaml", "bioimageio.yaml")

_MAX_ENTRIES = 1000
# Weights shrink by a tenth or so, and text tenfold; a bomb by a thousand.
_MAX_COMPRESSION = 100
_COMPRESSION_MATTERS_ABOVE = 1024**2


class PackageFiles(Protocol):
    """Access to the files of one package.

    Attributes:
        origin: the path of the package, for messages.
        description_name: the name of its description.
    """

    origin: Path
    description_name: str

    def read(self, name: str, max_bytes: int) -> bytes:
        """The content of one file.

        Args:
            name: relative to the package, with forward slashes.
            max_bytes: the largest size that is believed.

        Raises:
            RetinaJError: if it is missing, larger, damaged, or not inside the package.
        """
        ...

    def size(self, name: str) -> int | None:
        """How many bytes a file has, or None if it is not there.

        Raises:
            RetinaJError: if its name leaves the package.
        """
        ...


@contextmanager
def open_files(path: Path) -> Generator[PackageFiles]:
    """The files of the package at `path`: a zip, a folder with a description, or the description itself.

    Raises:
        RetinaJError: if it is none of these, or hostile.
    """
    if path.is_dir():
        for name in DESCRIPTION_NAMES:
            if (path / name).is_file():
                yield _FolderFiles(path, path, name)
                return
        raise RetinaJError(f"{path} is a folder without {' or '.join(DESCRIPTION_NAMES)}; expected a package.")
    if not path.is_file():
        raise RetinaJError(f"{path} does not exist; expected a bioimage.io package: a zip, or a folder with rdf.yaml.")
    if path.suffix.lower() in (".yaml", ".yml"):
        yield _FolderFiles(path, path.parent, path.name)
        return
    with _opened_zip(path) as archive:
        yield _ZipFiles(path, archive)


def check_name(origin: Path | str, name: str) -> None:
    """Refuse a name that does not stay inside the package.

    Raises:
        RetinaJError: for an absolute name, `..`, a drive letter, a backslash or a control character.

    >>> check_name(Path("p.zip"), "weights/model.onnx")
    """
    parts = PurePosixPath(name).parts
    printable = name.isprintable() and "\\" not in name and ":" not in name
    if not parts or not printable or name.startswith("/") or ".." in parts:
        raise RetinaJError(f"{origin} names the file {name!r}, which does not stay inside the package: it is not opened.")


class _FolderFiles:
    def __init__(self, origin: Path, root: Path, description_name: str) -> None:
        self.origin, self.description_name = origin, description_name
        self._root = root

    def read(self, name: str, max_bytes: int) -> bytes:
        check_name(self.origin, name)
        path = self._root / name
        if not path.resolve().is_relative_to(self._root.resolve()):
            raise RetinaJError(f"{self.origin} holds {name}, a link to a place outside the package: it is not opened.")
        if not path.is_file():
            raise RetinaJError(f"{self.origin} lacks the file {name}, which its description names.")
        _check_size(self.origin, name, path.stat().st_size, max_bytes)
        try:
            return path.read_bytes()
        except OSError as error:
            raise RetinaJError(f"{path} cannot be read: {error.strerror}.") from error

    def size(self, name: str) -> int | None:
        check_name(self.origin, name)
        path = self._root / name
        return path.stat().st_size if path.is_file() else None


class _ZipFiles:
    def __init__(self, origin: Path, archive: zipfile.ZipFile) -> None:
        self.origin = origin
        self._archive = archive
        self._entries = _checked_entries(origin, archive)
        present = [name for name in DESCRIPTION_NAMES if name in self._entries]
        if not present:
            raise RetinaJError(f"{origin} is a zip without rdf.yaml at its top; expected a bioimage.io package.")
        self.description_name = present[0]

    def read(self, name: str, max_bytes: int) -> bytes:
        check_name(self.origin, name)
        return _read_entry(self.origin, self._archive, self._entries, name, max_bytes)

    def size(self, name: str) -> int | None:
        check_name(self.origin, name)
        entry = self._entries.get(name)
        return None if entry is None else entry.file_size


def read_from_zip(content: bytes, origin: str, name: str, max_bytes: int) -> bytes:
    """One file of a zip that is itself a file of a package, such as a .keras file, under the rules of packages.

    Args:
        content: of the zip.
        origin: where it came from, for messages.
        name: of the file.
        max_bytes: the largest size that is believed.

    Raises:
        RetinaJError: if it is not a zip, or hostile, or lacks the file.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise RetinaJError(f"{origin} is not a zip ({error}).") from error
    with archive:
        return _read_entry(origin, archive, _checked_entries(origin, archive), name, max_bytes)


def _read_entry(
    origin: Path | str, archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: str, max_bytes: int
) -> bytes:
    entry = entries.get(name)
    if entry is None:
        raise RetinaJError(f"{origin} lacks the file {name}, which its description names.")
    _check_size(origin, name, entry.file_size, max_bytes)
    if entry.file_size > _COMPRESSION_MATTERS_ABOVE and entry.file_size > entry.compress_size * _MAX_COMPRESSION:
        raise RetinaJError(
            f"{origin} holds {name}, {entry.compress_size:,} bytes that unpack to {entry.file_size:,}: "
            "no weights compress like that, and it is not opened."
        )
    return read_entry(Path(origin), archive, entry)


@contextmanager
def _opened_zip(path: Path) -> Generator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise RetinaJError(
            f"{path} is not a bioimage.io package ({error}); expected a zip, or a folder with rdf.yaml."
        ) from error
    with archive:
        yield archive


def _checked_entries(origin: Path | str, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    entries = archive.infolist()
    if len(entries) > _MAX_ENTRIES:
        raise RetinaJError(f"{origin} holds {len(entries):,} files; a package has at most {_MAX_ENTRIES:,}.")
    by_name: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        check_name(origin, entry.filename)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise RetinaJError(f"{origin} holds {entry.filename}, which is a link: it is not opened.")
        if entry.filename in by_name:
            raise RetinaJError(f"{origin} holds {entry.filename} twice: it is not opened.")
        by_name[entry.filename] = entry
    return by_name


def _check_size(origin: Path | str, name: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise RetinaJError(f"{origin} holds {name} with {size:,} bytes; at most {max_bytes:,} were expected.")
