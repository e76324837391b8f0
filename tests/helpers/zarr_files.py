"""OME-Zarr folders, as other programs write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

_KINDS = {"t": "time", "c": "channel"}


def write_ome_zarr(
    path: Path, pixels: NDArray[Any], axes: str, *, version: str = "0.5", channel_names: tuple[str, ...] = (), **array: Any
) -> Path:
    """Two levels of an image, with a scale of half a micrometre a pixel and twice that along z; options go to zarr."""
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    scale = [{"z": 1.0, "y": 0.5, "x": 0.5}.get(axis, 1.0) for axis in axes]
    datasets: list[dict[str, Any]] = []
    for level, values in enumerate((pixels, pixels[..., ::2, ::2])):
        options = {"chunks": tuple(min(part, 16) for part in values.shape)} | array
        group.create_array(str(level), shape=values.shape, dtype=values.dtype, **options)[:] = values
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    named = [{"name": axis, "type": _KINDS.get(axis, "space")} for axis in axes]
    for axis in named:
        if axis["type"] == "space":
            axis["unit"] = "micrometer"
    multiscale = {"name": "cells", "axes": named, "datasets": datasets}
    omero = {"omero": {"channels": [{"label": name} for name in channel_names]}} if channel_names else {}
    if version == "0.4":
        group.attrs.update({"multiscales": [multiscale | {"version": version}], **omero})
    else:
        group.attrs.update({"ome": {"version": version, "multiscales": [multiscale], **omero}})
    return path


def noise(*shape: int, dtype: str = "uint16") -> NDArray[Any]:
    """Pixels that are all different from their neighbours."""
    return np.random.default_rng(0).integers(0, 250, shape).astype(dtype)
