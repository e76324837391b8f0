"""The strips and tiles of a TIFF, looked at before they are decoded: all there, and none that unpacks beyond its place."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tifffile

from retinaj.errors import RetinaJError

_JPEG = (7,)
_JPEG_2000 = (33003, 33004, 33005, 34712)
# None, CCITT, LZW, deflate, PackBits, LZMA, Zstandard: decoded into an array that was made for them.
_BOUNDED = (1, 2, 3, 4, 5, 8, 32771, 32773, 32946, 34925, 50000)
# A JPEG fills its last blocks of 8 or 16 pixels, twice that where colours are stored at half the size.
_FILLED = 32
# Where the size mostly is, and what may come before it: tables, and a colour profile that is repeated for each tile.
_HEADERS = (2**10, 2**17)


def require_whole(path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    """Refuse an image that ends before its pixels do, which tifffile would fill with zeros, or that unpacks to more than them.

    Raises:
        RetinaJError: naming the file, and what is wrong.
    """
    page = series.keyframe
    compression = int(page.compression)
    if compression not in (*_BOUNDED, *_JPEG, *_JPEG_2000):
        name = getattr(page.compression, "name", compression)
        raise RetinaJError(f"{path} is packed with {name}, which RetinaJ does not open. Save it with LZW, deflate or JPEG.")
    available = file.filehandle.size
    if series.dataoffset is not None:
        needed = series.dataoffset + series.nbytes
    else:
        needed = max((offset + count for offset, count in _segments(file, series)), default=0)
    if needed > available:
        raise RetinaJError(f"{path} is cut short: its pixels need {needed:,} bytes, it has {available:,}.")
    if compression in (*_JPEG, *_JPEG_2000):
        _require_sizes(path, file, series, compression in _JPEG)


def _segments(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Iterator[tuple[int, int]]:
    """(place, bytes) of each strip or tile that lies in this file."""
    for page in series.pages:
        if page is not None and page.parent is file:
            yield from zip(page.dataoffsets, page.databytecounts, strict=True)


def _require_sizes(path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries, jpeg: bool) -> None:
    """Each of these formats has a size of its own, and its decoder makes room for that."""
    page: Any = series.keyframe
    height, width = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    for offset, count in _segments(file, series):
        size = None
        for length in _HEADERS:
            file.filehandle.seek(offset)
            start = file.filehandle.read(min(count, length))
            size = _jpeg_size(start) if jpeg else _jpeg_2000_size(start)
            if size is not None:
                break
        if count and (size is None or size[0] > height + _FILLED or size[1] > width + _FILLED):
            said = "no size" if size is None else f"{size[1]} x {size[0]}"
            raise RetinaJError(f"{path} is damaged: a part of {width} x {height} pixels is packed as an image of {said}.")


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) in the frame header of a JPEG.

    >>> _jpeg_size(bytes.fromhex("ffd8 ffe00004 0000 ffc0000b 08 0010 0020 01 011100"))
    (16, 32)
    """
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return struct.unpack(">HH", data[at + 5 : at + 9])
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _jpeg_2000_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) in the first header of a JPEG 2000 codestream, also inside a file of that format."""
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(data) < at + 24:
        return None
    right, bottom, left, top = struct.unpack(">IIII", data[at + 8 : at + 24])
    return bottom - top, right - left
