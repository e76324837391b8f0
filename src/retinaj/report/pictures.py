"""Images as parts of a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import xarray as xr
from PIL import Image

from retinaj.prediction.overlay import to_rgb

_LONGEST_SIDE = 900  # of a picture in the page, in pixels


@dataclass(frozen=True)
class Picture:
    """An image, made small enough for a page.

    Attributes:
        url: a data URL.
        size: (width, height) of the image itself, in pixels: in these count boxes that are drawn on it.
    """

    url: str
    size: tuple[int, int]


def picture_of(image: xr.DataArray) -> Picture:
    """One plane (dims y, x, or c, y, x; any pixel type), as a page shows it."""
    pixels = to_rgb(image)
    picture = Image.fromarray(pixels)
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=88)
    content = base64.b64encode(stream.getvalue()).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{content}", (pixels.shape[1], pixels.shape[0]))
