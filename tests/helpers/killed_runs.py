"""`retinaj train`, killed (SIGKILL) again and again and resumed each time; a script for a process of its own.

    python killed_runs.py IMAGES ANNOTATIONS OUTPUT SECONDS

Makes OUTPUT/whole without an interruption and OUTPUT/killed with them, and prints a line of JSON for each process: how it
ended and the epoch that its state holds. The processes are forked after TensorFlow's import, the one thing that takes long; it
has computed nothing by then. SECONDS is when the last one is killed, wherever it is.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import retinaj.files
import retinaj.training.train
from retinaj.cli import app
from retinaj.network.untyped import tf
from retinaj.training.console import TrainingConsole
from retinaj.training.trainer import Trainer

OPTIONS = (
    "--backbone light_small --pyramid-width 8 --window 32 --downsampling 1 --levels 3-4 --epochs 2 --windows-per-epoch 2 "
    "--batch-size 1 --validation 0.3 --hard-images 1 --seed 3"
)


def die(*_: object) -> None:
    """What the kernel does to a process that takes too much memory, and `kill -9` to any."""
    os.kill(os.getpid(), signal.SIGKILL)


def before_renaming(name: str) -> None:
    """Die when the file `name` is written, but not in its place yet."""
    real = retinaj.files.replace_file

    def replace(temporary: Path, target: Path) -> None:
        if target.name == name:
            die()
        real(temporary, target)

    retinaj.files.replace_file = replace


def in_epoch_two() -> None:
    """Die after the first step of the second epoch."""
    TrainingConsole.step = lambda self, epoch, *_: die() if epoch == 2 else None


def half_a_state() -> None:
    """Die while the state of the second epoch is being written."""
    real = np.savez

    def savez(stream: Any, **arrays: Any) -> None:
        if json.loads(arrays["progress"].tobytes())["epoch"] == 1:
            real(stream, **arrays)
            return
        stream.write(b"PK\x03\x04 and no more")
        stream.flush()
        die()

    np.savez = savez


def run(folder: Path, words: list[str], moment: Callable[[], object] | None = None) -> int:
    """Run the command in a process of its own; its exit code, or -9."""
    child = os.fork()
    if not child:
        status = 70
        try:
            if moment is not None:
                moment()
            app([*words, "--output", str(folder)], standalone_mode=False)
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def epoch_of(folder: Path) -> int:
    """Finished epochs, by the state; 0 without one."""
    state = folder / "training" / "state.npz"
    if not state.is_file():
        return 0
    with np.load(state) as arrays:
        return json.loads(arrays["progress"].tobytes())["epoch"]


def main() -> None:
    """Run everything."""
    images, annotations, output, seconds = sys.argv[1:]
    # Steps that are not compiled take the same arithmetic, and no seconds to compile in each process.
    tf.config.run_functions_eagerly(True)
    Trainer._measure = lambda _: (1.0, 1.0)
    words = ["train", images, annotations, *OPTIONS.split()]
    whole, killed = Path(output) / "whole", Path(output) / "killed"
    timer = threading.Timer(float(seconds), die)
    timer.daemon = True
    moments: dict[str, Callable[[], object] | None] = {
        "planned, but without its sample": lambda: before_renaming("sample.json"),
        "first model half saved": lambda: before_renaming("model.json"),
        "in the second epoch": in_epoch_two,
        "half of a state": half_a_state,
        "after some seconds": timer.start,
        "to the end": None,
    }
    print(json.dumps(["whole", run(whole, words), epoch_of(whole)]), flush=True)
    for name, moment in moments.items():
        resume = ["--resume"] if killed.exists() else []
        print(json.dumps([name, run(killed, words + resume, moment), epoch_of(killed)]), flush=True)


if __name__ == "__main__":
    main()
