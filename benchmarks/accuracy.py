"""AP on test images: several seeds of RetinaJ, and of a peer trained beside it, with bootstrap intervals.

    python benchmarks/accuracy.py path/to/BCCD --output runs
    python benchmarks/accuracy.py path/to/nanowell --output runs --peer-python peer/bin/python -- --minutes 18
    python benchmarks/accuracy.py path/to/BCCD --output runs --seeds 1 -- --epochs 60      # one of several processes

Each seed is a `retinaj train` from random weights on the training images, in a folder of its own; what comes after `--` are
options for it. Epochs are chosen on the validation images, and the test images are looked at once, when all is trained. What
is trained already is not trained again, and what was interrupted is resumed.

The interval is of the mean over the seeds: 95 % of what it is when the test images are drawn anew with replacement, the same
draw for all models. Per class is AP@.5. The peer is Ultralytics YOLOv8n from random weights, as long as the longest of ours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import numpy as np
from bccd import commit, last_epoch, machine, share
from data_sets import PARTS, DataSet
from numpy.typing import NDArray

from retinaj.boxes import Boxes
from retinaj.dataset import Dataset
from retinaj.evaluation import evaluate_boxes
from retinaj.evaluation.coco_ap import AP, AP50, coco_curves
from retinaj.evaluation.run import evaluate
from retinaj.model_folder import read_record
from retinaj.prediction import open_model

DRAWS = 400
# More than any model here gives: AP counts all detections of an image.
ALL = 3000
PEER_SIDE = Path(__file__).with_name("accuracy_peer.py")


@dataclass(frozen=True)
class Run:
    """A trained model and what it found on the test images.

    Attributes:
        minutes: its training took.
        epochs: of its training.
        predictions: of each test image, all scores.
    """

    minutes: float
    epochs: int
    predictions: tuple[Boxes, ...]


def main() -> None:
    """Train what is missing, and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of annotated images with a split")
    parser.add_argument("--output", type=Path, required=True, help="folder of the trained models")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="[0 1 2]")
    parser.add_argument("--peer-python", type=Path, help="a Python that has ultralytics: trains the peer, too")
    parser.add_argument("--peer-minutes", type=float, help="how long the peer trains [as long as ours]")
    words = sys.argv[1:]
    ours = words.index("--") if "--" in words else len(words)
    chosen, options = parser.parse_args(words[:ours]), words[ours + 1 :]
    data = DataSet(chosen.data)
    folders = [chosen.output / f"{data.name}-{seed}" for seed in chosen.seeds]
    for seed, folder in zip(chosen.seeds, folders, strict=True):
        train(data, folder, seed, options)
    record = read_record(folders[0])
    test = data.load("test", record.class_names)
    runs = [our_run(data, folder) for folder in folders]
    began = commit(record.training.started)
    print(f"{data.name}: {len(test.samples)} test images, commit {began}, {machine(record)}\n")
    print("| trained | seeds | epochs | minutes | AP@.5:.95 (95 %) | AP@.5 (95 %) | each seed | per class |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- | --- |")
    command = " ".join(["`retinaj train`", *([f"`{' '.join(options)}`"] if options else [])])
    drawn = draws(runs, test)
    print(row(command, runs, test, drawn))
    if chosen.peer_python:
        minutes = chosen.peer_minutes or max(run.minutes for run in runs)
        peers = [peer_run(data, test, seed, chosen, minutes) for seed in chosen.seeds]
        peers_drawn = draws(peers, test)
        print(row("YOLOv8n", peers, test, peers_drawn))
        print(f"\nRetinaJ ahead by {difference(drawn, peers_drawn)}")


def train(data: DataSet, folder: Path, seed: int, options: Sequence[str]) -> None:
    """`retinaj train`, from the start or from where it stopped; nothing if it is done."""
    if folder.exists():
        record = read_record(folder) if (folder / "model.json").is_file() else None
        if record and record.training.epochs_done == record.training.settings.epochs:
            return
    names = data.names("train")
    command = [
        *(sys.executable, "-m", "retinaj", "train", data.images, data.annotations("train"), "--output", folder),
        *("--validation", data.validation, "--seed", str(seed), *options),
        *(("--names", names) if names else ()),
        *(("--resume",) if folder.exists() else ()),
    ]
    subprocess.run(list(map(str, command)), check=True, stdout=sys.stderr)


