"""The real run: trains on BCCD, measures on its official test split, and prints a row for docs/results.md.

python benchmarks/bccd.py path/to/BCCD
python benchmarks/bccd.py path/to/BCCD --finished retinaj-demo     # the row of a run that has been made
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
from pathlib import Path

from retinaj.demo import run_demo
from retinaj.evaluation import EvaluationResult
from retinaj.model_folder import ModelRecord, read_record

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run, or read what was run, and print the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with JPEGImages, Annotations and ImageSets")
    parser.add_argument("--finished", type=Path, metavar="DIR", help="output folder of a run that is done")
    options = parser.parse_args()
    output = options.finished or run_demo(options.data)
    record = read_record(output / f"{options.data.resolve().name}-detector")
    scores = output / "evaluation" / "evaluation.json"
    print(row(record, EvaluationResult.from_json(scores.read_text(encoding="utf-8"), str(scores)), options.data.resolve().name))


def row(record: ModelRecord, result: EvaluationResult, data: str) -> str:
    """One line of the table in docs/results.md."""
    training = record.training
    cells = (
        f"`make demo DATA=…/{data}` ({training.epochs_done} epochs, seed {training.settings.seed})",
        commit(training.started),
        machine(record),
        f"{training.seconds_per_step:.3f}",
        f"{training.seconds / 60:.1f}",
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
