"""Entries of ZIP files that lie."""

from __future__ import annotations

import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest

from retinaj.annotations.imagej_roi import read_roi_set
from retinaj.errors import RetinaJError
from retinaj.zip_entries import read_entry


def write_zip(path: Path, data: bytes, method: int) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.roi", data)
    return path


def lie(path: Path, size: int, crc: int) -> None:
    """Change the size and the checksum in the central directory, which is what readers believe."""
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 16 : at + 20] = crc.to_bytes(4, "little")
    content[at + 24 : at + 28] = size.to_bytes(4, "little")
    path.write_bytes(content)


def read(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return read_entry(path, archive, archive.infolist()[0])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("data", [b"", b"x", b"cell" * 100_000])
def test_honest_entries_are_read_whole(tmp_path, data, method):
    assert read(write_zip(tmp_path / "a.zip", data, method)) == data


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("declared", [0, 1, 999, 1001, 5000])
def test_a_wrong_size_is_an_error(tmp_path, method, declared):
    data = bytes(range(250)) * 4
    path = write_zip(tmp_path / "a.zip", data, method)
    # one that fits what a believing reader would get: all that exists, up to the declared size
    lie(path, declared, zlib.crc32(data[:declared]))
    with pytest.raises(RetinaJError, match=r"a\.zip is damaged at 'a\.roi'"):
        read(path)


def test_a_size_that_is_exact_but_for_one_byte_is_told(tmp_path):
    path = write_zip(tmp_path / "a.zip", bytes(1000), zipfile.ZIP_DEFLATED)
    lie(path, 1001, zlib.crc32(bytes(1000)))
    with pytest.raises(RetinaJError, match=r"it declares 1,001 bytes and has 1,000\. Copy"):
        read(path)
    lie(path, 999, zlib.crc32(bytes(1000)))
    with pytest.raises(RetinaJError, match=r"it declares 999 bytes and has more\. Copy"):
        read(path)


def test_a_bomb_of_a_small_declared_size_is_not_unpacked(tmp_path):
    path = write_zip(tmp_path / "a.zip", bytes(64 * 1024**2), zipfile.ZIP_DEFLATED)
    lie(path, 1000, zlib.crc32(bytes(1000)))
    tracemalloc.start()
    try:
        with pytest.raises(RetinaJError, match="is damaged"):
            read(path)
        with pytest.raises(RetinaJError, match="is damaged"):
            read_roi_set(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024**2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_without_a_bound_are_refused(tmp_path, method):
    path = write_zip(tmp_path / "a.zip", bytes(1000), method)
    with pytest.raises(RetinaJError, match=rf"a\.zip holds 'a\.roi', compressed by method {method}; expected"):
        read_roi_set(path)


def test_an_encrypted_entry_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", b"x", zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(RetinaJError, match="encrypted"):
        read(path)
