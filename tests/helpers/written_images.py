"""Image files for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray


def write_image(path: Path, pixels: NDArray[np.generic], axes: str = "") -> Path:
    """A TIFF as ImageJ saves it. `axes` names the dimensions of a stack, such as "TZYX"; RGB is [y, x, 3] without axes."""
    if axes:
        tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": axes})
    else:
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    return path
