"""What a packed Zarr chunk unpacks to, before it is unpacked: its decoder would make room for whatever it says or holds."""

from __future__ import annotations

import zlib
from pathlib import Path

from retinaj.errors import RetinaJError

# Zstandard needs no size in its header: such a chunk is unpacked into an array that was made for it, once more.
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def require_bounded(path: Path, packing: str, data: bytes, limit: int) -> None:
    """Refuse a chunk that unpacks to more than its pixels.

    Args:
        path: its file, for the error.
        packing: the outermost codec.
        data: the chunk as packed by it.
        limit: bytes of the pixels, with what other codecs may add.

    Raises:
        RetinaJError: naming the file.
    """
    if packing == "blosc":
        fits = int.from_bytes(data[4:8], "little") <= limit
    elif packing == "lz4":
        fits = int.from_bytes(data[:4], "little") <= limit
    elif packing in ("gzip", "zlib"):
        fits = _inflated(data, limit) <= limit
    elif packing == "zstd":
        size = _zstd_size(data)
        fits = _zstd_fits(data, limit) if size is None else size <= limit
    else:  # checksums and the like change nothing
        fits = len(data) <= limit
    if not fits:
        raise RetinaJError(f"{path} is damaged: it unpacks to more than the {limit:,} bytes that its pixels can need.")


def _inflated(data: bytes, limit: int) -> int:
    """How many bytes come out, up to one more than the limit, over all members of a gzip."""
    found = 0
    while data and found <= limit:
        decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        try:
            found += len(decoder.decompress(data, limit + 1 - found))
        except zlib.error:  # said better by the decoder itself
            return found
        data = decoder.unused_data
    return found


def _zstd_size(data: bytes) -> int | None:
    """The size that a Zstandard frame says it has; None if it says none.

    >>> _zstd_size(bytes.fromhex("28b52ffd 20 08")), _zstd_size(bytes.fromhex("28b52ffd 00 58"))
    (8, None)
    """
    if data[:4] != _ZSTD_MAGIC or len(data) < 5:
        return None
    descriptor = data[4]
    single = bool(descriptor & 0x20)
    length = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    at = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    return int.from_bytes(data[at : at + length], "little") + (256 if length == 2 else 0) if length else None


def _zstd_fits(data: bytes, limit: int) -> bool:
    import imagecodecs

    try:
        imagecodecs.zstd_decode(data, out=limit)
    except Exception as error:  # damage is said better by the decoder itself
        return "too small" not in str(error)
    return True
