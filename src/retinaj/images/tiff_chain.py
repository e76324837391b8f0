"""The chain of pages in a TIFF, followed once before tifffile follows it: it would walk a long loop for ever."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from retinaj.errors import RetinaJError

MAX_PAGES = 1_000_000


def require_sound_chain(path: Path) -> None:
    """Refuse a TIFF whose pages form a loop, or are absurdly many.

    Only the count of tags and the place of the next page are read of each page. A chain that leads out of the file ends there.

    Raises:
        RetinaJError: naming the file.
    """
    with path.open("rb") as stream:
        start = stream.read(16)
        order = "<" if start[:2] == b"II" else ">"
        big = start[2:4] in (b"+\x00", b"\x00+")
        count, tag_bytes, offset = (f"{order}Q", 20, f"{order}Q") if big else (f"{order}H", 12, f"{order}I")
        at = _read(stream, offset, 8 if big else 4)
        seen: set[int] = set()
        while at:
            if at in seen:
                raise RetinaJError(
                    f"{path} is damaged: its page {len(seen)} leads back to an earlier one. Open it in ImageJ and save it."
                )
            seen.add(at)
            if len(seen) > MAX_PAGES:
                raise RetinaJError(f"{path} has more than {MAX_PAGES:,} pages; RetinaJ does not read so many.")
            tags = _read(stream, count, at)
            at = _read(stream, offset, at + struct.calcsize(count) + tags * tag_bytes)


def _read(stream: BinaryIO, layout: str, at: int) -> int:
    """The number at a place of the file, or 0 beyond its end."""
    if at >= 2**63:
        return 0
    stream.seek(at)
    found = stream.read(struct.calcsize(layout))
    return struct.unpack(layout, found)[0] if len(found) == struct.calcsize(layout) else 0
