"""What the way from ImageJ to a model and back costs. Prints a table.

    python benchmarks/bridge_round_trip.py [--repeats N]

An image of 2048 x 2048 pixels of 16 bits is searched by "RetinaJ Detect...", and the boxes put into the ROI Manager, without a
display. The packages are made here: graphs that answer 1,000 or 10,000 boxes at once, and a small network of random weights.
The model's own time is that of the same search in Python, without ImageJ. "Worker cold" begins without a worker, in an ImageJ
that has just been started: Python starts, reads the package and searches. All numbers are medians; a cold start is made three
times.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import numpy as np
import tifffile
import xarray as xr

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from java_client import JavaClient, compile_client, said  # noqa: E402
from small_packages import boxes_in_rows, write_small_package  # noqa: E402
from tiny_models import noise_pixels, write_tiny_model  # noqa: E402

import retinaj_bridge  # noqa: E402
import retinaj_zoo  # noqa: E402
from retinaj.prediction.tiles import find_objects  # noqa: E402
from retinaj_bridge.client import connect_to_running  # noqa: E402
from retinaj_bridge.jvm import java_class  # noqa: E402

SIDE = 2048
COLD_STARTS = 3
THRESHOLD = 0.45
WARM_UP = 10  # runs that do not count: Java compiles what it runs often


def main() -> None:
    """Measure each package in each way and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, help="of each number but a cold start's [%(default)s]")
    repeats: int = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["RETINAJ_HOME"] = str(folder / "home")
        java = compile_client(folder, ROOT / "benchmarks" / "java")
        image = folder / "image.tif"
        pixels = noise_pixels(SIDE, SIDE, 1, "uint16")[..., 0]
        pixels[0, 0] = 65535  # what the graphs of many boxes look at
        tifffile.imwrite(image, pixels)
        packages = {"1,000 boxes": folder / "1000.zip", "10,000 boxes": folder / "10000.zip"}
        for path in packages.values():
            write_small_package(path, boxes_in_rows(int(path.stem), SIDE), pixel_type="uint16")
        packages["small network"] = real_package(folder)
        own = {name: own_time(path, pixels, repeats) for name, path in packages.items()}
        outside = {name: standing_alone(java, image, path, repeats) for name, path in packages.items()}
        inside = {name: in_process(image, path, repeats) for name, path in packages.items()}
    print("| model | boxes | its own time, ms | in process, ms | worker warm, ms | worker cold, ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in packages:
        (warm, cold), (hosted, boxes) = outside[name], inside[name]
        times = [own[name], *(f"{total:.0f} (+{total - own[name]:.0f})" for total in (hosted, warm, cold))]
        print(f"| {name} | {boxes:,} | {times[0]:.0f} | {' | '.join(map(str, times[1:]))} |")


def options(package: Path) -> str:
    """Those of the command."""
    return f"model=[{package}] threshold={THRESHOLD} replace"


def own_time(package: Path, pixels: np.ndarray, repeats: int) -> float:
    """Milliseconds of the search in Python."""
    detector, plane = retinaj_zoo.open_model(package), xr.DataArray(pixels, dims=("y", "x"))
    return median(repeats, lambda: find_objects(detector, plane, threshold=THRESHOLD))


def standing_alone(java: JavaClient, image: Path, package: Path, repeats: int) -> tuple[float, float]:
    """Milliseconds of a command of an ImageJ in a process of its own: with a warm worker, and starting one."""
    cold: list[float] = []
    for _ in range(COLD_STARTS):
        stop_worker()
        cold += run_alone(java, image, package, 1)
    warm = run_alone(java, image, package, WARM_UP + repeats)[WARM_UP:]
    stop_worker()
    return statistics.median(warm), statistics.median(cold)


def run_alone(java: JavaClient, image: Path, package: Path, repeats: int) -> list[float]:
    """Milliseconds of each of several commands of an ImageJ that is started for them."""
    properties = {"java_awt_headless": "true", "retinaj_python": sys.executable}
    lines = said(java.begin_main("RoundTrip", str(image), options(package), str(repeats), **properties))
    return [float(line.split()[0]) for line in lines if line[:1].isdigit()]  # others are of ImageJ's log


def stop_worker() -> None:
    """End the worker that runs, if one does."""
    home = Path(os.environ["RETINAJ_HOME"])
    with suppress(Exception):
        while (client := connect_to_running(home)) is not None:
            with client:
                client.call("stop", {})
            time.sleep(0.1)


def in_process(image: Path, package: Path, repeats: int) -> tuple[float, int]:
    """Milliseconds of a command of an ImageJ that runs in this process, and how many boxes there were."""
    retinaj_bridge.start()
    retinaj_bridge.register()
    opened = java_class("ij.io.Opener")().openImage(str(image))
    run = java_class("ij.IJ").run
    median(WARM_UP, lambda: run(opened, "RetinaJ Detect...", options(package)))
    taken = median(repeats, lambda: run(opened, "RetinaJ Detect...", options(package)))
    return taken, int(java_class("ij.plugin.frame.RoiManager").getInstance2().getCount())


def median(repeats: int, action: Callable[[], object]) -> float:
    """Of the milliseconds that `action` takes."""

    def once() -> float:
        started = time.perf_counter()
        action()
        return 1000 * (time.perf_counter() - started)

    action()
    return statistics.median([once() for _ in range(repeats)])


def real_package(folder: Path) -> Path:
    """A package of a small network of random weights."""
    from retinaj_zoo.checking import CheckResult
    from retinaj_zoo.metadata import Metadata, Person
    from retinaj_zoo.packaging import package_model

    model = write_tiny_model(folder / "model", channels=1, pixel_type="uint16")
    with patch("retinaj_zoo.finishing.check_package", lambda package: CheckResult(0, 0.0, ())):
        package_model(model, folder / "real.zip", metadata=Metadata(authors=(Person(name="A benchmark"),)), log=quiet)
    return folder / "real.zip"


def quiet(line: str) -> None:
    """Packaging tells what it does."""


if __name__ == "__main__":
    main()
