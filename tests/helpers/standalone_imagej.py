"""A Fiji that stands alone, for tests: a folder laid out like Fiji's, and its ImageJ in a Java process of its own.

With a display it is plain ImageJ, as Fiji shows it. Without one it is patched by ij1-patcher, as Fiji's is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import retinaj_bridge.jvm
from retinaj_bridge.fiji.folder import FijiFolder
from retinaj_bridge.jvm import java_executable
from retinaj_bridge.plugin_jar import COMPILER, _jars
from retinaj_bridge.startup import IMAGEJ, PATCHER

_SOURCES = [Path(__file__).parent / "java" / "retinaj" / f"{name}.java" for name in ("DialogReader", "ScriptCaller")]
PATIENCE = 120.0  # seconds; a macro takes two, and eight without a display
# Fiji's own start makes the menus, so that `run` knows the commands of plugins.
_START = 'call("ij.IJ.runPlugIn", "ij.IJ.init", "");'


def make_fiji(folder: Path, imagej: str = IMAGEJ) -> FijiFolder:
    """A folder like that of a Fiji, with the real ImageJ in it, of this Maven coordinate."""
    for name in ("jars", "plugins", "macros"):
        (folder / name).mkdir(parents=True)
    jar = maven_jar(imagej)
    shutil.copy(jar, folder / "jars" / jar.name)
    return FijiFolder(folder)


def maven_jar(endpoint: str) -> Path:
    """The jar of a Maven coordinate, in the folder that all Maven tools share.

    jgo's own folders, which `_jars` names, are made anew at each call, under the hands of other tests that run ImageJ.
    """
    group, artifact, version = endpoint.split(":")
    folder = Path.home() / ".m2" / "repository" / group.replace(".", "/") / artifact / version
    jar = folder / f"{artifact}-{version}.jar"
    if not jar.is_file():
        _jars(endpoint)  # downloads it
    return jar


@cache
def patcher_jars() -> list[Path]:
    """What lets ImageJ run without a display."""
    return [jar for jar in _jars(PATCHER) if not jar.name.startswith("ij-")]


def compile_reader(folder: Path) -> Path:
    """Compile the user who reads out message boxes, and a script, into `folder`, which is returned."""
    classes = [str(maven_jar(endpoint)) for endpoint in (COMPILER, IMAGEJ)]
    options = ["-source", "1.8", "-target", "1.8", "-nowarn", "-proc:none", "-cp", classes[1], "-d", str(folder)]
    compiler = [str(java()), "-cp", classes[0], "org.eclipse.jdt.internal.compiler.batch.Main"]
    subprocess.run([*compiler, *options, *map(str, _SOURCES)], check=True, timeout=PATIENCE)
    return folder


def java() -> Path:
    """The Java that RetinaJ would choose, without letting this process's environment lead to it."""
    before = {name: os.environ.get(name) for name in ("JAVA_HOME", "PATH")}
    try:
        return java_executable(retinaj_bridge.jvm.select_java(window=True))
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@dataclass
class StandaloneImageJ:
    """How a user's Fiji is started.

    Attributes:
        fiji: where it lies.
        home: the user's home folder, and RetinaJ's state folder in it.
        display: the display to show windows on; None for a Fiji without a window.
        reader: where `compile_reader` put the user who closes message boxes; with a display there must be one.
        java: the program.
    """

    fiji: FijiFolder
    home: Path
    display: str | None = None
    reader: Path | None = None
    java: Path = field(default_factory=java)

    @property
    def state(self) -> Path:
        """Where the plugin and the worker find each other."""
        return self.home / ".retinaj"

    def command(self, main: str, *arguments: str) -> list[str]:
        """The command line that runs a Java class in this ImageJ."""
        jars = sorted((self.fiji.path / "jars").glob("*.jar"))
        options = [f"-Dplugins.dir={self.fiji.path}", f"-Duser.home={self.home}", "-Dfile.encoding=UTF-8", "-Xmx600m"]
        options += ["-Dretinaj.worker.idleMinutes=2", "-XX:-UsePerfData"]
        if self.display is None:
            [agent] = [jar for jar in patcher_jars() if jar.name.startswith("ij1-patcher")]
            options += ["-Djava.awt.headless=true", "--add-opens=java.base/java.lang=ALL-UNNAMED", f"-javaagent:{agent}=init"]
            # Fiji's launcher puts all plugins on the class path, too.
            jars += patcher_jars()
            jars += sorted(self.fiji.plugins.rglob("*.jar"))
        if self.reader is not None:
            jars.append(self.reader)
        return [str(self.java), *options, "-cp", os.pathsep.join(map(str, jars)), main, *arguments]

    def begin(self, main: str, *arguments: str, prepare: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        """Begin to run a Java class in this ImageJ; `prepare` is called in the new process."""
        self.home.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "RETINAJ_HOME")}
        if self.display is not None:
            environment["DISPLAY"] = self.display
        return subprocess.Popen(
            self.command(main, *arguments),
            env=environment | {"HOME": str(self.home), "RETINAJ_HOME": str(self.state), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            preexec_fn=prepare,
        )

    def start(self, code: str, *, prepare: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        """Begin to run the text of a macro."""
        self.home.mkdir(parents=True, exist_ok=True)
        macro = self.home / f"macro {len(list(self.home.glob('macro *.ijm')))}.ijm"
        # As ImageJ reads macros from files.
        macro.write_text((_START if self.display is None else "") + code, encoding="latin-1")
        main = "ij.ImageJ" if self.reader is None else "retinaj.DialogReader"
        return self.begin(main, "-batch", str(macro), prepare=prepare)

    def run(self, code: str, *, prepare: Callable[[], None] | None = None) -> list[str]:
        """Run the text of a macro to its end; the lines that were printed."""
        return finish(self.start(code, prepare=prepare))


def finish(process: subprocess.Popen[str]) -> list[str]:
    """The lines that an ImageJ printed until its end. It must not hang."""
    try:
        printed, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        printed, _ = process.communicate()
        raise AssertionError(f"ImageJ hung:\n{printed}") from None
    return [line for line in printed.splitlines() if line.strip()]
