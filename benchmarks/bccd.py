"""The real run: trains on BCCD, measures on its official test split, and prints a row for docs/results.md.

python benchmarks/bccd.py path/to/BCCD
python benchmarks/bccd.py path/to/BCCD --finished retinaj-demo     # the row of a run that has been made
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import subprocess
from pathlib import Path

from retinaj.demo import run_demo
from retinaj.evaluation import EvaluationResult
from retinaj.model_folder import TRAINING_FOLDER, ModelRecord, read_record

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run, or read what was run, and print the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with JPEGImages, Annotations and ImageSets")
    parser.add_argument("--finished", type=Path, metavar="DIR", help="output folder of a run that is done")
    options = parser.parse_args()
    output = options.finished or run_demo(options.data)
    name = options.data.resolve().name
    model = output / f"{name}-detector"
    scores = output / "evaluation" / "evaluation.json"
    result = EvaluationResult.from_json(scores.read_text(encoding="utf-8"), str(scores))
    print(row(read_record(model), last_epoch(model), result, name))


def last_epoch(model: Path) -> dict[str, float]:
    """Where the training ended; the model itself is of the best epoch, which may be an earlier one."""
    with (model / TRAINING_FOLDER / "history.csv").open(newline="", encoding="utf-8") as stream:
        *_, last = csv.DictReader(stream)
    return {name: float(value) for name, value in last.items()}


def row(record: ModelRecord, last: dict[str, float], result: EvaluationResult, data: str) -> str:
    """One line of the table in docs/results.md."""
    cells = (
        f"`make demo DATA=…/{data}` ({last['epoch']:.0f} epochs, seed {record.training.settings.seed})",
        commit(record.training.started),
        machine(record),
        f"{last['seconds'] / last['step']:.3f}",
        f"{last['seconds'] / 60:.1f}",
        share(result.overall.ap50),
        share(result.overall.ap),
        ", ".join(f"{scores.name} {share(scores.ap50)}" for scores in result.classes),
    )
    return "| " + " | ".join(cells) + " |"


def share(value: float | None) -> str:
    """An AP as the table writes it, .909."""
    return "–" if value is None else f"{value:.3f}".removeprefix("0")


def commit(started: str) -> str:
    """The last commit before the training began; marked if the code is not that of the commit any more."""
    last = git("rev-list", "-1", f"--before={started}", "--abbrev-commit", "HEAD")
    changed = git("diff", "--name-only", last, "--", "src") if last else ""
    return f"{last or 'unknown'}{' (changed since)' if changed else ''}"


def git(*arguments: str) -> str:
    """What git says about this checkout."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def machine(record: ModelRecord) -> str:
    """Processor, cores and the version of TensorFlow."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0] if names else cpu
    return f"{cpu}, {os.cpu_count()} cores, TensorFlow {record.versions['tensorflow']}"


if __name__ == "__main__":
    main()
