"""Seconds that `retinaj check` takes for many small images with boxes: ours, and the floor of any checker in the same run.

    python benchmarks/check_speed.py [--images 2500] [--side 256] [--boxes 20]

The images are made here, PNG with cell-like discs, each with a PASCAL VOC file, in a random split of 70, 15 and 15 %. The floor
is what nobody can do without: Pillow decoding every image and ElementTree parsing every annotation, one after the other, with
nothing compared. `--quick` is ours without the pixels. Each runs in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from retinaj.annotations import pascal_voc
from retinaj.boxes import Boxes

FLOOR = """
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from PIL import Image
for path in Path(sys.argv[1]).iterdir():
    Image.open(path).load()
for path in Path(sys.argv[2]).iterdir():
    [[float(box.text) for box in each] for each in ElementTree.parse(path).getroot().iter("bndbox")]
"""


def main() -> None:
    """Make the images, time each runner in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2500, help="how many [2500]")
    parser.add_argument("--side", type=int, default=256, help="of the images, in pixels [256]")
    parser.add_argument("--boxes", type=int, default=20, help="on each [20]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        images, annotations = make(Path(name), options.images, options.side, options.boxes)
        ours = [sys.executable, "-m", "retinaj", "check", str(images), str(annotations)]
        runners = {
            "floor: Pillow and ElementTree": [sys.executable, "-c", FLOOR, str(images), str(annotations)],
            "`retinaj check --quick`": [*ours, "--quick"],
            "`retinaj check`": ours,
        }
        print(f"{options.images} images, {options.side} x {options.side}, {options.boxes} boxes each, {os.cpu_count()} cores")
        print("| what | s | CPU s | peak MB so far |\n| --- | ---: | ---: | ---: |")
        told = ""
        for what, command in runners.items():
            begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(command, capture_output=True, text=True)
            seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
            if done.returncode:
                raise SystemExit(done.stdout + done.stderr)
            told = done.stderr
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"| {what} | {seconds:.1f} | {cpu:.1f} | {after.ru_maxrss / 1024:.0f} |")
        print("\n".join(line for line in told.splitlines() if line.startswith(("Checked", "Read", "Found"))))


def make(folder: Path, count: int, side: int, boxes: int) -> tuple[Path, Path]:
    """The images, their annotations and the lists of the split; the folders (images, annotations)."""
    images, annotations, lists = folder / "JPEGImages", folder / "Annotations", folder / "ImageSets" / "Main"
    for each in (images, annotations, lists):
        each.mkdir(parents=True)
    random = np.random.default_rng(0)
    names = [f"field{at:05d}" for at in range(count)]
    for name in names:
        sizes = random.uniform(10, 28, boxes)
        corners = random.uniform(0, side - sizes[:, None], (boxes, 2))
        xyxy = np.hstack([corners, corners + sizes[:, None]]).round()
        picture = Image.new("L", (side, side), 40)
        draw = ImageDraw.Draw(picture)
        for box, shade in zip(xyxy.tolist(), random.integers(80, 240, boxes).tolist(), strict=True):
            draw.ellipse((box[0], box[1], box[2] - 1, box[3] - 1), fill=shade)
        noise = random.normal(0, 5, (side, side))
        pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(1)), np.float64) + noise
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(images / f"{name}.png")
        pascal_voc.write(
            annotations / f"{name}.xml",
            Boxes(xyxy.astype(np.float32), random.integers(0, 2, boxes, np.int32), ("cell", "debris")),
            image_name=f"{name}.png",
            size=(side, side),
            channels=1,
        )
    ends = [0, round(0.7 * count), round(0.85 * count), count]
    for at, part in enumerate(("train", "val", "test")):
        (lists / f"{part}.txt").write_text("\n".join(names[ends[at] : ends[at + 1]]) + "\n")
    return images, annotations


if __name__ == "__main__":
    main()