def our_run(data: DataSet, folder: Path) -> Run:
    """What a model of ours finds on the test images."""
    record, detector = read_record(folder), open_model(folder)
    with TemporaryDirectory() as temporary:
        output = Path(temporary) / "evaluation"
        evaluation = evaluate(data.images, data.annotations("test"), detector, output, names=data.names("test"))
    return Run(record.training.seconds / 60, int(last_epoch(folder)["epoch"]), evaluation.predictions)


def peer_run(data: DataSet, test: Dataset, seed: int, chosen: argparse.Namespace, minutes: float) -> Run:
    """Train the peer on the same images, if that is not done, and let it look at the test images."""
    folder = chosen.output / f"{data.name}-peer-{seed}"
    found = folder / "test.json"
    if not found.is_file():
        plan = folder / "plan.json"
        folder.mkdir(parents=True, exist_ok=True)
        described = {
            part: [
                (str(sample.image_path.resolve()), sample.boxes.xyxy.tolist(), sample.boxes.label.tolist())
                for sample in data.load(part, test.class_names).samples
            ]
            for part in PARTS
        }
        plan.write_text(json.dumps({"classes": test.class_names, "seed": seed, "minutes": minutes, "parts": described}))
        subprocess.run([str(chosen.peer_python), str(PEER_SIDE), str(plan), str(found)], check=True, stdout=sys.stderr)
    answer = json.loads(found.read_text())
    predictions = tuple(
        Boxes(np.array(boxes, np.float32).reshape(-1, 4), np.array(label, np.int32), test.class_names, np.array(score))
        for boxes, label, score in answer["detections"]
    )
    return Run(answer["minutes"], answer["epochs"], predictions)


def row(name: str, runs: Sequence[Run], test: Dataset, drawn: NDArray[np.float64]) -> str:
    """One line of the table; `drawn` is what `draws` gives of the same runs."""
    truth = [sample.boxes for sample in test.samples]
    results = [evaluate_boxes(truth, run.predictions, max_detections=ALL) for run in runs]
    cells = [
        name,
        str(len(runs)),
        span([run.epochs for run in runs], "{:.0f}"),
        span([run.minutes for run in runs], "{:.1f}"),
        *(f"{share(float(drawn[0, at]))} ({interval(drawn[1:, at])})" for at in range(2)),
        ", ".join(f"{share(result.overall.ap)} / {share(result.overall.ap50)}" for result in results),
        ", ".join(
            f"{each.name} {share(fmean(result.classes[at].ap50 or 0.0 for result in results))}"
            for at, each in enumerate(results[0].classes)
        ),
    ]
    return "| " + " | ".join(cells) + " |"


def draws(runs: Sequence[Run], test: Dataset) -> NDArray[np.float64]:
    """Mean (AP, AP@.5) of the runs: of all test images, and of each draw of them; [1 + DRAWS, 2]."""
    truth = [sample.boxes for sample in test.samples]
    random = np.random.default_rng(0)
    everything = np.arange(len(truth))
    chosen = [everything, *(random.integers(0, len(truth), len(truth)) for _ in range(DRAWS))]
    return np.array([np.mean([scores(truth, run.predictions, index) for run in runs], axis=0) for index in chosen])


def scores(truth: Sequence[Boxes], predictions: Sequence[Boxes], index: NDArray[np.int64]) -> tuple[float, float]:
    """(AP, AP@.5) of some of the images, an image that is in `index` twice counting twice."""
    curves = coco_curves([truth[at] for at in index], [predictions[at] for at in index], max_detections=ALL)
    return curves.average(AP) or 0.0, curves.average(AP50) or 0.0


def difference(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> str:
    """How far ours are ahead, with the interval over the same draws."""
    ahead = ours - theirs
    return ", ".join(
        f"{ahead[0, at]:+.3f} ({interval(ahead[1:, at], '{:+.3f}')}) {name}" for at, name in enumerate(("AP@.5:.95", "AP@.5"))
    )


def interval(values: NDArray[np.float64], form: str = "") -> str:
    """The middle 95 % of them."""
    low, high = np.percentile(values, [2.5, 97.5])
    return " to ".join(form.format(each) if form else share(float(each)) for each in (low, high))


def span(values: Sequence[float], form: str) -> str:
    """The least and the most, or one where they are the same."""
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low}-{high}"


if __name__ == "__main__":
    main()
