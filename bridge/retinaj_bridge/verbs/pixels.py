"""The pixels of one plane, as the plugin sends them."""

from __future__ import annotations

import math
import re

import numpy as np
import xarray as xr

from retinaj.errors import RetinaJError
from retinaj_bridge.verbs.checking import flag_of, number_of, text_of
from retinaj_bridge.wire import Fields

_PIXELS = {"uint8": "<u1", "uint16": "<u2", "int16": "<i2", "float32": "<f4"}
_SHAPE = re.compile(r"[1-9]\d{0,9}(,[1-9]\d{0,9}){1,2}", re.ASCII)
_LONGEST_UNIT = 20


def plane_of(fields: Fields) -> xr.DataArray:
    """One plane of an image.

    Args:
        fields: type, one of uint8, uint16, int16, float32; shape, "y,x" or "c,y,x"; pixels in that type and order; rgb, "1" if
            the channels are red, green and blue; and, for a calibrated image, pixel_width and pixel_height in unit.

    Returns:
        dims y, x or c, y, x; attrs "rgb" and "physical_size" as `retinaj.images.read_image` sets them.

    Raises:
        RetinaJError: if they are not an image, or not all there.
    """
    kind, shape_text = text_of(fields, "type"), text_of(fields, "shape")
    if kind not in _PIXELS or not _SHAPE.fullmatch(shape_text):
        raise RetinaJError("The pixels that came from ImageJ are not an image.")
    sizes = [int(size) for size in shape_text.split(",")]
    dtype, pixels = np.dtype(_PIXELS[kind]), fields.get("pixels", b"")
    if len(pixels) != math.prod(sizes) * dtype.itemsize:
        raise RetinaJError("The pixels that came from ImageJ are not all there.")
    attrs: dict[str, object] = {"rgb": flag_of(fields, "rgb") and len(sizes) == 3 and sizes[0] == 3}
    width, height = number_of(fields, "pixel_width", None), number_of(fields, "pixel_height", None)
    if width and height and width > 0 and height > 0:
        attrs["physical_size"] = {"x": width, "y": height, "unit": text_of(fields, "unit")[:_LONGEST_UNIT] or "pixel"}
    dims = ("c", "y", "x")[-len(sizes) :]
    # xarray imports Dask and SciPy to find out whether an array is Dask's, half a second for who waits for the first boxes.
    plane = xr.Variable(dims, np.frombuffer(pixels, dtype).reshape(sizes), fastpath=True)
    return xr.DataArray(plane, dims=dims, attrs=attrs)
