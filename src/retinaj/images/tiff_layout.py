"""How the pixels of a TIFF are to be understood: which axis is which, what is a channel, a colour, alpha or a palette."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from retinaj.errors import RetinaJError
from retinaj.images.axes import in_order, rename_axes
from retinaj.images.ome_xml import OmeImage

# Axes that carry no microscopy meaning: pages, sequences, "other". ImageJ opens such pages as slices.
_UNNAMED = "IQ"
_COLOUR = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR, tifffile.PHOTOMETRIC.PALETTE)
_UNSUPPORTED = {
    5: "CMYK",
    8: "CIE L*a*b*",
    9: "ICC L*a*b*",
    10: "ITU L*a*b*",
    32803: "a raw colour filter array",
}
# ImageJ's own limit between a look-up table and a list of colours.
_SMOOTH = 20.0


@dataclass(frozen=True)
class TiffLayout:
    """One image of a TIFF.

    Attributes:
        series: as tifffile has it; its pixels only as long as the file is open.
        axes: the name of each stored axis; "s" are samples of a pixel that become channels, others than t, c, z, y, x have
            length 1.
        palette: uint8 [values, 3], by which pixel values become colours; None if they are values.
        samples: how many of the samples are kept; alpha follows them.
        sizes: length of each axis of the image, in the order t, c, z, y, x.
        dtype: of the image.
        attrs: "rgb", and "physical_size" and "channel_names" where they are known.
        series_names: the names of all images in the file.
    """

    series: tifffile.TiffPageSeries
    axes: tuple[str, ...]
    palette: NDArray[np.uint8] | None
    samples: int
    sizes: dict[str, int]
    dtype: np.dtype[Any]
    attrs: dict[str, Any]
    series_names: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Of all pixels as stored, or of the image, if that is more."""
        stored = math.prod(map(int, self.series.shape)) * self.series.dtype.itemsize
        return max(stored, math.prod(self.sizes.values()) * self.dtype.itemsize)


def lay_out(
    path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries, axes: str | None, described: OmeImage | None
) -> TiffLayout:
    """Understand one image of an open TIFF.

    Args:
        path: the file, for errors.
        file: open.
        series: one of its images.
        axes: what the user calls the axes, or None.
        described: what the OME-XML says of this image.

    Raises:
        RetinaJError: if pixels or axes are of a kind that RetinaJ does not know.
    """
    if len(series.shape) < 2:
        raise RetinaJError(f"{path}: its image {series.name!r} has no rows and columns; choose another one with --series.")
    if not all(series.shape):
        raise RetinaJError(f"{path} says that its image is {' x '.join(map(str, series.shape))}: it has no pixels.")
    if not (np.issubdtype(series.dtype, np.number) or series.dtype == np.bool_):
        raise RetinaJError(f"{path} has pixels of a type that RetinaJ does not know ({series.dtype}).")
    if np.issubdtype(series.dtype, np.complexfloating):
        raise RetinaJError(f"{path} has complex numbers for pixels; save their magnitude instead.")
    page = series.keyframe
    name = _UNSUPPORTED.get(int(page.photometric))
    if name is not None:
        raise RetinaJError(f"{path} stores its colours as {name}; save it as RGB or as grey channels.")
    names = _name_axes(path, series) if axes is None else _rename(path, series, axes)
    palette = _palette(file, page)
    dtype = np.dtype(np.uint8) if series.dtype == np.bool_ else np.dtype(series.dtype).newbyteorder("=")
    lengths = dict(zip(names, map(int, series.shape), strict=True))
    if palette is not None:
        if "s" in lengths or lengths.get("c", 1) > 1:
            raise RetinaJError(f"{path} has channels with a palette each; split the channels or make it one RGB.")
        lengths.pop("c", None)
        lengths["s"], dtype = 3, palette.dtype
        names = [f"{name}0" if name == "c" else name for name in names]
    samples = _colour_samples(page, lengths["s"]) if "s" in lengths else 1
    if "s" in lengths:
        lengths["c"] = samples
    sizes = {axis: lengths[axis] for axis in in_order(list(lengths)) if lengths[axis] > 1 or axis in "yx"}
    attrs: dict[str, Any] = {"rgb": "s" in lengths and page.photometric in _COLOUR}
    if physical := _physical_size(file, page) if described is None else described.physical_size:
        attrs["physical_size"] = physical
    channel_names = _imagej_channels(file, names, lengths) if described is None else described.channel_names
    if any(channel_names) and len(channel_names) == sizes.get("c", 1):
        attrs["channel_names"] = tuple(channel_names)
    return TiffLayout(series, tuple(names), palette, samples, sizes, dtype, attrs)


