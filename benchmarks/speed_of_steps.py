"""Seconds of a training step and of a detection with NMS: ours, KerasHub's RetinaNet and the TF2 Object Detection API's.

    python benchmarks/speed_of_steps.py [--kerashub-python PYTHON] [--api-python PYTHON] [--side 512] [--batch 4]

Backbones ResNet50 and MobileNet v2, random weights, random images with 20 boxes each, the same number of threads (those that
TensorFlow chooses). RetinaJ is timed twice: with its own pyramid and heads, and with those of the API's model, layer by layer
the same network. Each is a process of its own, one after the other, and the whole round is repeated; the ratio is the peer's
median over ours. The optimiser is SGD with momentum and a clipped gradient in all. Ours updates an averaged twin of the weights
in each step as well, as RetinaJ's training does. KerasHub has no MobileNet v2 and gets that of keras.applications.

    python3.11 -m venv kerashub && kerashub/bin/python -m pip install keras-hub tensorflow
    python benchmarks/tf2_api_environment.py tf2-api
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tf2_api_checkpoints import CASES

HERE = Path(__file__).parent
CLASSES = 3
BACKBONES = {"resnet50": "ResNet50 v1 FPN", "mobilenet_v2": "MobileNet v2 FPNLite"}
TASKS = {"train": "training step", "detect": "detection"}


def main() -> None:
    """Time all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kerashub-python", type=Path, help="a Python that has keras-hub")
    parser.add_argument("--api-python", type=Path, help="the Python of the API's environment")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4, help="timed steps of a round, after two that are not [4]")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    size = ["--side", str(options.side), "--batch", str(options.batch), "--steps", str(options.steps)]
    rows: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for backbone, title in BACKBONES.items():
            case = next(case for case in CASES if case.title == title)
            config = Path(folder) / f"{backbone}.config"
            text = case.config(options.side, options.side)
            config.write_text(text.replace(f"num_classes: {case.different.get('classes', CLASSES)}", f"num_classes: {CLASSES}"))
            for task, what in TASKS.items():
                ours = [sys.executable, HERE / "speed_of_retinaj.py", backbone, task, *size, "--classes", CLASSES]
                commands = {"RetinaJ": ours, "RetinaJ, the API's layers": [*ours, "--config", config]}
                if options.kerashub_python:
                    script = HERE / "speed_of_kerashub.py"
                    commands["KerasHub"] = [options.kerashub_python, script, backbone, task, *size, "--classes", CLASSES]
                if options.api_python:
                    commands["TF2 API"] = [options.api_python, HERE / "speed_of_tf2_api.py", config, task, *size]
                rows += timed(commands, f"{backbone}, {what}", options.rounds)
    print(f"{options.side} x {options.side} pixels, batch {options.batch}, {os.cpu_count()} cores, {options.rounds} rounds")
    print("| | weights, million | median seconds | RetinaJ is faster by | with the API's layers by |")
    print("\n".join(["| --- | ---: | ---: | ---: | ---: |", *rows]))


def timed(commands: dict[str, list[Any]], title: str, rounds: int) -> list[str]:
    """The rows of one task."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    weights: dict[str, int] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            environment = os.environ | ({"TF_USE_LEGACY_KERAS": "1"} if name == "TF2 API" else {})
            done = subprocess.run(
                [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
            )
            if done.returncode:
                raise SystemExit(f"{name}, {title}: exit status {done.returncode}; run it alone: {' '.join(map(str, command))}")
            answer = json.loads(done.stdout.splitlines()[-1])
            weights[name] = answer["parameters"]
            seconds[name] += answer["seconds"]
            print(f"{title}: {name} {median(answer['seconds']):.3f} s", file=sys.stderr)
    own, same = (median(seconds[name]) for name in ("RetinaJ", "RetinaJ, the API's layers"))
    middle = {name: median(each) for name, each in seconds.items()}
    return [
        f"| {title}: {name} | {weights[name] / 1e6:.1f} | {each:.3f} | {each / own:.2f} | {each / same:.2f} |"
        for name, each in middle.items()
    ]


if __name__ == "__main__":
    main()
