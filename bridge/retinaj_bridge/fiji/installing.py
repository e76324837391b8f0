"""Putting RetinaJ's plugin into a Fiji, and taking it out, without touching a file that is not ours."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from retinaj import __version__
from retinaj.errors import RetinaJError
from retinaj.files import atomic_path
from retinaj_bridge.fiji.example_macros import example_macros
from retinaj_bridge.fiji.folder import FijiFolder
from retinaj_bridge.fiji.manifest import FOLDER, MANIFEST_NAME, Manifest, compare, file_hash, read_manifest, write_manifest
from retinaj_bridge.fiji.properties import properties_text
from retinaj_bridge.plugin_jar import JAR_NAME, plugin_jar

PROPERTIES_NAME = "retinaj.properties"
# Without these there is no command; an example that the user has changed may stay as it is.
_ESSENTIAL = (JAR_NAME, PROPERTIES_NAME)


@dataclass(frozen=True)
class Installation:
    """What `install` did.

    Attributes:
        folder: where RetinaJ's files are now.
        replaced: the version that was there before, or None.
        kept: files that somebody had changed or put there, and that were left as they are.
        put_aside: (name, new name) of files that had to make way although somebody had changed them.
    """

    folder: Path
    replaced: str | None
    kept: tuple[str, ...]
    put_aside: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Removal:
    """What `uninstall` did.

    Attributes:
        folder: where RetinaJ's files were.
        removed: how many files were removed.
        kept: files that were left because somebody had changed them.
        others: files in the folder that RetinaJ never installed, and left.
    """

    folder: Path
    removed: int
    kept: tuple[str, ...]
    others: tuple[str, ...]


def install(fiji: FijiFolder, *, python: Path | None = None) -> Installation:
    """Put the plugin and the example macros into `plugins/RetinaJ` of a Fiji; an older installation is replaced.

    Every file is written beside its place first and renamed then; what somebody else put there is never overwritten.

    Args:
        fiji: where.
        python: the interpreter that Fiji shall start; default: the one that runs now.

    Raises:
        RetinaJError: if the folder cannot be written to, a file that is not ours is in the way, or Fiji holds the old plugin
            open (on Windows).
    """
    folder = fiji.plugins / FOLDER
    files = _files(python or Path(sys.executable))
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    aside: list[tuple[str, str]] = []
    with _explained(folder):
        old = read_manifest(folder)
        known = old.files if old is not None else {}
        changed = _changed(folder, hashes, known)
        kept = tuple(name for name in changed if name not in _ESSENTIAL)
        # Until all is done, a file may be ours in the old form or in the new.
        both = {name: [*known.get(name, ()), digest] for name, digest in hashes.items() if name not in kept}
        gone = {name: known[name] for name in known if name not in hashes}
        write_manifest(folder, Manifest(version=__version__, files=gone | both))
        with ExitStack() as stack:
            for name, data in files.items():
                if name not in kept:
                    stack.enter_context(atomic_path(folder / name)).write_bytes(data)
            # What can fail for want of space has been done; as the block ends, the files take their places.
            aside += [(name, _put_aside(folder / name)) for name in changed if name in _ESSENTIAL]
        _remove_unchanged(folder, gone)
        write_manifest(folder, Manifest(version=__version__, files={name: [hashes[name]] for name in both}))
    return Installation(folder, old.version if old is not None else None, kept, tuple(aside))


def uninstall(fiji: FijiFolder) -> Removal:
    """Take out what `install` put there, except what somebody has changed since.

    Raises:
        RetinaJError: if RetinaJ is not installed there, the list of its files is damaged, or the folder cannot be written to.
    """
    folder = fiji.plugins / FOLDER
    with _explained(folder):
        manifest = read_manifest(folder)
        if manifest is None:
            raise RetinaJError(f"RetinaJ is not installed in {fiji.path}: {folder / MANIFEST_NAME} is not there.")
        kept = compare(folder, manifest.files).changed
        removed = _remove_unchanged(folder, manifest.files)
        (folder / MANIFEST_NAME).unlink()
        left = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not path.is_dir())
        others = tuple(name for name in left if name not in kept)
        _remove_empty(folder)
    return Removal(folder, removed, kept, others)


def require_writable(fiji: FijiFolder) -> None:
    """Refuse a Fiji whose plugins folder cannot be written to.

    Raises:
        RetinaJError: naming the folder and what to do.
    """
    folder = fiji.plugins / FOLDER if (fiji.plugins / FOLDER).is_dir() else fiji.plugins
    with _explained(folder), tempfile.TemporaryFile(dir=folder):
        return


def _files(python: Path) -> dict[str, bytes]:
    """What is installed: the path in the folder and the content."""
    # Not resolved: the link in an environment's folder is what makes it that environment.
    properties = {"python": str(python.absolute()), "version": __version__}
    own = {JAR_NAME: plugin_jar().read_bytes(), PROPERTIES_NAME: properties_text(properties).encode("ascii")}
    return own | example_macros()


def _changed(folder: Path, hashes: Mapping[str, str], known: Mapping[str, list[str]]) -> list[str]:
    """The files in the way that are neither as we installed them nor as we will.

    Raises:
        RetinaJError: if a file that the plugin needs was never ours.
    """
    changed: list[str] = []
    for name, digest in hashes.items():
        found = file_hash(folder / name)
        if found is None or found == digest or found in known.get(name, ()):
            continue
        if name in _ESSENTIAL and (name not in known or not found):
            raise RetinaJError(
                f"{folder / name} is in the way, and `retinaj fiji install` did not put it there. Move it to another place, or "
                "delete it if you do not need it, and install again."
            )
        changed.append(name)
    return changed


def _put_aside(path: Path) -> str:
    """Rename a file to the first free name that ImageJ takes for nothing, and say which."""
    at = 1
    while os.path.lexists(new := path.with_name(f"{path.name}.changed-{at}")):
        at += 1
    path.rename(new)
    return new.name


def _remove_unchanged(folder: Path, files: Mapping[str, list[str]]) -> int:
    ours = compare(folder, files).ours
    for name in ours:
        (folder / name).unlink()
    return len(ours)


def _remove_empty(folder: Path) -> None:
    for path in sorted((path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()
    if not any(folder.iterdir()):
        folder.rmdir()


@contextmanager
def _explained(folder: Path) -> Generator[None]:
    """What the user can do when the operating system refuses."""
    try:
        yield
    except OSError as error:
        path = error.filename or folder
        if isinstance(error, PermissionError):
            raise RetinaJError(
                f"{path} cannot be written: {error.strerror}. If Fiji is running, close it and try again. Else move Fiji's "
                "folder to where you may write, such as your home folder (Fiji needs no installation), or run this command "
                "as an administrator."
            ) from error
        if isinstance(error, FileExistsError | NotADirectoryError):
            raise RetinaJError(f"{path} leads through a file where a folder is needed: move that file away.") from error
        raise RetinaJError(
            f"{path} could not be written: {error.strerror}. Make room, or connect the drive, and run the command again."
        ) from error
