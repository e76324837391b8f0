from __future__ import annotations

import io
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinaj_bridge.wire import MAGIC, WireError, message, read_message

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(lambda name: "." not in name)


def read(data: bytes, most: int = 10**6) -> dict[str, bytes] | None:
    return read_message(io.BytesIO(data), max_bytes=most)


@given(st.dictionaries(names, st.binary(max_size=200), max_size=8))
def test_what_is_written_is_read(fields: dict[str, bytes]) -> None:
    assert read(message(fields)) == fields


def test_texts_and_lists() -> None:
    assert read(message({"a": "µ", "b": ["x", "y"], "c": []})) == {
        "a": "µ".encode(),
        "b": b"2",
        "b.0": b"x",
        "b.1": b"y",
        "c": b"0",
    }


def test_messages_follow_each_other() -> None:
    stream = io.BytesIO(message({"a": b"1"}) + message({}))
    assert read_message(stream, max_bytes=100) == {"a": b"1"}
    assert read_message(stream, max_bytes=100) == {}
    assert read_message(stream, max_bytes=100) is None


@given(st.binary(max_size=300))
def test_garbage(data: bytes) -> None:
    if data:
        with pytest.raises(WireError):
            read(data[:4].replace(MAGIC, b"RTJ2") + data[4:])


@given(st.data(), st.dictionaries(names, st.binary(max_size=30), max_size=4))
def test_damaged_messages_are_refused_or_whole(data: st.DataObject, fields: dict[str, bytes]) -> None:
    whole = bytearray(message(fields))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(1, len(whole)))])
    try:
        found = read(cut)
    except WireError:
        return
    assert found is not None
    assert sum(8 + len(name.encode()) + len(value) for name, value in found.items()) + 4 + 8 == len(cut)


def field(name: bytes, value: bytes, announced: int | None = None) -> bytes:
    return struct.pack(">i", len(name)) + name + struct.pack(">i", len(value) if announced is None else announced) + value


def framed(count: int, body: bytes, total: int | None = None) -> bytes:
    return MAGIC + struct.pack(">ii", 4 + len(body) if total is None else total, count) + body


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (MAGIC, "breaks off"),
        (MAGIC + b"\0\0", "breaks off"),
        (framed(1, b"", total=2**31 - 1), "not taken"),
        (framed(1, b"", total=-1), "not taken"),
        (framed(-1, b""), "not taken"),
        (framed(200_000, b""), "not taken"),
        (framed(1, field(b"a", b"xyz", announced=-1)), "does not fit"),
        (framed(1, field(b"a", b"xyz", announced=4)), "does not fit"),
        (framed(1, field(b"a" * 201, b"")), "does not fit"),
        (framed(1, field(b"\xff", b"")), "UTF-8"),
        (framed(2, field(b"a", b"1") * 2), "twice"),
        (framed(1, field(b"a", b"1") + b"rest"), "left over"),
        (framed(1, field(b"a", b"1"), total=100), "breaks off|left over"),
        (framed(2, field(b"a", b"1")), "does not fit|breaks off"),
    ],
)
def test_what_is_no_message(data: bytes, complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        read(data)


@pytest.mark.parametrize("magic", [b"RTJ2", b"rtj1", b"GET ", b"POST", b"\x16\x03\x01\x02"])
def test_other_protocols(magic: bytes) -> None:
    with pytest.raises(WireError, match="not a message of RetinaJ"):
        read(magic + message({"a": b"1"})[4:])


def test_an_announced_size_costs_nothing() -> None:
    data = framed(1, field(b"a", b"xyz", announced=2**30), total=2**30 + 100)
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match="breaks off"):
            read(data, most=2**31 - 1)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
