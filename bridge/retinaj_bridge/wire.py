"""What the worker and the ImageJ plugin send each other: named fields of bytes. The other side is `java/retinaj/Message.java`.

All integers 32 bit and big-endian: the bytes "RTJ1", the number of bytes that follow, the number of fields; for each field the
number of bytes of its name, the name in UTF-8, the number of bytes of its value, the value. Numbers in arrays are
little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Protocol

MAGIC = b"RTJ1"
_MOST_FIELDS = 100_000
_LONGEST_NAME = 200

Fields = dict[str, bytes]


class WireError(Exception):
    """What came is not a message, or larger than is taken."""


class Readable(Protocol):
    """What messages are read from."""

    def read(self, count: int, /) -> bytes:
        """The next `count` bytes; fewer at the end."""
        ...


def read_message(stream: Readable, *, max_bytes: int) -> Fields | None:
    """The next message, or None if the other side has closed.

    Raises:
        WireError: for anything else than a whole message of at most `max_bytes`.
    """
    magic = stream.read(4)  # by themselves: whoever speaks another language may not send more before it is answered
    if not magic:
        return None
    if magic != MAGIC:
        raise WireError("not a message of RetinaJ")
    head = stream.read(8)
    if len(head) < 8:
        raise WireError("a message breaks off")
    total, count = struct.unpack(">ii", head)
    if not 4 <= total <= max_bytes or not 0 <= count <= _MOST_FIELDS:
        raise WireError(f"a message of {total} bytes and {count} fields is not taken")
    left = total - 4
    fields: Fields = {}
    for _ in range(count):
        encoded, left = _read_bytes(stream, min(left, 4 + _LONGEST_NAME), left)
        try:
            name = encoded.decode()
        except UnicodeDecodeError as error:
            raise WireError("the name of a field is not UTF-8") from error
        if name in fields:
            raise WireError("a message has a field twice")
        fields[name], left = _read_bytes(stream, left, left)
    if left:
        raise WireError(f"{left} bytes are left over at the end of a message")
    return fields


def message(fields: Mapping[str, bytes | str | Sequence[str]]) -> bytes:
    """A message as bytes; a list of texts becomes the fields name.0, name.1 and so on, and their number the field name."""
    flat: list[tuple[str, bytes]] = []
    for name, value in fields.items():
        if isinstance(value, bytes):
            flat.append((name, value))
        elif isinstance(value, str):
            flat.append((name, value.encode("utf-8", "replace")))
        else:
            flat.append((name, str(len(value)).encode()))
            flat += [(f"{name}.{at}", text.encode("utf-8", "replace")) for at, text in enumerate(value)]
    parts = [struct.pack(">i", len(flat))]
    for name, value in flat:
        encoded = name.encode()
        parts += [struct.pack(">i", len(encoded)), encoded, struct.pack(">i", len(value)), value]
    body = b"".join(parts)
    return MAGIC + struct.pack(">i", len(body)) + body


def _read_bytes(stream: Readable, most: int, left: int) -> tuple[bytes, int]:
    length_bytes = stream.read(4)
    if len(length_bytes) < 4:
        raise WireError("a message breaks off")
    (length,) = struct.unpack(">i", length_bytes)
    if not 0 <= length <= most - 4:
        raise WireError(f"a field of {length} bytes does not fit into its message")
    data = stream.read(length)
    if len(data) < length:
        raise WireError("a message breaks off")
    return data, left - 4 - length
