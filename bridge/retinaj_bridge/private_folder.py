"""The user's folder of RetinaJ (`retinaj.user_folders.state_folder`) as a place for what nobody else may read or change."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj.files import replace_file
from retinaj.user_folders import state_folder


def private_folder() -> Path:
    """The state folder, made if it is not there.

    Raises:
        RetinaJError: if it cannot be made, or another user of this computer could change what lies in it.
    """
    folder = state_folder().absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if os.name == "posix":  # elsewhere a home folder is its user's, and what is in it inherits that
            _require_own(folder)
    except OSError as error:
        raise RetinaJError(f"RetinaJ's folder {folder} cannot be made: {error.strerror}. {_REMEDY}") from error
    return folder


_REMEDY = "Let the environment variable RETINAJ_HOME name a folder of yours, for Python and for Fiji."


def _require_own(folder: Path) -> None:
    if hasattr(os, "getuid"):
        for found in (folder.lstat(), folder.stat()):  # a link of one's own to another disk will do
            if found.st_uid != os.getuid():
                raise RetinaJError(f"RetinaJ's folder {folder} belongs to another user of this computer. {_REMEDY}")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o022:
        raise RetinaJError(
            f"Other users of this computer can write to RetinaJ's folder {folder}: run `chmod 700 {folder}`. Or let the "
            "environment variable RETINAJ_HOME name another folder of yours, for Python and for Fiji."
        )


def write_private(path: Path, text: str) -> None:
    """Write `text` to a file that only the user can read, whole or not at all.

    Raises:
        OSError: if it cannot be written, naming `path`.
    """
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        handle = os.open(temporary, flags, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
            replace_file(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def read_private(path: Path, most_bytes: int) -> str | None:
    """The text of such a file; None if there is none, or if it is not a file of the user's own.

    Args:
        path: the file.
        most_bytes: larger files are not read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    with os.fdopen(handle, "rb") as stream:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size > most_bytes:
            return None
        if hasattr(os, "getuid") and found.st_uid != os.getuid():
            return None
        try:
            return stream.read(most_bytes).decode()
        except UnicodeDecodeError:
            return None
