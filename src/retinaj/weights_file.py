"""A network's weights in HDF5: one plain array per variable, named by its path. Nothing in the file is executed or followed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from retinaj.errors import RetinaJError
from retinaj.files import atomic_path


def network_arrays(network: Any) -> dict[str, NDArray[np.generic]]:
    """The arrays of a keras.Model by variable path.

    Raises:
        RetinaJError: if two variables share a path, which would lose one of them.
    """
    arrays = {variable.path: np.asarray(variable) for variable in network.variables}
    if len(arrays) != len(network.variables):
        raise RetinaJError("Two variables of this network have the same name; its weights cannot be stored.")
    return arrays


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """Write arrays to an HDF5 file, whole or not at all, and return the file's SHA-256 as hexadecimal."""
    with atomic_path(path) as temporary:
        with h5py.File(temporary, "w", track_order=False) as file:
            for name, array in sorted(arrays.items()):
                file.create_dataset(name, data=array, track_times=False)
        return file_sha256(temporary)


def read_arrays(
    source: Path | BinaryIO, expected: Mapping[str, tuple[int, ...]], origin: str = ""
) -> dict[str, NDArray[np.generic]]:
    """Read exactly the `expected` arrays (path -> shape) from an HDF5 file.

    Links, external storage and data types other than numbers are refused, and an array's declared size is compared before
    it is read, so that a tampered file can neither reach outside nor exhaust the memory.

    Args:
        source: the file, by its path or open.
        expected: what to read.
        origin: what the file is called in messages; default: its path.

    Raises:
        RetinaJError: if the file is not HDF5, an array is missing, or its shape or type is not the expected one.
    """
    origin = origin or str(source)
    try:
        with h5py.File(source, "r") as file:
            return {name: _read_array(file, name, shape, origin) for name, shape in expected.items()}
    except (OSError, ValueError, RuntimeError) as error:
        raise RetinaJError(f"{origin} is not a readable weights file (HDF5): {error}.") from error


def _read_array(file: h5py.File, name: str, shape: tuple[int, ...], origin: str) -> NDArray[np.generic]:
    node: Any = file
    for part in name.split("/"):
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            raise RetinaJError(f"{origin} lacks the weights {name!r}: it belongs to another model than its record.")
        node = node[part]
    if not isinstance(node, h5py.Dataset) or node.external or node.is_virtual or node.dtype.kind not in "fiu":
        raise RetinaJError(f"{origin}: {name!r} is not a plain array of numbers; the file was not written by RetinaJ.")
    if node.shape != shape:
        raise RetinaJError(f"{origin}: {name!r} has the shape {node.shape}, but its record needs {shape}.")
    return node[()]


def assign_arrays(network: Any, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Set the variables of a keras.Model from arrays by variable path."""
    for variable in network.variables:
        variable.assign(arrays[variable.path])


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
