"""The pixels that the plugin sends to the worker are those that `to_xarray` gives, for each kind of image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from plugin_java import call

from retinaj_bridge import to_xarray

Classes = Callable[[str], Any]


def sent(imagej: Classes, image: Any, channel: int, crop: tuple[int, int, int, int]) -> np.ndarray[Any, Any]:
    """What Planes.java reads: [t, z, c, y, x] or, without channels, [t, z, y, x]."""
    class_ = imagej("java.lang.Class")
    integer = imagej("java.lang.Integer")
    rectangle = imagej("java.awt.Rectangle")
    constructor = class_.forName("retinaj.Planes").getDeclaredConstructor(
        class_.forName("ij.ImagePlus"), integer.TYPE, class_.forName("java.awt.Rectangle")
    )
    constructor.setAccessible(True)
    planes = constructor.newInstance(image, integer.valueOf(channel), rectangle(*crop))
    frames: list[list[np.ndarray[Any, Any]]] = []
    for frame in range(1, image.getNFrames() + 1):
        frames.append([])
        for at in range(1, image.getNSlices() + 1):
            message = call("Planes", "read", integer.valueOf(at), integer.valueOf(at), integer.valueOf(frame), on=planes)
            shape = [int(size) for size in str(call("Message", "text", "shape", on=message)).split(",")]
            pixels = bytes(call("Message", "bytes", "pixels", on=message))
            kind = np.dtype(str(call("Message", "text", "type", on=message))).newbyteorder("<")
            frames[-1].append(np.frombuffer(pixels, kind).reshape(shape))
    return np.array(frames)


def prepared(imagej: Classes, kind: str) -> Any:
    ij = imagej("ij.IJ")
    bits = {"8": "8-bit", "16": "16-bit", "32": "32-bit", "rgb": "RGB", "signed": "16-bit"}.get(kind.split()[0], "8-bit")
    sizes = {"stack": (1, 3, 2), "channels": (2, 1, 1), "hyperstack": (2, 2, 3)}.get(kind.split()[-1], (1, 1, 1))
    image = ij.createImage("a", f"{bits} ramp", 9, 7, *sizes)
    random = np.random.default_rng(0)
    for at in range(1, image.getStackSize() + 1):
        processor = image.getStack().getProcessor(at)
        for x in range(9):
            processor.set(x, at % 7, int(random.integers(0, 256)) if bits != "32-bit" else int(random.integers(0, 2**30)))
    if kind.startswith("signed"):
        image.getCalibration().setSigned16BitCalibration()
    if kind.startswith("palette"):
        table = random.integers(-128, 128, (3, 256)).astype(np.int8)
        image.setLut(imagej("ij.process.LUT")(*[list(map(int, row)) for row in table]))
    if kind.startswith("inverted"):
        image.getProcessor().invertLut()
    return image


@pytest.mark.parametrize(
    "kind",
    [
        *("8", "16", "32", "rgb", "signed", "palette", "inverted"),
        *("8 stack", "16 stack", "rgb stack", "palette stack", "signed stack"),
        *("16 channels", "8 hyperstack", "32 hyperstack", "signed hyperstack"),
    ],
)
def test_planes_are_what_to_xarray_gives(imagej: Classes, kind: str) -> None:
    image = prepared(imagej, kind)
    channels = [0, 1, 2] if int(image.getNChannels()) > 1 else [0, 1]
    for channel in channels:
        expected = to_xarray(image, channel=channel or None)
        assert ("c" in expected.dims) == (
            kind.startswith(("rgb", "palette"))
            or (kind.endswith("channels") and not channel)
            or (kind.endswith("hyperstack") and not channel)
        )
        for axis in ("t", "z"):
            if axis not in expected.dims:
                expected = expected.expand_dims(axis)
        order = [axis for axis in ("t", "z", "c", "y", "x") if axis in expected.dims]
        wanted = expected.transpose(*order)
        whole = sent(imagej, image, channel, (0, 0, 9, 7))
        assert whole.dtype == wanted.dtype
        np.testing.assert_array_equal(whole, wanted)
        part = sent(imagej, image, channel, (2, 1, 5, 4))
        np.testing.assert_array_equal(part, wanted.isel(y=slice(1, 5), x=slice(2, 7)))
