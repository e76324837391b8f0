"""Writing that loses nothing: to a temporary name beside the target, then renamed; and never over the user's files unasked."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from retinaj.errors import RetinaJError

_PAUSES = (0.1, 0.3, 1.0)  # seconds
_unfinished: set[Path] = set()  # temporary folders that are being filled
_finished: set[Path] = set()


@contextmanager
def atomic_path(target: Path) -> Generator[Path]:
    """A temporary path beside `target` to write one file to; it takes the target's place when the block ends well.

    If the block raises, the temporary file is removed and the target is as it was.
    """
    target = Path(target)
    with _naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("r+b") as stream:  # Windows flushes only what is open for writing
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        with _naming(target):
            replace_file(temporary, target)
        _note_finished(target)
    finally:
        temporary.unlink(missing_ok=True)


def replace_file(temporary: Path, target: Path) -> None:
    """Rename over the target; on Windows a virus scanner or another reader may hold one of the two for a moment."""
    for pause in _PAUSES:
        try:
            temporary.replace(target)
        except PermissionError:
            time.sleep(pause)
        else:
            return
    temporary.replace(target)


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def atomic_folder(target: Path) -> Generator[Path]:
    """A temporary folder beside `target`, renamed to it when the block ends well and removed when it raises.

    Raises:
        RetinaJError: if `target` already exists, before anything is written.
    """
    target = Path(target)
    require_absent(target)
    with _naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    _unfinished.add(temporary)
    try:
        yield temporary
        require_absent(target)
        if target.is_dir():
            target.rmdir()  # it is empty; Windows does not rename over a folder
        temporary.chmod(0o777 & ~_umask())
        with _naming(target):
            temporary.rename(target)
        _note_finished(target)
    finally:
        _unfinished.discard(temporary)
        shutil.rmtree(temporary, ignore_errors=True)


def require_absent(target: Path) -> None:
    """Refuse to go on when `target` exists, unless it is an empty folder, or when it cannot be made.

    Raises:
        RetinaJError: naming the path and what to do.
    """
    if not (target.is_dir() and not any(target.iterdir())) and target.exists():
        raise RetinaJError(f"{target} already exists, and RetinaJ does not overwrite it: choose another name or move it.")
    require_writable(target)


def require_writable(target: Path) -> None:
    """Refuse to go on when nothing can be made at `target`, before hours of work.

    Raises:
        RetinaJError: naming the path, the folder that is in the way, and what to do.
    """
    parents = target.absolute().parents
    parent = next((folder for folder in parents if os.path.lexists(folder)), parents[-1])  # a drive may be missing
    if not parent.is_dir():
        raise RetinaJError(f"{target} cannot be made, because {parent} is not a folder: choose another place.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise RetinaJError(f"{target} cannot be made, because {parent} cannot be written to: choose another place.")


def anything_written() -> bool:
    """Whether a file or folder has taken its place since the program began, and is more than a part of an unfinished one."""
    return bool(_finished)


def _note_finished(target: Path) -> None:
    if _unfinished.isdisjoint(target.parents):
        _finished.add(target)


@contextmanager
def _naming(target: Path) -> Generator[None]:
    """Errors of the operating system name what the user knows, not the temporary name beside it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def require_file(path: Path, what: str) -> Path:
    """`path` itself if it is a file.

    Raises:
        RetinaJError: if it is not, naming the path and `what` was expected there.
    """
    if not path.is_file():
        state = "is a folder" if path.is_dir() else "does not exist"
        raise RetinaJError(f"{path} {state}; expected {what}.")
    return path


def require_folder(path: Path, what: str) -> Path:
    """`path` itself if it is a folder.

    Raises:
        RetinaJError: if it is not, naming the path and `what` was expected there.
    """
    if not path.is_dir():
        state = "is a file" if path.is_file() else "does not exist"
        raise RetinaJError(f"{path} {state}; expected {what}.")
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
