"""Which image a package shows: the one that training kept, or the user's."""

from __future__ import annotations

import json
from pathlib import Path

import xarray as xr

from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj.model_folder import TRAINING_FOLDER

_NOTE = "sample.json"
_LARGEST_NOTE = 65536


def find_image(model_folder: Path, image: Path | None) -> tuple[xr.DataArray, str]:
    """The image that a package shall show.

    Args:
        model_folder: training leaves one validation image in its folder training/ as sample.*, described by sample.json.
        image: another one, which is taken instead.

    Returns:
        The image, and its origin for the log.

    Raises:
        RetinaJError: if neither is there, or it cannot be read.
    """
    if image is not None:
        return read_image(image), str(image)
    folder = model_folder / TRAINING_FOLDER
    try:
        with (folder / _NOTE).open("rb") as stream:
            note = json.loads(stream.read(_LARGEST_NOTE))
        name, source = str(note["file"]), str(note["source"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RetinaJError(
            f"{model_folder} holds no sample image, which the package needs as its example and test: give one with --image."
        ) from error
    # A model folder can come from anyone: it must not make its next user publish some other file of theirs.
    if Path(name).name != name or (folder / name).is_symlink():
        raise RetinaJError(f"{folder / _NOTE} names the file {name!r}; expected an image beside it.")
    shown = "".join(filter(str.isprintable, source))[:200]
    return read_image(folder / name), f"{shown} (validation image, from {folder / name})"