def _name_axes(path: Path, series: tifffile.TiffPageSeries) -> list[str]:
    axes = [axis for axis, _ in zip(series.axes, series.shape, strict=True)]
    unnamed = [at for at, axis in enumerate(axes) if axis in _UNNAMED and series.shape[at] > 1]
    spare = [axis for axis in "ZT" if axis not in axes]
    if len(unnamed) == 1 and spare:
        axes[unnamed[0]] = spare[0]
    names = [axis.lower() for axis in axes]
    for at, axis in enumerate(names):
        if axis not in "tczyxs":
            if series.shape[at] > 1:
                raise RetinaJError(
                    f"{path} has the axes {series.axes} with the lengths {series.shape}; RetinaJ knows T, C, Z, Y, X. Say "
                    "which is which with --axes, or set the dimensions in ImageJ (Image > Hyperstacks) and save it."
                )
            names[at] = f"{axis}{at}"  # of length one: squeezed away; unique, because a letter may come twice
    coloured = "s" in names and series.shape[names.index("s")] > 1
    if coloured and "c" in names and series.shape[names.index("c")] > 1:
        raise RetinaJError(f"{path} has channels that are RGB each; split the channels or make it one RGB.")
    if "s" in names and "c" in names:  # one of them has length one
        spare_axis = "c" if coloured else "s"
        names[names.index(spare_axis)] = f"{spare_axis}0"
    return names


def _rename(path: Path, series: tifffile.TiffPageSeries, axes: str) -> list[str]:
    stored = [(axis.lower(), int(length)) for axis, length in zip(series.axes, series.shape, strict=True)]
    names = rename_axes(path, stored, axes)
    # The samples of a colour stay samples if the user calls them channels.
    return ["s" if name == "c" and axis == "s" else name for name, (axis, _) in zip(names, stored, strict=True)]


def _palette(file: tifffile.TiffFile, page: Any) -> NDArray[np.uint8] | None:
    """The colours of an indexed image, as ImageJ would tell one from an image that is only shown in colours.

    A table that runs smoothly ("Green", "Fire") is a way of showing intensities, and the pixels are these; one that jumps
    belongs to pixels that are numbers of colours. ImageJ itself stores every table with such pixels, also that of labels.
    """
    if page.photometric != tifffile.PHOTOMETRIC.PALETTE or page.colormap is None or file.is_imagej:
        return None
    table = (np.asarray(page.colormap) >> 8).astype(np.uint8).T  # stored with 16 bits, [3, entries]
    steps = np.diff(table.astype(np.float64), axis=0, prepend=table[:1])
    return None if len(table) >= 256 and steps.std() < _SMOOTH else table


def _colour_samples(page: Any, samples: int) -> int:
    """How many of the samples of a pixel are colour: alpha and other extras follow them."""
    if page.photometric in _COLOUR:
        return min(samples, 3)
    alpha = [extra for extra in page.extrasamples if int(extra) in (1, 2)]
    return max(1, samples - len(alpha))


def _physical_size(file: tifffile.TiffFile, page: Any) -> dict[str, float | str] | None:
    """The size of a pixel where ImageJ states one; the resolution of other files is for printers."""
    metadata = file.imagej_metadata or {}
    unit = str(metadata.get("unit", ""))
    if not unit or unit in ("pixel", "px", "inch"):
        return None
    size: dict[str, float | str] = {"unit": unit.replace("\\u00B5", "µ")}
    for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
        value = page.tags.valueof(tag)
        if not value or not value[0]:
            return None
        size[axis] = value[1] / value[0]
    if "spacing" in metadata:
        size["z"] = float(metadata["spacing"])
    return size


def _imagej_channels(file: tifffile.TiffFile, names: list[str], lengths: dict[str, int]) -> tuple[str, ...]:
    """The slice labels of ImageJ, where they are the same for each channel in all slices and frames."""
    channels = lengths.get("c", 1) if "c" in names else 1
    labels = (file.imagej_metadata or {}).get("Labels", ())
    labels = [labels] if isinstance(labels, str) else [str(label) for label in labels]
    # Channels come first in ImageJ's order of slices.
    repeated = labels[:channels] * (len(labels) // channels) if channels else []
    return tuple(labels[:channels]) if channels > 1 and labels and repeated == labels else ()
