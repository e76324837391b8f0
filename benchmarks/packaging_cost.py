"""Time and peak memory of packaging models of the default size, and what the packages weigh.

    python benchmarks/packaging_cost.py [--backbones light,resnet50]

The networks have random weights, which cost the same time and space as trained ones, and a bias by which they find boxes on
a picture of noise. Each is packaged as a user would, by `retinaj package` in a process of its own: export of all three weight
formats, and bioimageio.core's test of each in another process. Memory is the most that the packaging process or its test
held resident at one time.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from retinaj.model_folder import ModelRecord, TrainingRecord, save_model
from retinaj.network.config import NetworkConfig
from retinaj.normalization import FixedScale
from retinaj.training.settings import TrainingSettings

SIDE = 512
CLASSES = ("red cell", "white cell", "platelet")
FORMATS = {"keras_v3": "weights.keras", "onnx": "weights.onnx", "SavedModel": "weights_saved_model.zip"}


def main() -> None:
    """Package each backbone and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", default="light,resnet50", help="with commas between [light,resnet50]")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, image of {SIDE} x {SIDE}")
    print("| backbone | weights, million | seconds | peak memory, MB | zip, MB | " + " | ".join(FORMATS) + ", MB |")
    print("| --- |" + " ---: |" * (4 + len(FORMATS)))
    for backbone in options.backbones.split(","):
        with TemporaryDirectory() as name:
            folder = Path(name)
            parameters = write_model(folder / "model", backbone)
            random = np.random.default_rng(0).integers(0, 256, (SIDE // 16, SIDE // 16, 3), np.uint8)
            Image.fromarray(random).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / "image.png")
            seconds, megabytes = packaged(folder)
            with zipfile.ZipFile(folder / "package.zip") as archive:
                sizes = [archive.getinfo(file).file_size for file in FORMATS.values()]
            total = (folder / "package.zip").stat().st_size
            cells = [f"{size / 1e6:.1f}" for size in (total, *sizes)]
            print(
                f"| {backbone} | {parameters / 1e6:.1f} | {seconds:.0f} | {megabytes:.0f} | {' | '.join(cells)} |", flush=True
            )


def write_model(folder: Path, backbone: str) -> int:
    """Write a model folder; how many weights it has."""
    import keras

    from retinaj.network.retinanet import build_network

    settings = TrainingSettings(backbone=backbone)  # pyright: ignore[reportArgumentType] - checked by pydantic
    config = NetworkConfig(backbone=settings.backbone, num_classes=len(CLASSES), prior=0.3)
    record = ModelRecord(
        name=f"Benchmark {backbone}",
        class_names=CLASSES,
        pixel_type="uint8",
        network=config,
        normalization=FixedScale(),
        training=TrainingRecord(
            settings=settings,
            window=SIDE,
            images=1,
            boxes=1,
            class_counts=dict.fromkeys(CLASSES, 1),
            validation_images=1,
            anchor_coverage=1.0,
            class_coverage=dict.fromkeys(CLASSES, 1.0),
        ),
        versions={},
    )
    keras.utils.set_random_seed(0)
    network = build_network(config)
    random = np.random.default_rng(0)
    for variable in network.variables:
        # Scores spread over 0..1, so that few of them nearly tie.
        if "class_head" in variable.path and "kernel" in variable.path:
            variable.assign(random.normal(0, 0.1, variable.shape))
    save_model(folder, record, network)
    return network.count_params()


def packaged(folder: Path) -> tuple[float, float]:
    """Seconds, and megabytes at the peak, of `retinaj package` on the model and the image in `folder`."""
    command = [sys.executable, "-m", "retinaj", "package", str(folder / "model"), "--output", str(folder / "package.zip")]
    started = time.monotonic()
    process = subprocess.Popen([*command, "--image", str(folder / "image.png")], stderr=subprocess.PIPE, text=True)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(resident(number) for number in family(process.pid)))
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(process.stderr.read() if process.stderr else "packaging failed")
    return time.monotonic() - started, peak / 1e6


def family(number: int) -> list[int]:
    """A process and all below it. Linux has them in /proc."""
    children = Path(f"/proc/{number}/task/{number}/children")
    try:
        below = [int(child) for child in children.read_text().split()]
    except OSError:  # it has ended
        return []
    return [number, *(each for child in below for each in family(child))]


def resident(number: int) -> int:
    """Bytes of memory that a process holds."""
    try:
        pages = int(Path(f"/proc/{number}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
