"""TIFFs made byte by byte, to say what no writer would."""

from __future__ import annotations

import struct

# Tag: (type, count, value): 8 x 8 pixels of 8 bits, in one strip after the tags.
_TAGS = {
    256: (3, 1, 8),
    257: (3, 1, 8),
    258: (3, 1, 8),
    259: (3, 1, 1),
    262: (3, 1, 1),
    273: (4, 1, 0),
    277: (3, 1, 1),
    278: (3, 1, 8),
    279: (4, 1, 64),
}


def pages(count: int = 1, *, back_to: int | None = None, tags: dict[int, tuple[int, int, int]] | None = None) -> bytes:
    """A TIFF of so many pages of zeros, of which the last may lead back to an earlier one; with other tags, if given."""
    chosen = _TAGS | (tags or {})
    size = 2 + 12 * len(chosen) + 4
    places = [8 + at * size for at in range(count)]
    following = [*places[1:], 0 if back_to is None else places[back_to]]
    content = b"II*\x00" + struct.pack("<I", 8)
    for after in following:
        entries = {**chosen, 273: (4, 1, 8 + count * size) if chosen[273][2] == 0 else chosen[273]}
        content += struct.pack("<H", len(entries))
        content += b"".join(struct.pack("<HHII", tag, *entries[tag]) for tag in sorted(entries)) + struct.pack("<I", after)
    return content + bytes(64)


def packed(data: bytes, compression: int) -> bytes:
    """8 x 8 pixels in one strip, which holds `data`."""
    return pages(tags={259: (3, 1, compression), 279: (4, 1, len(data))})[:-64] + data
