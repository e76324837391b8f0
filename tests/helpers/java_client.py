"""The plugin's own client, `retinaj.Worker`, in a Java of its own without ImageJ's window, as Fiji would run it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from retinaj_bridge.jvm import java_executable, select_java
from retinaj_bridge.plugin_jar import COMPILER, _jars, plugin_jar
from retinaj_bridge.startup import IMAGEJ

_SOURCES = Path(__file__).parent / "java"
SECONDS = 120


@dataclass(frozen=True)
class JavaClient:
    """Calls the worker from Java.

    Attributes:
        java: the program.
        class_path: the plugin, ImageJ and the probe.
    """

    java: Path
    class_path: str

    def command(self, main: str, *arguments: str, **properties: str) -> list[str]:
        """What runs a class with system properties, in which `_` stands for a dot."""
        defined = [f"-D{name.replace('_', '.')}={value}" for name, value in properties.items()]
        return [str(self.java), "-Xmx600m", *defined, "-cp", self.class_path, main, *arguments]

    def begin(self, *arguments: str, **properties: str) -> subprocess.Popen[str]:
        """Start `WorkerProbe VERB KEY=VALUE...`."""
        return self.begin_main("retinaj.WorkerProbe", *arguments, **properties)

    def begin_main(self, main: str, *arguments: str, **properties: str) -> subprocess.Popen[str]:
        """Start another class."""
        return subprocess.Popen(
            self.command(main, *arguments, **properties),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )

    def call(self, *arguments: str, **properties: str) -> list[str]:
        """The lines that it prints, without those about progress."""
        return said(self.begin(*arguments, **properties))


def said(process: subprocess.Popen[str]) -> list[str]:
    """What a probe printed until its end, without progress."""
    try:
        output, _ = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, output
    return [line for line in output.splitlines() if not line.startswith("progress")]


def compile_client(folder: Path, sources: Path = _SOURCES) -> JavaClient:
    """Compile the probe, or other Java, into `folder` against the plugin (a second).

    Raises:
        RetinaJError: as `plugin_jar`.
    """
    jar = plugin_jar()
    java = java_executable(select_java(window=False))
    class_path = [folder, jar, *_jars(IMAGEJ)]
    compiler = os.pathsep.join(map(str, _jars(COMPILER)))
    classes = os.pathsep.join(map(str, class_path))
    options = ["-source", "1.8", "-target", "1.8", "-nowarn", "-proc:none", "-encoding", "UTF-8", "-d", str(folder)]
    command = [str(java), "-cp", compiler, "org.eclipse.jdt.internal.compiler.batch.Main", *options, "-classpath", classes]
    subprocess.run([*command, str(sources)], check=True, timeout=SECONDS)
    return JavaClient(java, classes)
