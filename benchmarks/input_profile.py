"""How long a training step waits for its windows, and where the time goes that making them takes.

    python benchmarks/input_profile.py path/to/BCCD
    python benchmarks/input_profile.py path/to/nuclei_fluo --preset gpu

A folder is read in the layout of PASCAL VOC, or as images/ with train.json and val.json. Training is planned as `retinaj train`
would, and its steps are timed after a pass over all images, when they are in memory. Waiting is the time between asking for a
batch and having it. "Ten times faster" is what a GPU would be: a step that sleeps a tenth of the time, with the processor free
for the input. A step that sleeps all its time shows what handing over a batch costs, and no step at all how quickly batches
are made. The profile is of one thread that makes windows and nothing else.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from typing import Any

from data_sets import DataSet

from retinaj.counting import counted
from retinaj.dataset import Dataset
from retinaj.model_folder import ModelRecord
from retinaj.network.retinanet import build_network
from retinaj.training.data import ImageStore, WindowSource, assign_targets
from retinaj.training.plan import plan_model
from retinaj.training.presets import with_preset
from retinaj.training.replicas import Replicas
from retinaj.training.sets import load_sets
from retinaj.training.settings import TrainingSettings
from retinaj.training.step import TrainingStep
from retinaj.training.updates import Updates

FASTER = 10
PROFILED_WINDOWS = 200
SHOWN = 12


def main() -> None:
    """Measure each folder and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="folders of annotated images")
    parser.add_argument("--steps", type=int, default=60, help="to time [60]")
    parser.add_argument("--preset", choices=("laptop", "gpu", "best"), default="laptop", help="[laptop]")
    options = parser.parse_args()
    rows: list[str] = []
    profiles: list[str] = []
    for folder in options.data:
        record, training = plan(folder, TrainingSettings(preset=options.preset))
        source = WindowSource(training.samples, record, ImageStore(record))
        name = folder.resolve().name
        reading, making = parts(source, record, len(training.samples))
        times = f"{reading:.1f} ms to read an image, once; of a window, {making}; {rates(source, record)}"
        profiles.append(f"\n{name}: {times}\n{profile(source, record)}")
        rows += waits(name, source, record, options.steps)
    print("| data | step | windows in it | without waiting, ms | waits, ms | share of the time |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    print(*rows, sep="\n")
    print(*profiles, sep="\n")


def plan(folder: Path, settings: TrainingSettings) -> tuple[ModelRecord, Dataset]:
    """What `retinaj train` would train on this folder, and on which images."""
    settings, _ = with_preset(settings, gpu=False)
    data = DataSet(folder)
    training, validation = load_sets(
        data.images,
        data.annotations("train"),
        names=data.names("train"),
        validation=data.validation,
        share=settings.validation,
        seed=settings.seed,
    )
    return plan_model(folder.name, training, validation, settings, lambda _: None), training


def parts(source: WindowSource, record: ModelRecord, images: int) -> tuple[float, str]:
    """(ms to read an image, what a window's parts take), each by itself on one thread."""
    began = time.perf_counter()
    for index in range(images):
        source.picture(index)
    reading = (time.perf_counter() - began) / images
    order = source.order(1, PROFILED_WINDOWS)
    cutting: list[float] = []
    assigning: list[float] = []
    for position, index in enumerate(order):
        began = time.perf_counter()
        window, boxes, label = source.augmented(1, position, int(index))
        cut = time.perf_counter()
        assign_targets(record, window.shape, boxes, label)
        cutting.append(cut - began)
        assigning.append(time.perf_counter() - cut)
    return 1e3 * reading, f"{1e3 * fmean(cutting):.1f} ms to cut and vary it, {1e3 * fmean(assigning):.1f} ms to assign anchors"


def rates(source: WindowSource, record: ModelRecord) -> str:
    """Windows a second from one thread, and from as many as there are cores."""
    order = source.order(1, 3 * PROFILED_WINDOWS)

    def make(position: int) -> None:
        window, boxes, label = source.augmented(1, position, int(order[position]))
        assign_targets(record, window.shape, boxes, label)

    found: list[str] = []
    for threads in (1, os.cpu_count() or 1):
        with ThreadPoolExecutor(threads) as pool:
            began = time.perf_counter()
            for _ in pool.map(make, range(len(order))):
                pass
            found.append(f"{len(order) / (time.perf_counter() - began):.0f} windows a second from {counted(threads, 'thread')}")
    return ", ".join(found)


def profile(source: WindowSource, record: ModelRecord) -> str:
    """The functions that making windows spends most time in itself."""
    profiler = cProfile.Profile()
    profiler.enable()
    for position, index in enumerate(source.order(1, PROFILED_WINDOWS)):
        window, boxes, label = source.augmented(1, position, int(index))
        assign_targets(record, window.shape, boxes, label)
    profiler.disable()
    found: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = vars(pstats.Stats(profiler))["stats"]
    longest = sorted(found.items(), key=lambda item: -item[1][2])[:SHOWN]
    whole = sum(values[2] for values in found.values())
    lines = [f"| {Path(file).name}:{name} | {own / whole:.0%} |" for (file, _, name), (_, _, own, _, _) in longest]
    return "\n".join(["| function | own time |", "| --- | ---: |", *lines])


def waits(name: str, source: WindowSource, record: ModelRecord, steps: int) -> list[str]:
    """Rows of the table: the step as it is, and one ten times faster."""
    network, average = build_network(record.network), build_network(record.network)
    step = TrainingStep(record, network, average, Updates(record.training.settings, network), Replicas())
    number = 0

    def train(batch: Any) -> None:
        nonlocal number
        step(batch, 1e-4, number)
        number += 1

    computing, waiting = timed(source, train, steps)
    fast, starving = timed(source, lambda _: time.sleep(computing / FASTER), steps * 2)
    slow, handing = timed(source, lambda _: time.sleep(computing), steps // 2)
    none, making = timed(source, lambda _: None, steps * 2)
    count = record.training.settings.batch_size
    return [
        row(name, "as it is", count, computing, waiting),
        row(name, "ten times faster", count, fast, starving),
        row(name, "sleeps: a full queue", count, slow, handing),
        row(name, "none: the input alone", count, none, making),
    ]


def timed(source: WindowSource, step: Callable[[Any], None], steps: int) -> tuple[float, float]:
    """Mean seconds of (a step, the waiting before it), with the first ten left out: they compile and fill the queue."""
    warm = 10
    computing: list[float] = []
    waiting: list[float] = []
    epoch, batches = 0, iter(())
    while len(computing) < steps + warm:
        began = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            epoch += 1
            batches = iter(source.epoch(epoch))
            continue
        have = time.perf_counter()
        step(batch)
        waiting.append(have - began)
        computing.append(time.perf_counter() - have)
    return fmean(computing[warm:]), fmean(waiting[warm:])


def row(name: str, which: str, count: int, computing: float, waiting: float) -> str:
    """One line of the table."""
    share = waiting / (waiting + computing)
    return f"| {name} | {which} | {count} | {1e3 * computing:.1f} | {1e3 * waiting:.2f} | {share:.1%} |"


if __name__ == "__main__":
    main()
