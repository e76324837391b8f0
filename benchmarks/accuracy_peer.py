"""What runs inside the peer's environment: trains Ultralytics YOLOv8n from random weights and lets it look at the test images.

    python benchmarks/accuracy_peer.py plan.json found.json

`benchmarks/accuracy.py` calls it; RetinaJ is not imported here. Training is the peer's own, with its defaults: its best epoch
on the validation images, early stopping, mosaic, its own choice of optimizer and rate. Its size is that of the largest image,
up to 640 pixels, its own default; scores down to .001, as its own validation has them.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image
from ultralytics import YOLO


def main() -> None:
    """Train, detect, and write what was found."""
    plan_path, found_path = Path(sys.argv[1]), Path(sys.argv[2])
    plan = json.loads(plan_path.read_text())
    folder = found_path.parent / "yolo"
    data = write_data(plan, folder)
    longest = max(max(Image.open(path).size) for part in plan["parts"].values() for path, _, _ in part)
    size = min(640, -(-longest // 32) * 32)
    network = YOLO("yolov8n.yaml")
    began = time.perf_counter()
    network.train(
        data=str(data), imgsz=size, batch=8, seed=plan["seed"], time=plan["minutes"] / 60, pretrained=False,
        project=str(folder), name="run", exist_ok=True, plots=False, workers=2, device="cpu", verbose=False,
    )  # fmt: skip
    minutes = (time.perf_counter() - began) / 60
    best = YOLO(str(folder / "run" / "weights" / "best.pt"))
    found = [detect(best, path, size) for path, _, _ in plan["parts"]["test"]]
    with (folder / "run" / "results.csv").open(newline="") as stream:
        epochs = len(list(csv.DictReader(stream)))
    found_path.write_text(json.dumps({"minutes": minutes, "epochs": epochs, "size": size, "detections": found}))


def write_data(plan: dict[str, Any], folder: Path) -> Path:
    """The same images and boxes as the peer wants them: data.yaml, images/ and labels/ of each part."""
    for part, samples in plan["parts"].items():
        images, labels = folder / "images" / part, folder / "labels" / part
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        for number, (path, boxes, classes) in enumerate(samples):
            shutil.copy(path, images / f"{number:05}{Path(path).suffix}")
            width, height = Image.open(path).size
            lines = [
                f"{name} {(x0 + x1) / 2 / width} {(y0 + y1) / 2 / height} {(x1 - x0) / width} {(y1 - y0) / height}"
                for (x0, y0, x1, y1), name in zip(boxes, classes, strict=True)
            ]
            (labels / f"{number:05}.txt").write_text("\n".join(lines))
    data = folder / "data.yaml"
    names = dict(enumerate(plan["classes"]))
    data.write_text(json.dumps({"path": str(folder), **{part: f"images/{part}" for part in plan["parts"]}, "names": names}))
    return data


def detect(network: Any, path: str, size: int) -> tuple[list[list[float]], list[int], list[float]]:
    """(boxes xyxy in pixels, classes, scores) of an image."""
    boxes = network.predict(Image.open(path).convert("RGB"), imgsz=size, conf=0.001, max_det=1000, verbose=False)[0].boxes
    return boxes.xyxy.tolist(), [int(name) for name in boxes.cls.tolist()], boxes.conf.tolist()


if __name__ == "__main__":
    main()
