"""A process of its own that trains: `python train_together.py '{"images": ..., ...}'`.

TensorFlow must be told of its devices, and of other processes, before it is used: a test's own process is too late for that.

cpus: as many devices as the processor is divided into; dies_in: the epoch in which this process ends without a word.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    order = json.loads(sys.argv[1])
    from retinaj.network.untyped import tf

    if order["cpus"] > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * order["cpus"])

    from retinaj.errors import RetinaJError
    from retinaj.training.console import TrainingConsole
    from retinaj.training.settings import TrainingSettings
    from retinaj.training.train import train

    def die(self: TrainingConsole, epoch: int, done: int, loss: float, seconds_left: float) -> None:
        if epoch == order["dies_in"]:
            os._exit(7)

    if order["dies_in"]:
        TrainingConsole.step = die
    try:
        train(
            Path(order["images"]), Path(order["annotations"]), Path(order["output"]),
            settings=TrainingSettings(**order["settings"]),
        )  # fmt: skip
    except RetinaJError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
