"""TFRecord files: a row of records, each with its length and two checksums.

TensorFlow reads them too, but a length that lies makes it ask for that much memory, and importing it takes seconds.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import google_crc32c

from retinaj.errors import RetinaJError
from retinaj.files import atomic_path, require_file

# One image with its boxes. Parsed, a hostile record may take eight times as much memory.
MAX_RECORD_BYTES = 128 * 1024**2

_HEADER = struct.Struct("<QI")  # length of the data, checksum of these eight bytes
_CHECKSUM = struct.Struct("<I")  # of the data, which it follows
_MASK_DELTA = 0xA282EAD8
_GZIP_SIGNATURE = b"\x1f\x8b"


class Record(NamedTuple):
    """One record: its number in the file, from 1; the byte at which it begins; and its data."""

    number: int
    offset: int
    data: bytes


def is_record_file(path: Path) -> bool:
    """Whether a file begins as TFRecord files do: with a length that its checksum confirms."""
    try:
        with path.open("rb") as stream:
            header = stream.read(_HEADER.size)
    except OSError:
        return False
    return len(header) == _HEADER.size and _is_intact(header)


def read_records(path: Path) -> Iterator[Record]:
    """Each record, one after the other, checked against its checksum.

    Never more than one record, of at most MAX_RECORD_BYTES, is in memory. A file without any byte has no records: where
    images are dealt out to several files, some may get none.

    Raises:
        RetinaJError: if there is no such file, it is no TFRecord file, is compressed, damaged or cut short, or a record is
            larger than MAX_RECORD_BYTES.
    """
    with _open(path) as stream:
        number = offset = 0
        while offset < os.fstat(stream.fileno()).st_size:
            number += 1
            record = _read_record(path, stream, number, offset)
            offset += _HEADER.size + len(record.data) + _CHECKSUM.size
            yield record


def read_record_at(path: Path, number: int, offset: int) -> Record:
    """The record that begins at a byte where `read_records` found it.

    Raises:
        RetinaJError: as `read_records`.
    """
    with _open(path) as stream:
        stream.seek(offset)
        return _read_record(path, stream, number, offset)


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """Write one TFRecord file, whole or not at all.

    Args:
        path: the file.
        records: the data of each record; taken one at a time.

    Raises:
        RetinaJError: if a record is larger than what `read_records` takes.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        for number, data in enumerate(records, 1):
            if len(data) > MAX_RECORD_BYTES:
                raise RetinaJError(f"Record {number} for {path} would have {_too_large(len(data))}. Crop or scale the image.")
            length = struct.pack("<Q", len(data))
            stream.write(_HEADER.pack(len(data), _masked_checksum(length)))
            stream.write(data)
            stream.write(_CHECKSUM.pack(_masked_checksum(data)))


@contextmanager
def _open(path: Path) -> Generator[BinaryIO]:
    require_file(path, "a TFRecord file")
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise RetinaJError(f"{path} cannot be read: {error.strerror or error}.") from error


def _read_record(path: Path, stream: BinaryIO, number: int, offset: int) -> Record:
    header = stream.read(_HEADER.size)
    if number == 1:
        if header.startswith(_GZIP_SIGNATURE):
            raise RetinaJError(f"{path} is compressed with gzip, which the Object Detection API does not read; unpack it.")
        if len(header) < _HEADER.size or not _is_intact(header):
            raise RetinaJError(f"{path} is not a TFRecord file, or its first bytes are damaged.")
    if len(header) < _HEADER.size:
        raise RetinaJError(f"{path} is cut short within record {number}. Copy or make it again.")
    if not _is_intact(header):
        raise RetinaJError(f"{path} is damaged: the length of record {number} contradicts its checksum. Copy or make it again.")
    length: int = _HEADER.unpack(header)[0]
    available = os.fstat(stream.fileno()).st_size - offset - _HEADER.size - _CHECKSUM.size
    if length > available:
        raise RetinaJError(
            f"{path} is cut short: record {number} says that it has {length:,} bytes, but only {max(available, 0):,} are left. "
            "Copy or make it again."
        )
    if length > MAX_RECORD_BYTES:
        raise RetinaJError(f"{path}: record {number} has {_too_large(length)}.")
    data = stream.read(length)
    footer = stream.read(_CHECKSUM.size)
    if len(footer) < _CHECKSUM.size or _CHECKSUM.unpack(footer)[0] != _masked_checksum(data):
        raise RetinaJError(f"{path} is damaged: record {number} contradicts its checksum. Copy or make it again.")
    return Record(number, offset, data)


def _is_intact(header: bytes) -> bool:
    return _HEADER.unpack(header)[1] == _masked_checksum(header[:8])


def _masked_checksum(data: bytes) -> int:
    """CRC-32C, turned and shifted: TensorFlow does so because the checksum of data with checksums in it is a weak one."""
    checksum: int = google_crc32c.value(data)
    return (((checksum >> 15) | (checksum << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def _too_large(length: int) -> str:
    return f"{length:,} bytes; RetinaJ reads up to {MAX_RECORD_BYTES // 2**20} MB for one image"
