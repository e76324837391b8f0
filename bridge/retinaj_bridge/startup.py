"""Starting ImageJ inside this process: the embedded ImageJ 1.54p, a local Fiji, or what PyImageJ knows how to get.

There is one Java, and so one ImageJ, in a process, and it starts once. After the start all code uses the classes ij.*, which
all three have in common.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jpype
import scyjava

from retinaj.errors import RetinaJError
from retinaj_bridge.fonts import font_options
from retinaj_bridge.jvm import java_class, select_java
from retinaj_bridge.maven_lock import maven_lock
from retinaj_bridge.plugin_jar import plugin_jar

IMAGEJ = "net.imagej:ij:1.54p"
# Lets the macro functions `run` and `open` work without a display.
PATCHER = "net.imagej:ij1-patcher:2.0.0"


@dataclass(frozen=True)
class RunningImageJ:
    """The ImageJ of this process.

    Attributes:
        version: of ij.IJ, such as "1.54p".
        headless: whether it can show windows.
        gateway: what `imagej.init` returned, or None for the embedded ImageJ.
    """

    version: str
    headless: bool
    gateway: Any = None


_running: RunningImageJ | None = None


def start(*, window: bool = False, fiji: Path | None = None, endpoint: str | None = None) -> RunningImageJ:
    """Start ImageJ, or return the one that already runs in this process.

    The first start downloads ImageJ (3 MB) from Maven Central and keeps it in ~/.m2 and ~/.jgo; later ones need no network.

    Args:
        window: be able to show windows; the window itself is opened by `open_window`.
        fiji: a Fiji or ImageJ2 folder to start instead, through PyImageJ.
        endpoint: what PyImageJ shall get and start instead, such as "sc.fiji:fiji" or "2.16.0".

    Raises:
        RetinaJError: if there is no display for a window, no Java, no network at the first start, no Fiji in that folder,
            or if this process runs an ImageJ that is without windows already.
    """
    global _running
    if jpype.isJVMStarted():
        if _running is None:
            _running = _describe(None)
        if window and _running.headless:
            raise RetinaJError("ImageJ already runs in this process without windows; open the window from a new process.")
        return _running
    if fiji is not None and endpoint is not None:
        raise RetinaJError("Give a Fiji folder or an endpoint for PyImageJ, not both.")
    if fiji is not None:
        _require_fiji(fiji)
    if window:
        _require_display()
    jar = plugin_jar()  # first: it may choose a Java of its own to compile with
    jpype.addClassPath(jar)
    select_java(window=window)
    # Ctrl-C is Python's: Java would end the process in the middle of a call, which crashes.
    scyjava.config.add_kwargs(interrupt=False)
    target = str(fiji.expanduser().resolve()) if fiji is not None else endpoint
    if target is None:
        _start_embedded(jar, window=window)
        gateway = None
    else:
        gateway = _start_pyimagej(target, window=window)
    _running = _describe(gateway)
    return _running


def _start_embedded(jar: Path, *, window: bool) -> None:
    config = scyjava.config
    known_endpoints, known_repositories = list(config.endpoints), dict(config.get_repositories())
    # "never" download a Java: one was selected above.
    config.set_java_constraints(fetch="never")
    # Maven Central is always asked; asking SciJava's server too would cost seconds wherever it cannot be reached.
    config.get_repositories().clear()
    config.endpoints[:] = [IMAGEJ]
    options = [
        # ImageJ takes plugins and start-up macros from there: RetinaJ's commands, and nothing else. By default that is the
        # current folder, which may hold any.
        f"-Dplugins.dir={jar.parent.parent}",
        "-Dfile.encoding=UTF-8",  # of the text files that macros write; the default before Java 18 depends on the locale
        *font_options(),
        "-Xrs",  # leaves the signals that end a process to Python; Java would end it in the middle of a call, and crash
    ]
    if not window:
        config.endpoints.append(PATCHER)
        options += ["-Djava.awt.headless=true", "--add-opens=java.base/java.lang=ALL-UNNAMED"]
    # It warns of a missing `jar` tool, which a Java without compiler has not and ImageJ does not need.
    logger = logging.getLogger("jgo")
    level, _ = logger.level, logger.setLevel(logging.ERROR)
    try:
        with maven_lock():
            scyjava.start_jvm([*config.get_options(), *options])
            if window:
                java_class("ij.IJ")  # Java opens a jar when it needs it
            else:
                java_class("net.imagej.patcher.LegacyInjector").preinit()
    except Exception as error:
        config.endpoints[:] = known_endpoints
        config.get_repositories().update(known_repositories)
        raise RetinaJError(_embedded_failure(error)) from error
    finally:
        logger.setLevel(level)


def _embedded_failure(error: Exception) -> str:
    import requests

    if isinstance(error, requests.RequestException):
        return (
            f"ImageJ ({IMAGEJ}) could not be downloaded from Maven Central: {_one_line(error)}. The first start needs a "
            "network (behind a proxy, set HTTPS_PROXY); later starts do not. Or name a Fiji on this computer: --fiji FOLDER."
        )
    return f"ImageJ ({IMAGEJ}) did not start: {_one_line(error)}."


def _start_pyimagej(target: str, *, window: bool) -> Any:
    advice = (
        "PyImageJ gets parts of its own, and whatever an endpoint names, from SciJava's server at the first start, which needs "
        "a network. Leave this option out to use the ImageJ that RetinaJ brings by itself."
    )
    # Take the Java that was selected above. "never" would say so outright, but makes PyImageJ 1.8 fail.
    scyjava.config.set_java_constraints(fetch="auto")
    messages = _ErrorLog()
    logger = logging.getLogger("imagej")
    logger.addHandler(messages)
    try:
        import imagej

        gateway = imagej.init(target, mode=imagej.Mode.INTERACTIVE if window else imagej.Mode.HEADLESS)
    except Exception as error:
        reason = " ".join([_one_line(error), *messages.texts])
        raise RetinaJError(f"PyImageJ could not start {target}: {reason.rstrip('.')}. {advice}") from error
    finally:
        logger.removeHandler(messages)
    if not gateway:  # it logs some failures and returns a false value
        raise RetinaJError(f"PyImageJ could not start {target}: {' '.join(messages.texts) or 'no reason given'}. {advice}")
    return gateway


class _ErrorLog(logging.Handler):
    """Keeps what PyImageJ logs instead of putting it into its exceptions."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(re.sub(r"\s+", " ", record.getMessage()).strip())


def _describe(gateway: Any) -> RunningImageJ:
    version = str(java_class("ij.IJ").getVersion())
    return RunningImageJ(version, bool(java_class("java.awt.GraphicsEnvironment").isHeadless()), gateway)


def _require_fiji(folder: Path) -> None:
    folder = folder.expanduser()
    if not folder.is_dir():
        raise RetinaJError(f"{folder} does not exist; expected the folder of a Fiji, the one with jars and plugins in it.")
    jars = folder / "jars"
    if not any(jars.glob("imagej-*.jar")) and not any(jars.glob("ij-*.jar")):
        raise RetinaJError(
            f"{folder} is not a Fiji: it has no ImageJ in a folder jars. Expected the folder that Fiji starts from."
        )


def _require_display() -> None:
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        raise RetinaJError(
            "There is no display to show ImageJ's window on (DISPLAY is not set). Run a macro without a window, "
            "`retinaj imagej MACRO.ijm`, or start a display, for example by `xvfb-run`."
        )


def _one_line(error: Exception) -> str:
    text = re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
