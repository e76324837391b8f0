"""The doctor's look at the folder of Fiji: nothing is started or changed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from retinaj import __version__
from retinaj.errors import RetinaJError
from retinaj_bridge.fiji.findings import Finding, good, problem
from retinaj_bridge.fiji.folder import FijiFolder
from retinaj_bridge.fiji.installing import require_writable
from retinaj_bridge.fiji.manifest import FOLDER, compare, read_manifest
from retinaj_bridge.jvm import java_version
from retinaj_bridge.plugin_jar import IMAGEJ

# What the plugin is compiled for, and the oldest ImageJ that has all that it calls.
OLDEST_JAVA = 8
OLDEST_IMAGEJ = IMAGEJ.rpartition(":")[2]
_INSTALL = "Run `retinaj fiji install` again, and restart Fiji."
_UPDATE = "Let Fiji update itself (Help > Update...), or get a new one from https://fiji.sc."
_MOST_FILES = 50_000
# As retinaj.files.atomic_path calls what it has not finished.
_UNFINISHED = re.compile(r"\.(RetinaJ_|retinaj|installed|[\w ]+)-\w{8}\.(jar|properties|json|ijm)")


def check_folder(fiji: FijiFolder) -> Finding:
    """Whether it can be written to, which updating and uninstalling need."""
    try:
        require_writable(fiji)
    except RetinaJError as error:
        return problem("Fiji", str(error))
    return good("Fiji", str(fiji.path))


def check_imagej(fiji: FijiFolder) -> Finding:
    """Whether there is one ImageJ in it, which is new enough."""
    jars, version = fiji.imagej_jars(), fiji.imagej_version()
    if len(jars) > 1:
        names = ", ".join(jar.name for jar in jars)
        return problem(
            "ImageJ", f"There are {len(jars)} of them: {names}.", f"Keep the newest, and delete the others. {_UPDATE}"
        )
    if version is not None and _order(version) < _order(OLDEST_IMAGEJ):
        return problem("ImageJ", f"Version {version} is too old: RetinaJ needs {OLDEST_IMAGEJ} or later.", _UPDATE)
    return good("ImageJ", version or f"of an unknown version; {OLDEST_IMAGEJ} or later is needed")


def check_java(fiji: FijiFolder) -> Finding:
    """Whether the Java that Fiji runs on can load the plugin."""
    own = fiji.javas()
    homes = own or _system_javas()
    if not homes:
        return problem(
            "Fiji's Java", "Fiji brings none, and this computer has none.", "Get a Fiji with Java from https://fiji.sc."
        )
    versions = {home: java_version(home) for home in homes}
    old = [home for home, version in versions.items() if version is not None and version < OLDEST_JAVA]
    if old:
        return problem("Fiji's Java", f"{old[0]} is Java {versions[old[0]]}: RetinaJ needs {OLDEST_JAVA} or later.", _UPDATE)
    if all(version is None for version in versions.values()):
        return problem("Fiji's Java", f"{homes[0]} does not run.", "Get a new Fiji from https://fiji.sc.")
    listed = ", ".join(f"Java {version}" for version in versions.values() if version is not None)
    return good("Fiji's Java", listed if own else f"{listed}, this computer's; Fiji brings none of its own")


def check_plugin(fiji: FijiFolder) -> Finding:
    """Whether the plugin is there, whole, and of this Python's version."""
    what, folder = "Plugin", fiji.plugins / FOLDER
    try:
        manifest = read_manifest(folder)
    except RetinaJError as error:
        return problem(what, str(error))
    if manifest is None:
        return problem(what, f"RetinaJ is not installed in {fiji.path}.", "Run `retinaj fiji install`, and restart Fiji.")
    files = compare(folder, manifest.files)
    if files.missing:
        return problem(what, f"It is not whole: {', '.join(files.missing)} of {folder} is gone.", _INSTALL)
    changed = [name for name in files.changed if not name.endswith(".ijm")]  # which are there to be changed
    if changed:
        return problem(what, f"Somebody has changed {', '.join(changed)} in {folder}.", _INSTALL)
    if manifest.version != __version__:
        return problem(what, f"Fiji has version {manifest.version}, but this Python has {__version__}.", _INSTALL)
    return good(what, f"version {manifest.version}")


def other_jars(fiji: FijiFolder) -> list[Path]:
    """Copies of the plugin in a Fiji that `install` did not put there."""
    ours = _ours(fiji.plugins / FOLDER)
    jars = (path for path in _files(fiji.plugins, fiji.path / "jars") if re.fullmatch(r"(?i)retinaj.*\.jar", path.name))
    return [path for path in jars if path not in ours]


def _ours(folder: Path) -> set[Path]:
    """What `install` put into RetinaJ's folder, as far as its list can be read."""
    try:
        manifest = read_manifest(folder)
    except RetinaJError:
        return set()
    return set() if manifest is None else {folder / name for name in manifest.files}


def check_leftovers(fiji: FijiFolder) -> Finding:
    """Whether another installation of RetinaJ, or half of one, is in the way."""
    folder = fiji.plugins / FOLDER
    ours = _ours(folder)
    others = other_jars(fiji)
    if others:
        advice = "Delete it: Fiji cannot tell which of two it shall run." if ours else "Delete it."
        return problem("Leftovers", f"{', '.join(map(str, others))} was not put there by `retinaj fiji install`.", advice)
    unfinished = [path for path in _files(folder) if _UNFINISHED.fullmatch(path.name) and path not in ours]
    if unfinished:
        names = ", ".join(map(str, unfinished))
        return problem("Leftovers", f"An installation was interrupted and left {names}.", "Delete that, and install again.")
    return good("Leftovers", "none")


def _order(version: str) -> tuple[int, int, str]:
    """To compare versions such as "1.53t", of which "1.53" is the first.

    >>> _order("1.53") < _order("1.53t") < _order("1.54a") < _order("1.100")
    True
    """
    found = re.match(r"(\d+)\.(\d+)([a-z]?)", version)
    return (int(found[1]), int(found[2]), found[3]) if found else (0, 0, "")


def _system_javas() -> list[Path]:
    """The Java that a Fiji without its own runs on."""
    homes = [Path(home)] if (home := os.environ.get("JAVA_HOME")) else []
    if program := shutil.which("java"):
        homes.append(Path(program).resolve().parents[1])
    return homes[:1]


def _files(*folders: Path) -> Iterator[Path]:
    found = (Path(place, name) for folder in folders for place, _, names in os.walk(folder) for name in names)
    return islice(found, _MOST_FILES)
