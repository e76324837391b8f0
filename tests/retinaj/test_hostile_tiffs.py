"""TIFFs that lead in circles, promise too much or name other files: one clear error, at once and in little memory."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from tiff_bytes import packed, pages

from retinaj.errors import RetinaJError
from retinaj.images import open_image, read_header, read_image

NAMESPACE = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
PIXELS = (
    f'<?xml version="1.0"?><OME {NAMESPACE}><Image ID="Image:0"><Pixels ID="P" DimensionOrder="XYZCT" Type="uint8" SizeX="8" '
    'SizeY="8" SizeZ="{slices}" SizeC="1" SizeT="1"><TiffData IFD="0" FirstZ="0">{inside}</TiffData></Pixels></Image></OME>'
)
ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    f'<OME {NAMESPACE}><Image Name="&b;"/></OME>'
)


def described(text: str) -> bytes:
    """8 x 8 pixels with this ImageDescription."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((8, 8), np.uint8), description=text.encode(), metadata=None)
    return stream.getvalue()


def jpeg_bomb() -> bytes:
    """A small JPEG that says that it is 65,000 x 65,000."""
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, "JPEG")
    data = bytearray(stream.getvalue())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    return bytes(data)


def jpeg_2000_bomb() -> bytes:
    data = bytearray(imagecodecs.jpeg2k_encode(np.zeros((8, 8), np.uint8), codecformat="j2k"))
    at = data.index(b"\xff\x4f\xff\x51") + 8
    data[at : at + 8] = struct.pack(">II", 60000, 60000)
    return bytes(data)


def damaged_tile() -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    tifffile.imwrite(stream, pixels, tile=(16, 16), compression="zlib")
    data = bytearray(stream.getvalue())
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        start, count = file.pages[0].dataoffsets[5], file.pages[0].databytecounts[5]
    data[start + 5 : start + count] = b"\xff" * (count - 5)
    return bytes(data)


CASES = {
    "a page that follows itself": (lambda: pages(1, back_to=0), "its page 1 leads back"),
    "two pages in a circle": (lambda: pages(2, back_to=0), "its page 2 leads back"),
    "a late circle": (lambda: pages(5000, back_to=4000), "its page 5000 leads back"),
    "a terapixel": (lambda: pages(tags={256: (4, 1, 10**6), 257: (4, 1, 10**6), 278: (4, 1, 10**6)}), "931.3 GiB"),
    "a terapixel, packed": (
        lambda: pages(tags={256: (4, 1, 10**6), 257: (4, 1, 10**6), 278: (4, 1, 10**6), 259: (3, 1, 8)}),
        "931.3 GiB",
    ),
    "no columns": (lambda: pages(tags={256: (3, 1, 0)}), "has no pixels"),
    "many samples": (lambda: pages(tags={277: (3, 1, 65535)}), "damaged or cut short|cut short"),
    "two billion strips": (lambda: pages(tags={273: (4, 2 * 10**9, 8), 279: (4, 2 * 10**9, 8)}), "damaged or cut short"),
    "a zlib bomb": (lambda: packed(zlib.compress(bytes(10**8)), 8), "damaged or cut short"),
    "a zstd bomb": (lambda: packed(imagecodecs.zstd_encode(bytes(10**8)), 50000), "damaged or cut short"),
    "a JPEG bomb": (lambda: packed(jpeg_bomb(), 7), "a part of 8 x 8 pixels is packed as an image of 65000 x 65000"),
    "a JPEG 2000 bomb": (lambda: packed(jpeg_2000_bomb(), 34712), "a part of 8 x 8 pixels is packed as .* 60000 x 60000"),
    "no JPEG": (lambda: packed(b"\xff\xd8" + b"\xff" * 100, 7), "is packed as an image of no size"),
    "a damaged tile": (damaged_tile, "damaged or cut short"),
    "entities": (lambda: described(ENTITIES), "document type or entities"),
    "another folder": (
        lambda: described(PIXELS.format(slices=2, inside='<UUID FileName="../x.tif">urn:uuid:1</UUID>')),
        r"names '\.\./x\.tif' as a part",
    ),
    "two billion slices": (lambda: described(PIXELS.format(slices=2 * 10**9, inside="")), "2000000000 slices"),
    "slices without end": (lambda: described(PIXELS.format(slices="9" * 5000, inside="")), "RetinaJ reads up to 1,000,000"),
    "a broken description": (lambda: described(f"<OME {NAMESPACE}><Image></OME>"), "damaged OME-XML"),
    "a billion frames": (lambda: described('{"shape": [1000000000, 8, 8]}'), "GiB|cut short"),
    "nested JSON": (lambda: described('{"shape": ' + "[" * 20_000), "damaged or cut short"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("lazy", [False, True])
def test_one_clear_error_at_once(tmp_path: Path, name: str, lazy: bool) -> None:
    make, reason = CASES[name]
    path = tmp_path / "a.tif"
    path.write_bytes(make())
    began = time.perf_counter()
    tracemalloc.start()
    try:
        with pytest.raises(RetinaJError, match=reason) as caught:
            open_image(path, lazy_above=0).to_numpy() if lazy else read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - began < 20  # a loop would never end
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        lambda: pages(tags={330: (4, 1, 8)}),  # a page that is a part of itself
        lambda: pages(tags={270: (2, 4 * 10**9, 8)}),  # a description of 4 GB
        lambda: described(f"<OME {NAMESPACE}>" + "<a>" * 20_000 + "</a>" * 20_000 + "</OME>"),
        lambda: packed(imagecodecs.lzw_encode(bytes(10**7)), 5),
    ],
    ids=["circle of parts", "long text", "deep XML", "LZW bomb"],
)
def test_what_is_odd_beside_the_pixels_does_no_harm(tmp_path, content):
    path = tmp_path / "a.tif"
    path.write_bytes(content())
    assert dict(read_header(path).sizes) == {"y": 8, "x": 8}
    tracemalloc.start()
    try:
        assert not read_image(path).any()
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()


def test_the_helper_makes_sound_files(tmp_path):
    (tmp_path / "a.tif").write_bytes(pages(3))
    assert dict(read_image(tmp_path / "a.tif").sizes) == {"z": 3, "y": 8, "x": 8}
