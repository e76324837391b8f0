"""RetinaJ's commands as an ImageJ plugin: the Java in `java/`, compiled when it is first needed and kept."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
import zipfile
from pathlib import Path

from retinaj import __version__
from retinaj.errors import RetinaJError
from retinaj.files import atomic_path
from retinaj.prediction.detector import DEFAULT_THRESHOLD
from retinaj.user_folders import cache_folder
from retinaj_bridge.jvm import java_executable, select_java
from retinaj_bridge.maven_lock import maven_lock

# ImageJ looks for plugins in jars whose name has an underscore.
JAR_NAME = "RetinaJ_.jar"

# What the plugin is compiled against: the oldest ImageJ that it runs on, which is the one of the last Fiji with Java 8, so that
# no method is called that came later. And the compiler, a jar itself: a Java without a compiler suffices.
IMAGEJ = "net.imagej:ij:1.54f"
COMPILER = "org.eclipse.jdt:ecj:3.38.0"
# What Fiji's oldest Java still in use can load.
_TARGET = "1.8"

_SOURCES = Path(__file__).parent / "java"
_DATE = (1980, 1, 1, 0, 0, 0)


def plugin_jar() -> Path:
    """The jar with the commands, compiled if this version of them has not been yet (two seconds).

    Returns:
        `RetinaJ_.jar` in a folder `plugins` in the user's cache folder, alone; the same sources give the same jar.

    Raises:
        RetinaJError: without Java, or, where it has not been compiled yet, without a network to get the compiler (3 MB) from
            Maven Central.
    """
    contents = _contents()
    jar = cache_folder() / "plugin" / _digest(contents) / "plugins" / JAR_NAME
    if not jar.is_file():
        jar.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            classes = _compile(Path(scratch))
            with atomic_path(jar) as partial:
                _write_jar(partial, classes, contents)
    return jar


def _contents() -> dict[str, bytes]:
    """What the jar holds apart from classes, by its name there, and the sources they are compiled from."""
    sources = {
        path.relative_to(_SOURCES).as_posix(): path.read_bytes() for path in sorted(_SOURCES.rglob("*")) if path.is_file()
    }
    properties = f"version={__version__}\nthreshold={DEFAULT_THRESHOLD}\n"
    return sources | {"retinaj/build.properties": properties.encode()}


def _digest(contents: dict[str, bytes]) -> str:
    digest = hashlib.sha256(f"{COMPILER} {IMAGEJ} {_TARGET}".encode())
    for name, data in contents.items():
        digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


def _compile(folder: Path) -> Path:
    compiler, imagej = _jars(COMPILER), _jars(IMAGEJ)
    home = select_java(window=False)
    target = folder / "classes"
    command = [
        str(java_executable(home)), "-cp", os.pathsep.join(map(str, compiler)), "org.eclipse.jdt.internal.compiler.batch.Main",
        "-source", _TARGET, "-target", _TARGET, "-encoding", "UTF-8", "-g", "-proc:none", "-nowarn",
        "-classpath", os.pathsep.join(map(str, imagej)), "-d", str(target), str(_SOURCES),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise RetinaJError(f"RetinaJ's ImageJ plugin could not be compiled:\n{(done.stdout + done.stderr).strip()}")
    return target


def _jars(endpoint: str) -> list[Path]:
    """The jars of a Maven artifact, from ~/.m2 or Maven Central."""
    import jgo
    import requests

    try:
        with maven_lock():
            environment = jgo.build(endpoint)
    except Exception as error:
        reason = re.sub(r"\s+", " ", str(error)).strip()[:300] or type(error).__name__
        if isinstance(error, requests.RequestException):
            raise RetinaJError(
                f"{endpoint}, of which RetinaJ's ImageJ plugin is made, could not be downloaded from Maven Central: {reason}. "
                "The first start needs a network (behind a proxy, set HTTPS_PROXY); later starts do not."
            ) from error
        raise RetinaJError(f"{endpoint}, of which RetinaJ's ImageJ plugin is made, could not be prepared: {reason}.") from error
    folders = (environment.jars_dir, environment.modules_dir)
    return sorted(jar for folder in folders if folder.is_dir() for jar in folder.glob("*.jar"))


def _write_jar(path: Path, classes: Path, contents: dict[str, bytes]) -> None:
    files = {name: data for name, data in contents.items() if not name.endswith(".java")}
    files |= {each.relative_to(classes).as_posix(): each.read_bytes() for each in classes.rglob("*.class")}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as jar:
        for name in sorted(files):
            jar.writestr(zipfile.ZipInfo(name, _DATE), files[name], zipfile.ZIP_DEFLATED)
