"""The state of a run between two epochs, in one file: with it, a resumed run continues as if it had never stopped."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from retinaj.errors import RetinaJError
from retinaj.files import atomic_path
from retinaj.training.updates import Updates

STATE_FILE = "state.npz"


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        epoch: finished epochs.
        step: finished steps.
        best_epoch: the epoch with the highest validation AP, 0 before the first.
        best_ap, best_ap50: of that epoch.
        seconds: spent, all sessions together.
        seconds_per_step: median of the last epoch.
        rate_factor: what the plateau schedule has come down to.
        rate_epoch: when it last fell.
        first_loss, lowest_loss: of the run's blocks of steps: see `retinaj.training.explosion`.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_ap: float = -1.0
    best_ap50: float = -1.0
    seconds: float = 0.0
    seconds_per_step: float = 0.0
    rate_factor: float = 1.0
    rate_epoch: int = 0
    first_loss: float = math.inf
    lowest_loss: float = math.inf


def save_state(
    folder: Path, progress: Progress, image_loss: NDArray[np.float32], network: Any, average: Any, updates: Updates
) -> None:
    """Write the state of a run, replacing the previous one only when it is complete."""
    with atomic_path(folder / STATE_FILE) as temporary, temporary.open("wb") as stream:
        write_state(stream, progress, image_loss, network, average, updates)


def write_state(
    stream: BinaryIO, progress: Progress, image_loss: NDArray[np.float32], network: Any, average: Any, updates: Updates
) -> None:
    """Write the state of a run to a binary stream."""
    arrays: dict[str, NDArray[np.generic]] = {"progress": np.frombuffer(json.dumps(asdict(progress)).encode(), np.uint8)}
    arrays["image_loss"] = image_loss
    for kind, variables in _variables(network, average, updates).items():
        arrays |= {f"{kind}{index}": np.asarray(variable) for index, variable in enumerate(variables)}
    np.savez(stream, allow_pickle=False, **arrays)


def load_state(folder: Path, image_loss: NDArray[np.float32], network: Any, average: Any, updates: Updates) -> Progress:
    """Set the images' losses, network, average and updates to the saved state.

    Raises:
        RetinaJError: if the file is damaged or belongs to another network.
    """
    path = folder / STATE_FILE
    try:
        with path.open("rb") as stream:
            return read_state(stream, image_loss, network, average, updates)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise RetinaJError(
            f"{path} cannot be used to resume: {error}. Train into a new folder, or restore the file from a copy."
        ) from error


def read_state(stream: BinaryIO, image_loss: NDArray[np.float32], network: Any, average: Any, updates: Updates) -> Progress:
    """Set the images' losses, network, average and updates to what `write_state` wrote.

    Raises:
        OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile: if that is damaged or of another network.
    """
    with np.load(stream, allow_pickle=False) as file:
        progress = Progress(**json.loads(file["progress"].tobytes()))
        image_loss[:] = file["image_loss"]
        for kind, variables in _variables(network, average, updates).items():
            for index, variable in enumerate(variables):
                variable.assign(file[f"{kind}{index}"])
    return progress


def _variables(network: Any, average: Any, updates: Updates) -> dict[str, list[Any]]:
    return {"network": network.variables, "average": average.variables, "optimizer": updates.variables}
