"""The folder of a Fiji or ImageJ: recognising it, whatever part of it was named, and finding it where it usually lies."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj_bridge.jvm import java_executable

_EXPECTED = "expected the folder of a Fiji or ImageJ, the one with the folder plugins and the folder jars (or ij.jar) in it"
_MOST_ENTRIES = 1000  # of a folder that is searched
_DEPTH_OF_LAUNCHER = 4  # Fiji/Fiji.app/Contents/MacOS/fiji-macos
_DEPTH_OF_JAVA = 6  # java/macosx/zulu/jre/Contents/Home
_IMAGEJ_1 = ("ij.jar", "ImageJ.app/Contents/Java/ij.jar")
_NAMES = re.compile(r"(fiji|imagej)", re.IGNORECASE)


@dataclass(frozen=True)
class FijiFolder:
    """A Fiji or ImageJ on this computer.

    Attributes:
        path: absolute, of the folder that holds `plugins`.
    """

    path: Path

    @property
    def plugins(self) -> Path:
        """Where its plugins lie."""
        return self.path / "plugins"

    def imagej_jars(self) -> list[Path]:
        """The jars of the original ImageJ in it; a sound one has one."""
        found = [path for path in _entries(self.path / "jars") if re.fullmatch(r"ij-\d.*\.jar", path.name)]
        return found + [self.path / name for name in _IMAGEJ_1 if (self.path / name).is_file()]

    def imagej_version(self) -> str | None:
        """The version of its ImageJ, such as "1.54p", or None if it cannot be told."""
        for jar in self.imagej_jars():
            if named := re.fullmatch(r"ij-(\d+\.\d+[a-z]?).*\.jar", jar.name):
                return named[1]
            if inside := _version_inside(jar):
                return inside
        return None

    def javas(self) -> list[Path]:
        """The folders of the Javas that came with it; none where it uses the system's."""
        found: list[Path] = []
        for name in ("java", "jre"):
            found += _javas_below(self.path / name, _DEPTH_OF_JAVA)
        return found


def open_fiji(given: Path) -> FijiFolder:
    """The Fiji that a path means.

    Args:
        given: its folder, the folder that this lies in, its launcher, a macOS application, or its plugins folder.

    Raises:
        RetinaJError: if it is none of these, or the folder holds several.
    """
    path = given.expanduser().absolute()
    if not path.exists():
        raise RetinaJError(f"{given} does not exist; {_EXPECTED}.")
    parts = list(islice(path.parents, _DEPTH_OF_LAUNCHER))
    inside = path.is_file() or path.suffix == ".app" or path.name in ("plugins", "jars") or "Contents" in path.parts
    for candidate in (path, *(parts if inside else ())):
        if _is_fiji(candidate):
            return FijiFolder(candidate)
    below = [child for child in _entries(path) if _is_fiji(child)]
    if len(below) > 1:
        listed = ", ".join(str(child) for child in below)
        raise RetinaJError(f"{given} holds several: {listed}. Name one of them.")
    if not below:
        raise RetinaJError(f"{given} is not a Fiji; {_EXPECTED}.")
    return FijiFolder(below[0])


def find_fijis() -> list[FijiFolder]:
    """The Fijis and ImageJs in the places where they usually lie, such as the home folder and its Desktop."""
    found: dict[Path, FijiFolder] = {}
    for place in usual_places():
        for child in _entries(place):
            if _NAMES.match(child.name) and _is_fiji(child):
                found.setdefault(child.resolve(), FijiFolder(child))
    return list(found.values())


def usual_places() -> list[Path]:
    """The folders that `find_fijis` looks into."""
    home = Path.home()
    places = [home, *(home / name for name in ("Desktop", "Downloads", "Documents", "Applications", "bin", "opt"))]
    if sys.platform == "win32":
        names = ("ProgramFiles", "ProgramFiles(x86)", "LOCALAPPDATA", "SystemDrive")
        values = [os.environ[name] for name in names if os.environ.get(name)]
        places += [Path(value + os.sep) for value in values] + [Path(value, "Programs") for value in values]
    elif sys.platform == "darwin":
        places.append(Path("/Applications"))
    else:
        places += [Path("/opt"), Path("/usr/local"), Path("/usr/share")]
    return places


def _is_fiji(path: Path) -> bool:
    if not (path / "plugins").is_dir():
        return False
    jars = (entry.name for entry in _entries(path / "jars"))
    return any(re.match(r"(ij|imagej)-\d", name) for name in jars) or any((path / name).is_file() for name in _IMAGEJ_1)


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, in order; nothing where it cannot be read."""
    try:
        return sorted(islice(folder.iterdir(), _MOST_ENTRIES))
    except OSError:
        return []


def _javas_below(folder: Path, depth: int) -> Iterator[Path]:
    if java_executable(folder).is_file():
        yield folder
    elif depth:
        for child in _entries(folder):
            if child.is_dir() and not child.is_symlink():
                yield from _javas_below(child, depth - 1)


def _version_inside(jar: Path) -> str | None:
    """What the jar of an ImageJ that was not got from Maven Central says of itself."""
    try:
        with zipfile.ZipFile(jar) as archive, archive.open("META-INF/maven/net.imagej/ij/pom.properties") as stream:
            text = stream.read(10_000).decode(errors="replace")
    except (OSError, KeyError, zipfile.BadZipFile):
        return None
    found = re.search(r"^version=(\d+\.\d+[a-z]?)", text, re.MULTILINE)
    return found[1] if found else None
