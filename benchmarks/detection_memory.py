"""Peak memory of one pass of a network, by the size of the image: what the automatic choice of tiles rests on.

    python benchmarks/detection_memory.py [--backbones light,resnet50]

Each image is searched in a process of its own, with random weights, which cost as much as trained ones. What the process holds
at the peak beyond what it held before grows with the pixels that the network sees; two sizes give the bytes for each of them.
Linux.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from retinaj.network.config import AnchorConfig, NetworkConfig

BACKBONES = "light_small,light,light_large,mobilenet_v2,resnet50,densenet121,convnext_tiny"


def main() -> None:
    """Measure each backbone at both sizes and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", default=BACKBONES, help="with commas between")
    parser.add_argument("--levels", default="2-5,3-7", help="pyramid levels, with commas between [2-5,3-7]")
    parser.add_argument("--runtimes", default="keras,onnx", help="with commas between [keras,onnx]")
    parser.add_argument("--sides", default="1024,2048", help="two sides of square images, pixels [1024,2048]")
    parser.add_argument("--widths", default="64", help="of pyramid and heads, with commas between [64]")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        run_step(*options.step)
        return
    small, large = (int(side) for side in options.sides.split(","))
    print(f"{platform.machine()}, {os.cpu_count()} cores")
    print(f"| backbone | levels | width | runtime | peak at {large} x {large}, MB | seconds there | bytes a pixel |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: |")
    choices = (options.backbones, options.levels, options.widths, options.runtimes)
    with TemporaryDirectory() as folder:
        for backbone, levels, width, runtime in itertools.product(*(choice.split(",") for choice in choices)):
            graph = str(Path(folder) / "graph.onnx")
            network = (backbone, levels, width)
            if runtime == "onnx":
                in_own_process("export", *network, graph)
            source = graph if runtime == "onnx" else "keras"
            found = [in_own_process("measure", *network, source, str(side)) for side in (small, large)]
            (low, _), (high, seconds) = ((float(each[0]), float(each[1])) for each in found)
            slope = (high - low) / (large**2 - small**2)
            cells = f"{high / 1e6:,.0f} | {seconds:.1f} | {slope:,.0f}"
            print(f"| {backbone} | P{levels.replace('-', '-P')} | {width} | {runtime} | {cells} |", flush=True)


def in_own_process(*step: str) -> list[str]:
    """What a step prints, as words; what a process held at its peak would stay in its figures."""
    done = subprocess.run([sys.executable, __file__, "--step", *step], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.split()


def run_step(kind: str, backbone: str, levels: str, width: str, graph: str, side: str = "") -> None:
    """Export a network to ONNX, or measure it, in the process that was started for it."""
    low, high = (int(level) for level in levels.split("-"))
    config = NetworkConfig(
        backbone=backbone,  # pyright: ignore[reportArgumentType] - checked by pydantic
        num_classes=3,
        pyramid_width=int(width),
        anchors=AnchorConfig(min_level=low, max_level=high, aspect_ratios=(0.5, 1.0, 2.0)),
    )
    if kind == "export":
        from retinaj.network.retinanet import build_network
        from retinaj_zoo.graphs import write_onnx

        write_onnx(build_network(config), config, Path(graph))
        return
    print(*measure(open_runtime(config, graph), int(side)))


def open_runtime(config: NetworkConfig, graph: str) -> Any:
    """The network on TensorFlow, or the exported one on ONNX Runtime."""
    if graph != "keras":
        from retinaj.prediction.onnx_runtime import OnnxRuntime

        return OnnxRuntime(Path(graph).read_bytes())
    from retinaj.network.retinanet import build_network
    from retinaj.prediction.keras_runtime import KerasRuntime

    return KerasRuntime(build_network(config), config)


def measure(detect: Any, side: int) -> tuple[int, float]:
    """Bytes held at the peak beyond those before the image came, and seconds of a second pass."""
    detect(np.zeros((1, 128, 128, 3), np.float32), 0.5)  # compiles, and settles what does not grow
    image = np.random.default_rng(0).normal(0, 1, (1, side, side, 3)).astype(np.float32)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far
    detect(image, 0.5)
    used = memory("VmHWM") - before
    began = time.perf_counter()
    detect(image, 0.5)
    return used, time.perf_counter() - began


def memory(name: str) -> int:
    """Bytes, by the system's own account of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
