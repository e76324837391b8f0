"""Processor time and memory of reading label files of 50 MB, for docs/data.md (Linux).

python benchmarks/label_files.py             # all formats, each in a process of its own
python benchmarks/label_files.py --only csv  # one, here
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from PIL import Image

from retinaj.annotations import Reading, read_annotations

SIZE = 50 * 2**20  # bytes
CLASSES = ("cell", "debris")


def rows(name: str) -> Iterator[str]:
    """Endless lines of a format: boxes all over an image of 640 x 480 pixels."""
    for at in count():
        x, y = at * 37 % 600, at * 91 % 440
        if name == "csv":
            yield f"img{at % 500}.png,{x}.25,{y}.5,{x + 30}.75,{y + 20},{CLASSES[at % 2]}\n"
        elif name == "yolo":
            yield f"{at % 2} {(x + 15) / 640:.6f} {(y + 10) / 480:.6f} 0.046875 0.041667\n"
        elif name == "kitti":
            yield f"{CLASSES[at % 2]} 0.00 0 -10 {x}.25 {y}.5 {x + 30} {y + 20} -1 -1 -1 -1000 -1000 -1000 -10\n"
        else:
            shape = {"label": CLASSES[at % 2], "points": [[x, y], [x + 30, y + 20]], "group_id": None, "flags": {}}
            yield json.dumps(shape | {"shape_type": "rectangle"})


def write(folder: Path, name: str) -> Path:
    """A file of SIZE in a format."""
    Image.new("L", (640, 480)).save(folder / "a.png")
    first = next(rows(name))
    lines = islice(rows(name), SIZE // len(first))
    path = folder / {"csv": "a.csv", "labelme": "a.json"}.get(name, "a.txt")
    with path.open("w", encoding="utf-8") as stream:
        if name == "labelme":
            stream.write(f'{{"imagePath": "a.png", "shapes": [{", ".join(lines)}]}}')
        else:
            stream.write("image,x_min,y_min,x_max,y_max,class\n" if name == "csv" else "")
            stream.writelines(lines)
    return path


def measure(name: str) -> None:
    """Read one such file and print a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), name)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        objects = sum(len(each.boxes) for each in read_annotations(path, Reading(format=name)))
        seconds = time.process_time() - started
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"| {name} | {path.stat().st_size / 2**20:.0f} MB | {objects:,} | {seconds:.0f} s | {memory:.0f} MB |")


def main() -> None:
    """Measure one format, or each in a fresh process, so that one's memory does not hide another's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("csv", "yolo", "kitti", "labelme"))
    options = parser.parse_args()
    if options.only:
        measure(options.only)
        return
    print("| format | file | objects | processor time | memory |\n| --- | --- | --- | --- | --- |", flush=True)
    for name in ("csv", "yolo", "kitti", "labelme"):
        subprocess.run([sys.executable, "-P", __file__, "--only", name], check=True)


if __name__ == "__main__":
    main()
