"""Writing images: what is read back is what was written, in pixels, type, colour and size of a pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import xarray as xr
from PIL import Image

from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj.images.writing import lossless_suffix, write_image

SIZE = {"x": 0.25, "y": 0.5, "unit": "µm"}


def image(dtype: str, channels: int, *, rgb: bool = False) -> xr.DataArray:
    random = np.random.default_rng(0)
    shape = (7, 9) if channels == 1 else (channels, 7, 9)
    high = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    pixels = (random.random(shape) * high).astype(dtype)
    return xr.DataArray(pixels, dims=("y", "x") if channels == 1 else ("c", "y", "x"), attrs={"rgb": rgb})


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32", "float64"])
@pytest.mark.parametrize(("channels", "rgb"), [(1, False), (2, False), (3, False), (3, True), (5, False)])
def test_tiff_gives_back_what_was_written(tmp_path: Path, dtype: str, channels: int, rgb: bool) -> None:
    written = image(dtype, channels, rgb=rgb)
    write_image(tmp_path / "a.tif", written)
    found = read_image(tmp_path / "a.tif")
    assert (found.dtype, found.dims, found.attrs["rgb"]) == (written.dtype, written.dims, rgb)
    np.testing.assert_array_equal(found.to_numpy(), written.to_numpy())


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_png_gives_back_what_was_written(tmp_path: Path, dtype: str, channels: int) -> None:
    written = image(dtype, channels, rgb=channels == 3)
    write_image(tmp_path / "a.png", written)
    found = read_image(tmp_path / "a.png")
    assert (found.dtype, found.dims) == (written.dtype, written.dims)
    np.testing.assert_array_equal(found.to_numpy(), written.to_numpy())
    with Image.open(tmp_path / "a.png") as picture:  # and another program sees the same size
        assert picture.size == (9, 7)


def test_the_size_of_a_pixel_stays(tmp_path: Path) -> None:
    written = image("uint16", 2).assign_attrs(physical_size=SIZE)
    write_image(tmp_path / "a.tif", written)
    found = read_image(tmp_path / "a.tif").attrs["physical_size"]
    assert found["unit"] == "µm"
    assert (found["x"], found["y"]) == (pytest.approx(0.25, rel=1e-6), pytest.approx(0.5, rel=1e-6))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_imagej


def test_what_png_cannot_hold_is_refused_or_goes_to_tiff(tmp_path: Path) -> None:
    for dtype, channels in (("float32", 1), ("uint8", 2)):
        with pytest.raises(RetinaJError, match=r"a\.png cannot hold an image of"):
            write_image(tmp_path / "a.png", image(dtype, channels))
        assert lossless_suffix(Path("a.png"), image(dtype, channels)) == ".tif"
    assert not list(tmp_path.iterdir())
    assert lossless_suffix(Path("a.JPG"), image("uint8", 3)) == ".png"
    assert lossless_suffix(Path("a.TIF"), image("uint8", 3)) == ".tif"
