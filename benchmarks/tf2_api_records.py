"""TFRecord files between RetinaJ and the real TF2 Object Detection API, both ways. Prints a table.

    python benchmarks/tf2_api_records.py BCCD --api-python PYTHON [--fixture DIR]

RetinaJ's records of BCCD and of a made-up set go through the API's own TfExampleDecoder, once by the names of the classes and
once by their numbers; records that the API's own create_pascal_tf_record makes of BCCD are read by RetinaJ. The environment of
the API is made by `benchmarks/tf2_api_environment.py`. `--fixture` writes the small files that the tests hold against RetinaJ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from retinaj.annotations import (
    Annotation,
    ObjectDetails,
    format_named,
    label_map,
    pascal_voc,
    read_annotations,
    write_annotations,
)
from retinaj.annotations.tfrecord_writing import LABEL_MAP, RECORDS
from retinaj.boxes import Boxes
from retinaj.images import read_image

SIDE = Path(__file__).with_name("tf2_api_side.py")
CLASSES = ("cell", "α-cell", 'the "other"', "it's / dead\\")
TOLERANCE = 1e-3  # pixels: far more than 32-bit shares of such images lose, far less than anybody draws
HEADER = "| records | written by | read by | images | boxes | largest difference, pixels | unequal fields |"


def main() -> None:
    """Go both ways, print the table; exit 1 if something is unequal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bccd", type=Path, help="folder with Annotations and JPEGImages")
    parser.add_argument("--api-python", type=Path, required=True, help="the Python of the API's environment")
    parser.add_argument("--fixture", type=Path, help="write the tests' small files to this folder, which must not exist")
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        work = Path(name)
        if options.fixture:
            make_fixture(options.fixture, options.api_python, work)
            return
        images = options.bccd / "JPEGImages"
        blood = read_annotations(options.bccd / "Annotations")
        made_up = make_images(work / "images", 60, 200, np.random.default_rng(0))
        rows = [
            ours_read_by_api("BCCD", blood, images, options.api_python, work / "blood"),
            ours_read_by_api("made up", made_up, work / "images", options.api_python, work / "made-up"),
            api_read_by_us("BCCD, 4 files", options.bccd, blood, options.api_python, work / "api"),
        ]
    print("\n".join([HEADER, "| --- | --- | --- | ---: | ---: | ---: | ---: |", *(row for row, _ in rows)]))
    raise SystemExit(any(unequal for _, unequal in rows))


def ours_read_by_api(
    title: str, annotations: Sequence[Annotation], images: Path, python: Path, target: Path
) -> tuple[str, int]:
    """Write with RetinaJ, decode with the API, compare with what was to be written: a row, and how much is unequal."""
    write_annotations(target, annotations, format_named("tfrecord"), images=images)
    classes = label_map.read(target / LABEL_MAP).names
    decoded = api("decode", target / RECORDS, python=python, classes=target / LABEL_MAP)
    largest, unequal = 0.0, abs(len(decoded) - len(annotations))
    for annotation, seen in zip(annotations, decoded, strict=False):
        path = next(images.glob(f"{Path(annotation.image_name).stem}.*"))
        height, width, _ = seen["shape"]
        shares = np.array(seen["boxes"], np.float64).reshape(-1, 4)[:, [1, 0, 3, 2]]
        distance = difference(shares * (width, height, width, height), annotation.boxes.xyxy)
        largest = max(largest, distance)
        details = [annotation.detail(at) for at in range(len(annotation.boxes))]
        expected = {
            "filename": path.with_suffix(".png").name if path.suffix == ".tif" else path.name,
            "shape": [annotation.size[1], annotation.size[0], 3] if annotation.size else None,
            "classes": [number for each in annotation.boxes.names for number, name in classes.items() if name == each],
            "difficult": [int(each.difficult) for each in details],
            "is_crowd": [each.crowd for each in details],
            "area": annotation.boxes.area.tolist(),
            "weights": [1.0] * len(details),
            "pixels_sha256": seen["pixels_sha256"] if path.suffix == ".jpg" else digest(as_api_sees(path)),
            "encoded_sha256": seen["encoded_sha256"] if path.suffix == ".tif" else digest(path.read_bytes()),
        }
        expected |= {"labels": expected["classes"], "source_id": expected["filename"], "key": seen["encoded_sha256"]}
        wrong = [name for name, value in expected.items() if value != seen[name]]
        wrong += ["boxes"] if distance > TOLERANCE else []
        for name in wrong:
            print(f"{title}: {path.name}: {name} is {seen[name]}; expected {expected.get(name, annotation.boxes.xyxy)}")
        unequal += len(wrong)
    return row(title, "RetinaJ", "TfExampleDecoder", annotations, largest, unequal), unequal


