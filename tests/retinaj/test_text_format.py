"""Protocol buffers in text format, read without their definitions."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from retinaj.errors import RetinaJError
from retinaj.importing.text_format import Message, Scalar, parse, read


def plain(message: Message) -> dict[str, list[object]]:
    """A message as dictionaries of lists of texts."""
    return {
        name: [plain(value) if isinstance(value, Message) else value.text for value in values]
        for name, values in message.fields.items()
    }


class TestParse:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", {}),
            ("a: 1", {"a": ["1"]}),
            ("a: 1, b: .5; c: -4.6", {"a": ["1"], "b": [".5"], "c": ["-4.6"]}),
            ("a: 1e-8 b: 2.f c: 0x1F d: - 3", {"a": ["1e-8"], "b": ["2.f"], "c": ["0x1F"], "d": ["-3"]}),
            ("a { b: RELU_6, }", {"a": [{"b": ["RELU_6"]}]}),
            ("a: { b < c: true > }", {"a": [{"b": [{"c": ["true"]}]}]}),
            ("a: [1.0, 2.0, .5] a: 3", {"a": ["1.0", "2.0", ".5", "3"]}),
            ("a: [{ b: 1 }, { b: 2 }]", {"a": [{"b": ["1"]}, {"b": ["2"]}]}),
            ("a: []", {"a": []}),
            ("# a comment { \na: 'x' # b: 2", {"a": ["x"]}),
            ("a: 'it''s' 'in pieces' \"\\\"quoted\\\"\\n\\303\\244\"", {"a": ['itsin pieces"quoted"\nä']}),
            ("[of.an.extension] { a: 1 }", {"[of.an.extension]": [{"a": ["1"]}]}),
            ("a{}b{}", {"a": [{}], "b": [{}]}),
        ],
    )
    def test_what_the_format_allows(self, text: str, expected: dict[str, list[object]]) -> None:
        assert plain(parse(text, "x")) == expected

    def test_strings_are_told_from_words(self) -> None:
        assert parse("a: 'true' b: true", "x").fields == {"a": [Scalar("true", quoted=True)], "b": [Scalar("true")]}

    @pytest.mark.parametrize(
        ("text", "line", "got"),
        [
            ("a {\nb: 1\n", 3, "the end of the file"),
            ("a: 1\n}", 2, "'}'"),
            ("a {\n> ", 2, "'>'"),
            ("a 1", 1, "'1'"),
            ("\n\na: ", 3, "the end of the file"),
            ("a: [1 2]", 1, "'2'"),
            ("a: [1", 1, "the end of the file"),
            ("a: 'open\nb: 1", 1, '"\'open"'),
            ("7: 1", 1, "'7'"),
            ("a: 1 \N{SNOWMAN}", 1, "'\N{SNOWMAN}'"),
            ("\x00", 1, r"'\x00'"),
            ("a: b: c", 1, "':'"),
            ("'a': 1", 1, "\"'a'\""),
        ],
    )
    def test_what_it_does_not_is_one_error_with_the_line(self, text: str, line: int, got: str) -> None:
        with pytest.raises(RetinaJError) as caught:
            parse(text, "pipeline.config")
        assert str(caught.value).startswith(f"pipeline.config, line {line}: {got} is not expected here")

    @pytest.mark.parametrize("text", ["a{" * 60, "a:[{" * 60, "a<" * 50_000])
    def test_messages_nest_only_so_deep(self, text: str) -> None:
        with pytest.raises(RetinaJError, match="a message nested 51 deep"):
            parse(text, "x")

    def test_long_strings_are_refused(self) -> None:
        with pytest.raises(RetinaJError, match="a string of 10,002 characters"):
            parse(f"a: '{'x' * 10_000}'", "x")

    @pytest.mark.parametrize("text", ["[a", "-", " ", "\\", "'", "a", "a:[", "a:1 ", "#", "a: '\\'"])
    def test_time_grows_with_the_length_alone(self, text: str) -> None:
        started = time.process_time()
        with contextlib.suppress(RetinaJError):
            parse(text * (2**17 // len(text)), "x")
        assert time.process_time() - started < 5  # quadratic time would be minutes


class TestRead:
    def test_a_file_with_a_byte_order_mark(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"\xef\xbb\xbfa: 1\r\n")
        assert plain(read(tmp_path / "a")) == {"a": ["1"]}

    def test_a_file_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(RetinaJError, match="missing"):
            read(tmp_path / "missing")
        (tmp_path / "large").write_bytes(b" " * (2**18 + 1))
        with pytest.raises(RetinaJError, match="larger than 256 KB"):
            read(tmp_path / "large")
        (tmp_path / "latin").write_bytes("a: 'ä'".encode("latin-1"))
        with pytest.raises(RetinaJError, match="not UTF-8"):
            read(tmp_path / "latin")
