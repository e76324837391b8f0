from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from written_images import write_image

from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj_bridge import to_xarray
from retinaj_bridge.pixels import read_planes

Classes = Callable[[str], Any]
RANDOM = np.random.default_rng(0)


def open_image(imagej: Classes, path: Path) -> Any:
    image = imagej("ij.IJ").openImage(str(path))
    assert image is not None
    return image


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_grey(imagej: Classes, tmp_path: Path, dtype: type[np.generic]) -> None:
    pixels = (RANDOM.random((7, 9)) * (255 if dtype == np.uint8 else 60000)).astype(dtype)
    found = to_xarray(open_image(imagej, write_image(tmp_path / "a.tif", pixels)))
    assert (found.dims, found.dtype) == (("y", "x"), dtype)
    np.testing.assert_array_equal(found, pixels)


def test_rgb(imagej: Classes, tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 256, (7, 9, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = to_xarray(open_image(imagej, tmp_path / "a.png"))
    assert (found.dims, found.dtype) == (("c", "y", "x"), np.uint8)
    np.testing.assert_array_equal(found, np.moveaxis(pixels, -1, 0))


@pytest.mark.parametrize("axes", ["ZYX", "TYX", "CYX", "TZYX", "ZCYX", "TCYX", "TZCYX"])
def test_stacks_as_the_reader_gives_them(imagej: Classes, tmp_path: Path, axes: str) -> None:
    shape = [{"T": 4, "Z": 3, "C": 2, "Y": 7, "X": 9}[axis] for axis in axes]
    path = write_image(tmp_path / "a.tif", RANDOM.integers(0, 60000, shape).astype(np.uint16), axes)
    xr.testing.assert_equal(to_xarray(open_image(imagej, path)), read_image(path).drop_attrs())


def test_rgb_stack(imagej: Classes) -> None:
    stack = imagej("ij.ImageStack")(2, 1)
    for value in (0x010203, 0xFE0405):
        processor = imagej("ij.process.ColorProcessor")(2, 1)
        processor.set(0, 0, value)
        stack.addSlice(processor)
    found = to_xarray(imagej("ij.ImagePlus")("rgb", stack))
    assert found.dims == ("c", "z", "y", "x")
    assert found.sel(y=0, x=0).values.tolist() == [[1, 0xFE], [2, 4], [3, 5]]


def test_one_channel(imagej: Classes, tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 60000, (3, 2, 7, 9)).astype(np.uint16)
    image = open_image(imagej, write_image(tmp_path / "a.tif", pixels, "ZCYX"))
    found = to_xarray(image, channel=2)
    assert found.dims == ("z", "y", "x")
    np.testing.assert_array_equal(found, pixels[:, 1])
    with pytest.raises(RetinaJError, match=r"channel is 3, but the image a\.tif has 2"):
        to_xarray(image, channel=3)


def test_palette(imagej: Classes, tmp_path: Path) -> None:
    picture = Image.fromarray(RANDOM.integers(0, 256, (7, 9)).astype(np.uint8), mode="P")
    picture.putpalette(RANDOM.integers(0, 256, 768).tolist())
    picture.save(tmp_path / "a.png")
    found = to_xarray(open_image(imagej, tmp_path / "a.png"))
    assert found.dims == ("c", "y", "x")
    np.testing.assert_array_equal(found, read_image(tmp_path / "a.png"))


@pytest.mark.parametrize("table", ["Fire", "Green", "Red/Green", "Invert LUT"])
def test_look_up_tables_are_for_the_eye(imagej: Classes, tmp_path: Path, table: str) -> None:
    pixels = RANDOM.integers(0, 256, (7, 9)).astype(np.uint8)
    image = open_image(imagej, write_image(tmp_path / "a.tif", pixels))
    imagej("ij.IJ").run(image, table, "")
    np.testing.assert_array_equal(to_xarray(image), pixels)


def test_inverting_table_is_for_the_eye(imagej: Classes, shared_data: Path) -> None:
    path = shared_data / "imagej_roi" / "blobs.tif"
    image = open_image(imagej, path)
    assert bool(image.isInvertedLut())
    np.testing.assert_array_equal(to_xarray(image), read_image(path))


def test_signed_16_bit(imagej: Classes, tmp_path: Path) -> None:
    pixels = np.array([[-32768, -1, 0], [1, 1000, 32767]], np.int16)
    found = to_xarray(open_image(imagej, write_image(tmp_path / "a.tif", pixels)))
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, pixels)


def test_image_is_only_read(imagej: Classes, tmp_path: Path) -> None:
    image = open_image(imagej, write_image(tmp_path / "a.tif", RANDOM.integers(0, 256, (3, 2, 7, 9)).astype(np.uint8), "ZCYX"))
    image.setPosition(2, 3, 1)
    image.setRoi(1, 2, 3, 4)
    image.setDisplayRange(3, 77)
    before = [np.array(image.getStack().getPixels(at + 1)) for at in range(6)]
    found = to_xarray(image)
    found += np.uint8(1)
    assert (image.getC(), image.getZ(), image.getT()) == (2, 3, 1)
    assert str(image.getRoi().getBounds()) == "java.awt.Rectangle[x=1,y=2,width=3,height=4]"
    assert (image.getDisplayRangeMin(), image.getDisplayRangeMax()) == (3, 77)
    assert not bool(image.changes)
    for at, pixels in enumerate(before):
        np.testing.assert_array_equal(np.array(image.getStack().getPixels(at + 1)), pixels)


def test_closed_in_the_middle(imagej: Classes, tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", RANDOM.integers(0, 256, (3, 7, 9)).astype(np.uint8), "ZYX")
    image = open_image(imagej, path)
    planes = read_planes(image)
    next(planes)
    image.getStack().getImageArray()[1] = None  # as closing an image with a window leaves it
    with pytest.raises(RetinaJError, match=r"a\.tif was closed"):
        list(planes)
    image.close()
    with pytest.raises(RetinaJError, match="was closed"):
        to_xarray(image)


def test_real_stacks_as_the_reader_gives_them(imagej: Classes, shared_data: Path) -> None:
    paths = sorted((shared_data / "stacks").glob("*.tif"))
    assert paths
    for path in paths:
        image = open_image(imagej, path)
        xr.testing.assert_equal(to_xarray(image), read_image(path).drop_attrs().drop_vars("c", errors="ignore"))
        image.close()
