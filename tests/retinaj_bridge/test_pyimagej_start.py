"""How the real PyImageJ is started, up to the point where it would get ImageJ2 from SciJava's server, which needs a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from standalone_imagej import make_fiji

from retinaj_bridge.fiji.installing import install
from retinaj_bridge.plugin_jar import plugin_jar

_CODE = """
    import json, os
    from pathlib import Path
    import jpype, scyjava
    import retinaj_bridge

    class StoppedError(Exception):
        pass

    def start_jvm(options=None):
        config = scyjava.config
        print("NOTES", json.dumps({{
            "endpoints": list(config.endpoints),
            "options": list(config.get_options()) + list(options or []),
            "keywords": {{name: str(value) for name, value in config.get_kwargs().items()}},
            "fetch": config.get_fetch_java(),
            "classes": [str(path) for path in jpype.getClassPath().split(os.pathsep)],
            "java": os.environ["JAVA_HOME"],
        }}))
        raise StoppedError("here it would resolve")

    scyjava.start_jvm = start_jvm
    try:
        retinaj_bridge.start(window={window}, {how})
    except Exception as error:
        print("ENDED", error)
"""


def start(how: str, *, window: bool = False) -> tuple[dict[str, Any], str]:
    """What PyImageJ has set when it starts Java, and what the user reads when that fails."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_CODE.format(window=window, how=how))],
        env=os.environ | {"DISPLAY": ":7"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(("NOTES ", "ENDED ")))
    assert set(lines) == {"NOTES", "ENDED"}, done.stdout + done.stderr
    return json.loads(lines["NOTES"]), lines["ENDED"]


@pytest.mark.parametrize("window", [False, True])
def test_an_endpoint(window: bool) -> None:
    notes, ended = start("endpoint='sc.fiji:fiji'", window=window)
    assert notes["endpoints"][0] == "sc.fiji:fiji"
    assert "net.imagej:imagej-legacy:MANAGED" in notes["endpoints"]  # the classes ij.*, which the commands use
    assert ("-Djava.awt.headless=true" in notes["options"]) != window  # what differs without a window
    assert notes["keywords"]["interrupt"] == "False"  # Ctrl-C stays Python's
    assert notes["fetch"] == "auto"
    assert (Path(notes["java"]) / "bin").is_dir()
    assert str(plugin_jar()) in notes["classes"]
    assert ended.startswith("PyImageJ could not start sc.fiji:fiji: here it would resolve. PyImageJ gets parts of its own")


def test_a_version(tmp_path: Path) -> None:
    notes, _ = start("endpoint='2.16.0'")
    assert notes["endpoints"][0] == "net.imagej:imagej:2.16.0"
    assert "io.scif:scifio-labeling:MANAGED" in notes["endpoints"]


def test_a_fiji_of_the_user_in_which_retinaj_is_installed(tmp_path: Path) -> None:
    """This Python's commands come first on the class path: those in Fiji may be of another version."""
    fiji = make_fiji(tmp_path / "My Fiji.app")
    install(fiji)
    notes, ended = start(f"fiji=Path({str(fiji.path)!r})")
    assert f"-Dplugins.dir={fiji.plugins}" in notes["options"]
    assert not any(endpoint.startswith(("net.imagej:imagej", "sc.fiji")) for endpoint in notes["endpoints"])
    classes = notes["classes"]
    assert str(fiji.path / "jars" / "ij-1.54p.jar") in classes
    installed = str(fiji.plugins / "RetinaJ" / "RetinaJ_.jar")
    assert installed not in classes or classes.index(str(plugin_jar())) < classes.index(installed)
    assert f"PyImageJ could not start {fiji.path}: " in ended
