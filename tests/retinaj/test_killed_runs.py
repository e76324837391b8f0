"""Training that is killed outright, again and again, ends with the same weights as if it had not been."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from discs import write_discs
from numpy.typing import NDArray

from retinaj.model_folder import read_record

LINUX = pytest.mark.skipif(
    sys.platform != "linux",
    reason="forks processes that have imported TensorFlow, which Windows cannot and macOS does not bear",
)


def state(folder: Path) -> dict[str, NDArray[np.generic]]:
    """All weights, averages and moments at the end, without the seconds that they took."""
    with np.load(folder / "training" / "state.npz") as arrays:
        return {name: arrays[name] for name in arrays.files if name != "progress"}


def losses(folder: Path) -> list[tuple[str, ...]]:
    with (folder / "training" / "history.csv").open(newline="") as stream:
        return [(row["epoch"], row["loss"], row["val_loss"], row["val_ap"]) for row in csv.DictReader(stream)]


@LINUX
def test_a_run_that_is_killed_at_any_moment_loses_at_most_an_epoch(repository: Path, tmp_path: Path) -> None:
    data = write_discs(tmp_path, 3, side=64)
    script = repository / "tests" / "helpers" / "killed_runs.py"
    done = subprocess.run(
        [sys.executable, str(script), *map(str, data), str(tmp_path), f"{random.uniform(0, 2):.2f}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    ends = [json.loads(line) for line in done.stdout.splitlines()]
    assert [end for end in ends if end[0] != "after some seconds"] == [
        ["whole", 0, 2],
        ["planned, but without its sample", -9, 0],
        ["first model half saved", -9, 0],
        ["in the second epoch", -9, 1],
        ["half of a state", -9, 1],
        ["to the end", 0, 2],
    ], done.stderr[-4000:]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert list(killed.rglob(".*")) == []  # what the killed processes had begun to write
    expected, found = state(whole), state(killed)
    assert expected.keys() == found.keys()
    assert [name for name in expected if not np.array_equal(expected[name], found[name], equal_nan=True)] == []
    assert read_record(whole).weights_sha256 == read_record(killed).weights_sha256
    assert (killed / "training" / "sample.json").read_bytes() == (whole / "training" / "sample.json").read_bytes()
    assert losses(whole) == losses(killed)
    assert len(losses(whole)) == 2