def api_read_by_us(title: str, voc: Path, annotations: Sequence[Annotation], python: Path, folder: Path) -> tuple[str, int]:
    """Let the API make records of a VOC folder, read them, compare with the VOC files: a row, and how much is unequal."""
    folder.mkdir()
    names, classes = folder / "names.txt", folder / LABEL_MAP
    names.write_text("\n".join(each.source.stem for each in annotations))
    label_map.write(classes, sorted({name for each in annotations for name in each.boxes.names}))
    output = folder / "voc.record"
    api("make", voc, names, "--shards", "4", "--output", output, python=python, classes=classes)
    read = {each.image_name: each for each in read_annotations(folder)}
    largest, unequal = 0.0, abs(len(read) - len(annotations))
    for annotation in annotations:
        path = voc / "JPEGImages" / annotation.image_name
        seen = read[annotation.image_name]
        # The API divides VOC's numbers, which count from 1, as they are: its boxes begin one pixel late.
        distance = difference(seen.boxes.xyxy, annotation.boxes.xyxy + np.array([1, 1, 0, 0], np.float32))
        largest = max(largest, distance)
        unequal += distance > TOLERANCE
        unequal += seen.boxes.names != annotation.boxes.names
        unequal += seen.size != annotation.size
        unequal += seen.encoded is None or seen.encoded() != path.read_bytes()
        unequal += any(seen.detail(at) != annotation.detail(at) for at in range(len(annotation.boxes)))
    return row(title, "create_pascal_tf_record", "RetinaJ", annotations, largest, unequal), unequal


def make_images(
    folder: Path, count: int, largest: int, chance: np.random.Generator, *, whole: bool = False
) -> list[Annotation]:
    """Images of every kind that RetinaJ puts into records, of up to `largest` pixels, with boxes of whole pixels or not."""
    folder.mkdir()
    annotations: list[Annotation] = []
    for at in range(count):
        width, height = (int(each) for each in chance.integers(12, largest, 2))
        kind = ("grey.png", "rgb.png", "grey.tif", "rgb.tif", "deep.tif", "deep.png")[at % 6]
        shape = (height, width, 3) if kind.startswith("rgb") else (height, width)
        deep = kind.startswith("deep")
        pixels = chance.integers(0, 65536 if deep else 256, shape).astype(np.uint16 if deep else np.uint8)
        path = folder / f"image {at}.{kind[-3:]}"
        if kind.endswith("tif"):
            tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
        else:
            path.write_bytes(imagecodecs.png_encode(pixels))
        boxes = (at + at // 6) % 6
        corners = np.sort(chance.random((boxes, 2, 2)), axis=1) * (width, height)
        annotations.append(
            Annotation(
                source=path,
                image_name=path.name,
                boxes=Boxes(
                    (np.rint(corners) if whole else corners).reshape(-1, 4).astype(np.float32),
                    chance.integers(0, len(CLASSES), boxes, np.int32),
                    CLASSES,
                ),
                size=(width, height),
                details=tuple(
                    ObjectDetails(difficult=bool(a), truncated=bool(b), crowd=bool(c))
                    for a, b, c in chance.integers(0, 2, (boxes, 3))
                ),
            )
        )
    return annotations


def make_fixture(target: Path, python: Path, work: Path) -> None:
    """Tiny records by the API and by RetinaJ, with what the API's decoder says about both."""
    target.mkdir(parents=True)
    voc, chance = work / "voc", np.random.default_rng(0)
    for name in ("Annotations", "JPEGImages"):
        (voc / name).mkdir(parents=True)
    for at, boxes in enumerate(([[0, 0, 32, 24], [3, 4, 9, 21]], [[1, 2, 30, 5]], [])):
        Image.fromarray(np.full((24, 32, 3), 80 * at, np.uint8)).save(voc / "JPEGImages" / f"cell{at}.jpg")
        annotation = Boxes(np.array(boxes, np.float32).reshape(-1, 4), np.arange(len(boxes), dtype=np.int32), ("RBC", "WBC"))
        details = [ObjectDetails(difficult=number == 1) for number in range(len(boxes))]
        pascal_voc.write(
            voc / "Annotations" / f"cell{at}.xml", annotation, image_name=f"cell{at}.jpg", size=(32, 24), details=details
        )
    (work / "names.txt").write_text("cell0\ncell1\ncell2\n")
    by_api, by_us = target / "by_api", target / "by_retinaj"
    by_api.mkdir()
    label_map.write(by_api / LABEL_MAP, ["RBC", "WBC"])
    made = by_api / "cells.record"
    api("make", voc, work / "names.txt", "--shards", "2", "--output", made, python=python, classes=by_api / LABEL_MAP)
    write_annotations(
        by_us, make_images(work / "small", 6, 24, chance, whole=True), format_named("tfrecord"), images=work / "small"
    )
    for folder in (by_api, by_us):
        records = sorted(file for file in folder.iterdir() if file.suffix != ".pbtxt")
        decoded = api("decode", *records, python=python, classes=folder / LABEL_MAP)
        (folder / "decoded.json").write_text(json.dumps(decoded, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def api(command: str, *arguments: Path | str, python: Path, classes: Path) -> Any:
    """What the other side says; it is given its own environment, not ours."""
    call = [str(python), str(SIDE), command, *map(str, arguments), "--label-map", str(classes)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(call, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{command} failed in the API's environment:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout) if done.stdout else None


def as_api_sees(path: Path) -> bytes:
    """The pixels of an image as the API decodes them: three channels, 8 bits, of 16 the upper half."""
    image = read_image(path)
    pixels = image.transpose("y", "x", ...).to_numpy()
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return (pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)).tobytes()


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of any coordinate; infinite if there are not as many boxes."""
    return float(np.abs(one - other).max(initial=0)) if one.shape == other.shape else float("inf")


def row(title: str, writer: str, reader: str, annotations: Sequence[Annotation], largest: float, unequal: int) -> str:
    """A row of the table."""
    boxes = sum(len(each.boxes) for each in annotations)
    return f"| {title} | {writer} | {reader} | {len(annotations)} | {boxes} | {largest:.2g} | {unequal} |"


if __name__ == "__main__":
    main()
