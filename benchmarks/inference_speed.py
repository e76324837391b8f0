"""Milliseconds per image, from pixels in memory to boxes, one image at a time: ours, and a named peer in the same run.

    python benchmarks/inference_speed.py IMAGES --model MODEL [--package ZIP] [--peer-python PYTHON] [--peer-size 320]

The peer is Ultralytics YOLOv8n with random weights, which cost the same time as trained ones. It needs a Python of its own with
`ultralytics` installed. All run one after the other, on as many threads as they choose,
and the whole round is repeated, so that a busy moment of the machine does not fall on one of them alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROUNDS = 3
WARM_UP = 3
PEER = """
import json, sys, time
from ultralytics import YOLO
from PIL import Image
network = YOLO("yolov8n.yaml")
images = [Image.open(path).convert("RGB") for path in json.loads(sys.argv[1])]
def detect(image):
    network.predict(image, imgsz=int(sys.argv[3]) or max(image.size), verbose=False)
for image in images[: int(sys.argv[2])]:
    detect(image)
seconds = []
for image in images:
    begin = time.perf_counter()
    detect(image)
    seconds.append(time.perf_counter() - begin)
print(json.dumps(seconds))
"""


def main() -> None:
    """Time each runner in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("--model", type=Path, help="model folder: timed on Keras")
    parser.add_argument("--package", type=Path, help="package: timed on ONNX Runtime")
    parser.add_argument("--peer-python", type=Path, help="a Python that has ultralytics")
    parser.add_argument("--peer-size", type=int, default=0, help="pixels it scales images to [their longer side]")
    parser.add_argument("--count", type=int, default=30, help="how many images [30]")
    options = parser.parse_args()
    found = (path for path in options.images.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    paths = sorted(found)[: options.count]
    if not paths:
        parser.error(f"{options.images} has no PNG or JPEG images")

    runners: dict[str, Callable[[], list[float]]] = {}
    if options.model:
        runners["RetinaJ, Keras"] = our_runner(options.model, paths)
    if options.package:
        runners["RetinaJ, ONNX Runtime"] = our_runner(options.package, paths)
    if options.peer_python:
        runners["YOLOv8n, PyTorch"] = lambda: peer_seconds(options.peer_python, paths, options.peer_size)
    if not runners:
        parser.error("give --model, --package or --peer-python")

    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(ROUNDS):
        for name, runner in runners.items():
            seconds[name] += runner()
    reference, *_ = [name for name in seconds if name.startswith("YOLO")] or list(seconds)
    print(f"{len(paths)} images, {ROUNDS} rounds, {os.cpu_count()} cores; ratio to {reference}")
    print("| detector | median ms per image | ratio |\n| --- | ---: | ---: |")
    for name, values in seconds.items():
        print(f"| {name} | {1000 * median(values):.1f} | {median(values) / median(seconds[reference]):.2f} |")


def our_runner(model: Path, paths: list[Path]) -> Callable[[], list[float]]:
    """What times our detector on all images, warmed up."""
    from retinaj.images import read_image
    from retinaj_zoo import open_model

    detector = open_model(model)
    images = [read_image(path) for path in paths]
    for image in images[:WARM_UP]:
        detector.detect(image)

    def run() -> list[float]:
        taken: list[float] = []
        for image in images:
            begin = time.perf_counter()
            detector.detect(image)
            taken.append(time.perf_counter() - begin)
        return taken

    return run


def peer_seconds(python: Path, paths: list[Path], size: int) -> list[float]:
    """Seconds that the peer takes for each image, scaled to `size` pixels; 0 stands for its longer side."""
    listed = json.dumps([str(path.resolve()) for path in paths])
    done = subprocess.run([python, "-c", PEER, listed, str(WARM_UP), str(size)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
