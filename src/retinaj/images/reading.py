"""Reading microscopy images: PNG, JPEG, TIFF and OME-Zarr, pixel values as stored, axes by name."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from retinaj.errors import RetinaJError
from retinaj.files import require_file, require_folder
from retinaj.images import pictures, tiff
from retinaj.images.axes import rename_axes

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
ZARR_SUFFIX = ".zarr"
# What stands before a suffix and belongs to it.
_INNER_SUFFIX = ".ome"

# What decoders may allocate for one file. A stitched 16-bit field of 60,000 x 60,000 pixels is 7 GB; a plane
# that asks for more is damaged or hostile.
MAX_IMAGE_BYTES = 8 * 1024**3
# An image of more bytes is left in its file by `open_image`.
LAZY_ABOVE = 512 * 1024**2


@dataclass(frozen=True)
class ImageHeader:
    """What a file says about its image, without its pixels.

    Attributes:
        sizes: length of each axis, a subset of t, c, z, y, x in that order, as `read_image` will give them.
        dtype: the pixel type.
        turned: the file carries an EXIF orientation, so that viewers show it turned or mirrored.
        attrs: what `read_image` will give as attrs, as far as it is known.
        series: the names of all images in the file, of which this is one; () for PNG and JPEG.
    """

    sizes: Mapping[str, int]
    dtype: np.dtype[Any]
    turned: bool = False
    attrs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    series: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """In pixels."""
        return self.sizes["x"]

    @property
    def height(self) -> int:
        """In pixels."""
        return self.sizes["y"]

    @property
    def channels(self) -> int:
        """1 for an image without a channel axis."""
        return self.sizes.get("c", 1)

    @property
    def nbytes(self) -> int:
        """Of all pixels in memory."""
        return math.prod(self.sizes.values()) * self.dtype.itemsize


def read_image(path: Path, *, axes: str | None = None, series: int | None = None) -> xr.DataArray:
    """Read one image file into memory.

    The pixel values are those in the file: nothing is scaled or inverted (an inverting look-up table, as
    ImageJ's "blobs" has it, is display only). RGB becomes three channels, alpha is dropped, a PNG palette
    becomes RGB, 1-bit images become 8-bit 0 and 255. A palette in a TIFF is, as in ImageJ, display only if it runs smoothly
    (a look-up table such as "Green" or "Fire"), and is applied otherwise. Rows and columns are those stored: an EXIF
    orientation is not applied, because ImageJ does not apply it either and annotations and ROIs count stored pixels.
    Axes of length 1 are left out.

    Args:
        path: a PNG, JPEG or TIFF file, recognised by its content, or an OME-Zarr folder (0.4 or 0.5), of which the full
            resolution is read. TIFF may be a stack: ImageJ hyperstacks and OME-TIFF give t, c and z by their metadata; plain
            pages become z, as in ImageJ.
        axes: what the axes really are, where the file is wrong or silent: one letter of t, c, z, y, x for each that is longer
            than 1, in the order of the file ("tyx").
        series: which image of a file that holds several, from 1; default: the first.

    Returns:
        dims a subset of t, c, z, y, x in that order; attrs "path" (str), "rgb" (whether the channels are the red, green and
        blue of a colour image) and, where the file states them, "physical_size": the size of a pixel along x, y (and z) with
        its "unit", and "channel_names": a tuple with a name for each channel.

    Raises:
        RetinaJError: if the file is missing, of another format, truncated, damaged or absurdly large, the axes do not fit, or
            there is no such series.
    """
    return _open(Path(path), axes, series, None)


def open_image(path: Path, *, axes: str | None = None, series: int | None = None, lazy_above: int = LAZY_ABOVE) -> xr.DataArray:
    """As `read_image`, but a large TIFF or OME-Zarr stays on the disk as a dask array, and may be larger than memory.

    Args:
        path: as for `read_image`.
        axes: as for `read_image`.
        series: as for `read_image`.
        lazy_above: an image of more bytes than this is left in its file. Each access then reads what it needs; the file is
            not kept open.

    Raises:
        RetinaJError: as `read_image`; damage to the pixels of a large image is only noticed when they are used. One plane with
            its channels must not exceed 8 GiB.
    """
    return _open(Path(path), axes, series, lazy_above)


def _open(path: Path, axes: str | None, series: int | None, lazy_above: int | None) -> xr.DataArray:
    kind = _kind(path)
    if kind == "tiff":
        return tiff.read(path, axes=axes, series=series, max_bytes=MAX_IMAGE_BYTES, lazy_above=lazy_above)
    if kind == "zarr":
        from retinaj.images import ome_zarr  # zarr and dask, only now

        return ome_zarr.read(path, axes=axes, series=series, max_bytes=MAX_IMAGE_BYTES, lazy_above=lazy_above)
    pixels = pictures.decode(path)
    _require_plain(path, pictures.read_header(path)[0], axes, series)
    dims = ("y", "x") if pixels.ndim == 2 else ("c", "y", "x")
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    return xr.DataArray(pixels, dims=dims, attrs={"path": str(path), "rgb": pixels.ndim == 3})


def read_header(path: Path, *, axes: str | None = None, series: int | None = None) -> ImageHeader:
    """The axes, pixel type and metadata that `read_image` will give, from the first bytes of the file.

    It takes as little time and memory for a stack of many gigabytes as for a small image.

    Raises:
        RetinaJError: as `read_image`, except that damage to the pixels themselves is not noticed, and that only a single
            plane can be too large.
    """
    path = Path(path)
    kind = _kind(path)
    if kind == "tiff":
        layout = tiff.read_header(path, axes=axes, series=series, max_bytes=MAX_IMAGE_BYTES)
        attrs = {"path": str(path), **layout.attrs}
        return ImageHeader(layout.sizes, layout.dtype, attrs=attrs, series=layout.series_names)
    if kind == "zarr":
        from retinaj.images import ome_zarr  # zarr and dask, only now

        image, names = ome_zarr.open_zarr(path, axes=axes, series=series, max_bytes=MAX_IMAGE_BYTES)
        sizes = {str(dim): int(length) for dim, length in image.sizes.items()}
        return ImageHeader(sizes, image.dtype, attrs=image.attrs, series=names)
    sizes, dtype, turned = pictures.read_header(path)
    _require_plain(path, sizes, axes, series)
    return ImageHeader(sizes, dtype, turned, attrs={"path": str(path), "rgb": "c" in sizes})


def sample_range(image: xr.DataArray) -> tuple[float, float]:
    """The smallest and the largest finite value of the first, middle and last slice of the first, middle and last frame.

    Of an image from `open_image` that was left in its file, only these planes are read, one after the other.

    >>> sample_range(xr.DataArray(np.arange(24).reshape(4, 2, 3), dims=("z", "y", "x")))
    (0.0, 23.0)
    """
    places = {axis: sorted({0, size // 2, size - 1}) for axis, size in image.sizes.items() if str(axis) in "tz"}
    low, high = math.inf, -math.inf
    for t in places.get("t", [0]):
        for z in places.get("z", [0]):
            plane = image.isel({axis: at for axis, at in (("t", t), ("z", z)) if axis in image.dims}).to_numpy()
            finite = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane
            if finite.size:
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low <= high else (math.nan, math.nan)


def find_images(folder: Path) -> list[Path]:
    """The PNG, JPEG and TIFF files and the .zarr folders directly in `folder`, without hidden ones, in natural order.

    Raises:
        RetinaJError: if `folder` is not a folder.
    """
    require_folder(Path(folder), "a folder of images")
    return sorted(filter(is_image, Path(folder).iterdir()), key=lambda path: natural_key(path.name))


def is_image(path: Path) -> bool:
    """Whether `path` is a file whose name is that of an image, or a folder whose name is that of an OME-Zarr."""
    return is_image_name(path.name) and (path.is_dir() if path.name.lower().endswith(ZARR_SUFFIX) else path.is_file())


def is_ome_zarr(path: Path) -> bool:
    """Whether `path` is a folder that should be opened as an OME-Zarr: by its name, or by what lies in it."""
    metadata = ("zarr.json", ".zattrs", ".zgroup")
    return path.is_dir() and (path.name.lower().endswith(ZARR_SUFFIX) or any((path / name).is_file() for name in metadata))


def is_image_name(name: str) -> bool:
    """Whether a file or folder of this name counts as an image: by its suffix, and not hidden.

    >>> is_image_name("Cell (2).TIF"), is_image_name("cell.ome.zarr"), is_image_name("._cell.tif"), is_image_name("cell.xml")
    (True, True, False, False)
    """
    return not name.startswith(".") and name.lower().endswith((*IMAGE_SUFFIXES, ZARR_SUFFIX))


def image_stem(name: str) -> str:
    """An image's name without its suffix, also a double one.

    >>> image_stem("cell.ome.tif"), image_stem("Cell.OME.zarr"), image_stem("cell.2.png"), image_stem("cell")
    ('cell', 'Cell', 'cell.2', 'cell')
    """
    if not name.lower().endswith((*IMAGE_SUFFIXES, ZARR_SUFFIX)):
        return name
    stem = name.rpartition(".")[0]
    tiff_or_zarr = name.lower().endswith((".tif", ".tiff", ZARR_SUFFIX))
    return stem[: -len(_INNER_SUFFIX)] if tiff_or_zarr and stem.lower().endswith(_INNER_SUFFIX) else stem


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """A sort key that puts numbers in the order of their values.

    >>> sorted(["cell10.png", "cell2.png"], key=natural_key)
    ['cell2.png', 'cell10.png']
    """
    # At most 18 digits at once, so that a hostile name cannot cost quadratic time in int().
    parts = re.findall(r"([0-9]{1,18})|([^0-9]+)", name.casefold())
    return tuple((0, int(number), "") if number else (1, 0, text) for number, text in parts), name


def _kind(path: Path) -> str:
    if is_ome_zarr(path):
        return "zarr"
    require_file(path, "an image file, or an OME-Zarr folder")
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise RetinaJError(f"{path} cannot be read: {error.strerror or error}.") from error
    if start[:4] in tiff.SIGNATURES:
        return "tiff"
    if start.startswith(pictures.SIGNATURES):
        return "picture"
    empty = "is empty" if not start else "is not a PNG, JPEG or TIFF image"
    raise RetinaJError(f"{path} {empty}. Open it in ImageJ and save it as TIFF, or leave it out.")


def _require_plain(path: Path, sizes: Mapping[str, int], axes: str | None, series: int | None) -> None:
    """A PNG or JPEG has rows, columns and perhaps colours, once."""
    tiff.choose_series(path, series, [path.name])
    if axes is not None:
        stored = [(axis, length) for axis, length in sizes.items() if axis in "yx"]
        colour = [(axis, length) for axis, length in sizes.items() if axis == "c"]
        if rename_axes(path, stored + colour, axes)[:2] != ["y", "x"]:
            raise RetinaJError(f"axes is {axes!r}, but {path} is a PNG or JPEG: rows, columns and colours ('yxc').")
