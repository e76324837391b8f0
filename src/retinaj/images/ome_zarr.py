"""OME-Zarr folders, versions 0.4 and 0.5: the full resolution of an image, whole or left on the disk."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import ValidationError
from yaozarrs import v04, v05

from retinaj.errors import RetinaJError
from retinaj.images.axes import AXES, in_order, rename_axes
from retinaj.images.lazy_pixels import Index, LazyPixels, block_shape
from retinaj.images.tiff import choose_series, require_room
from retinaj.images.zarr_store import open_array, read_metadata, require_inside

_SHORT_UNITS = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "angstrom": "Å"}
_MOST_SERIES = 100_000


def read(path: Path, *, axes: str | None, series: int | None, max_bytes: int, lazy_above: int | None) -> xr.DataArray:
    """One image of an OME-Zarr folder, as `retinaj.images.open_image` describes it.

    Args:
        path: the folder.
        axes: what the user calls the axes, or None.
        series: which image, from 1; None is the first.
        max_bytes: the most to decode at once.
        lazy_above: an image of more bytes stays on the disk, as a dask array; None reads every image.
    """
    image, _ = open_zarr(path, axes=axes, series=series, max_bytes=max_bytes)
    if lazy_above is not None and image.nbytes > lazy_above:
        return image
    require_room(path, image.shape, image.nbytes, max_bytes)
    # Here, because what dask's threads raise could be about several chunks.
    return image.compute(scheduler="synchronous")


def open_zarr(path: Path, *, axes: str | None, series: int | None, max_bytes: int) -> tuple[xr.DataArray, tuple[str, ...]]:
    """One image as a dask array, and the names of all images in the folder.

    Raises:
        RetinaJError: as `retinaj.images.open_image`.
    """
    groups = _images(path)
    names = tuple(name for name, _, _ in groups)
    _, group, number = groups[choose_series(path, series, list(names))]
    metadata = _ome(group, path)
    multiscale = _multiscale(group, metadata, number)
    name = f"{group.relative_to(path).as_posix()}/{multiscale.datasets[0].path}"
    array = open_array(path, name)
    shape = tuple(map(int, array.shape))
    stored = [_axis_name(axis) for axis in multiscale.axes]
    if len(stored) != len(shape):
        raise RetinaJError(f"{path} names {len(stored)} axes ({', '.join(stored)}), but its pixels have {len(shape)}.")
    dims = stored if axes is None else rename_axes(path, list(zip(stored, shape, strict=True)), axes)
    _require_known(path, dims, shape)
    plane = math.prod(length for dim, length in zip(dims, shape, strict=True) if dim in "cyx") * array.dtype.itemsize
    require_room(path, shape, plane, max_bytes)
    block = block_shape(shape, array.chunks, array.dtype.itemsize, [dims.index(axis) for axis in "xy"])
    pixels = LazyPixels(path, shape, array.dtype, partial(_read_block, path, name)).to_dask(block)
    if array.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    image = xr.DataArray(pixels, dims=dims, attrs={"path": str(path), "rgb": False})
    image = image.squeeze([dim for dim in image.dims if dim not in ("y", "x") and image.sizes[dim] == 1])
    image = image.transpose(*in_order([str(dim) for dim in image.dims]))
    image = image.astype(image.dtype.newbyteorder("="), copy=False).rename(None)  # dask's own name
    if physical := _physical_size(multiscale):
        image.attrs["physical_size"] = physical
    labels = _channel_names(metadata)
    if any(labels) and len(labels) == image.sizes.get("c", 1):
        image.attrs["channel_names"] = labels
    return image, names


def _read_block(path: Path, name: str, index: Index) -> NDArray[Any]:
    return np.asarray(open_array(path, name)[index])


def _ome(group: Path, path: Path) -> dict[str, Any]:
    """The metadata of a group: of 0.5, in the attributes of zarr.json, else all of .zattrs."""
    attributes = read_metadata(group / "zarr.json", path).get("attributes")
    if isinstance(attributes, dict) and isinstance(attributes.get("ome"), dict):
        return attributes["ome"]
    return read_metadata(group / ".zattrs", path)


def _images(path: Path) -> list[tuple[str, Path, int]]:
    """(name, group, place among its multiscales) of each image: those of the folder itself, or of its numbered series."""
    metadata = _ome(path, path)
    if "multiscales" in metadata:
        return _entries(path, metadata)
    if "bioformats2raw.layout" in metadata:
        listed = _ome(path / "OME", path).get("series")
        numbered = (str(at) for at in range(_MOST_SERIES))
        names = [str(name) for name in listed] if isinstance(listed, list) else _existing(path, numbered)
        groups = [require_inside(path / name, path) for name in names[:_MOST_SERIES]]
        found = [entry for group in groups for entry in _entries(group, _ome(group, path))]
        if found:
            return found
    if "plate" in metadata or "well" in metadata:
        raise RetinaJError(
            f"{path} is a whole plate or well. Give one of its fields, which are folders in it, such as {path.name}/A/1/0, or "
            "copy the fields that you want to use into a folder, under names that end in .zarr."
        )
    raise RetinaJError(f"{path} is not an OME-Zarr image: its metadata name no multiscales. Expected version 0.4 or 0.5.")


def _existing(path: Path, names: Iterable[str]) -> list[str]:
    return list(takewhile(lambda name: (path / name).is_dir(), names))


def _entries(group: Path, metadata: dict[str, Any]) -> list[tuple[str, Path, int]]:
    found = metadata.get("multiscales")
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise RetinaJError(f"{group} is damaged: the multiscales in its metadata are {str(found)[:80]}; expected a list.")
    return [(str(entry.get("name") or group.name), group, at) for at, entry in enumerate(found)]


def _multiscale(group: Path, metadata: dict[str, Any], number: int) -> v04.Multiscale | v05.Multiscale:
    entry = metadata["multiscales"][number]
    # 0.5 says so beside the multiscales, earlier versions inside; both may leave it out.
    version = str(metadata.get("version", entry.get("version", "0.4")))
    kinds = {"0.4": v04.Multiscale, "0.5": v05.Multiscale}
    if version not in kinds:
        raise RetinaJError(f"{group} is an OME-Zarr of version {version[:20]}; RetinaJ reads 0.4 and 0.5. Convert it.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of names that are dangerous elsewhere
            return kinds[version].model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RetinaJError(
            f"{group} does not follow OME-Zarr {version}: multiscales.{number}.{place}: {first['msg']}."
        ) from error


def _axis_name(axis: Any) -> str:
    """t for time and c for channels, whatever they are called; others by their names."""
    return {"time": "t", "channel": "c"}.get(str(axis.type), str(axis.name).lower())


def _require_known(path: Path, dims: list[str], shape: tuple[int, ...]) -> None:
    unknown = [dim for dim, length in zip(dims, shape, strict=True) if dim not in AXES and length > 1]
    if unknown or not {"y", "x"} <= set(dims) or len(set(dims)) < len(dims):
        raise RetinaJError(
            f"{path} has the axes {', '.join(dims)} with the lengths {shape}; RetinaJ knows t, c, z, y, x. Say which is which "
            "with --axes."
        )


def _physical_size(multiscale: v04.Multiscale | v05.Multiscale) -> dict[str, float | str] | None:
    """Of a pixel along x, y and z, in the unit of x; the scale of the level times that of the whole."""
    transforms = [*multiscale.datasets[0].coordinateTransformations, *(multiscale.coordinateTransformations or [])]
    axes = {str(axis.name).lower(): at for at, axis in enumerate(multiscale.axes) if axis.type == "space"}
    units = {name: getattr(multiscale.axes[at], "unit", None) for name, at in axes.items()}
    unit = units.get("x")
    if not unit:
        return None
    size: dict[str, float | str] = {"unit": _SHORT_UNITS.get(str(unit), str(unit))}
    for name, at in axes.items():
        length = math.prod(float(each.scale[at]) for each in transforms if each.type == "scale")
        if units[name] == unit and math.isfinite(length) and length > 0:
            size[name] = length
    return size if {"x", "y"} <= set(size) else None


def _channel_names(metadata: dict[str, Any]) -> tuple[str, ...]:
    """From the display settings of OMERO, of which nothing else is needed and nothing is required."""
    omero = metadata.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(channels, list):
        return ()
    return tuple(str(channel.get("label") or "") if isinstance(channel, dict) else "" for channel in channels)
