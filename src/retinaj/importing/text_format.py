"""Protocol buffers in text format, read without their definitions: names, scalars as they are written, nested messages.

google.protobuf can parse the format only into a message that it knows, and the API's definitions are not ours to copy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import text_encoding

from retinaj.errors import RetinaJError
from retinaj.files import require_file

_LARGEST_FILE = 2**18  # bytes; the longest of the API's own has a twentieth
_LONGEST_STRING = 10_000
_DEEPEST = 50
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<name>\[[A-Za-z_][\w./]*\](?=\s*[:{<])|[A-Za-z_]\w*)
      | (?P<number>-?\s*(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]?|inf(?:inity)?\b|nan\b))
      | (?P<mark>[{}<>\[\]:,;])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Scalar:
    """A value as it is written: a number, a word such as true or RELU_6, or the content of a string."""

    text: str
    quoted: bool = False


@dataclass(frozen=True)
class Message:
    """The fields of a message by their names, each with all its values in their order."""

    fields: dict[str, list[Scalar | Message]] = field(default_factory=dict[str, "list[Scalar | Message]"])


def read(path: Path) -> Message:
    """Read a file in text format. Every field is kept, known to anybody or not.

    Raises:
        RetinaJError: if the file is missing, too large, or not such text; with the line.
    """
    require_file(path, "a protocol buffer in text format")
    if path.stat().st_size > _LARGEST_FILE:
        raise RetinaJError(f"{path} is larger than {_LARGEST_FILE // 2**10} KB; that is not a configuration.")
    try:
        return parse(path.read_text(encoding="utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        raise RetinaJError(f"{path} is not a configuration: it is not UTF-8 text.") from error


def parse(text: str, origin: str) -> Message:
    """Parse text format.

    Args:
        text: the text.
        origin: what it is called in messages.

    Raises:
        RetinaJError: naming the line.

    >>> parse("model { ssd { num_classes: 3 ratios: [1.0, .5] type: 'a' } }", "x").fields["model"][0].fields["ssd"]
    [Message(fields={'num_classes': [Scalar(text='3', quoted=False)], 'ratios': [Scalar(text='1.0', quoted=False),
    Scalar(text='.5', quoted=False)], 'type': [Scalar(text='a', quoted=True)]})]
    """
    return _Parser(text, origin).message("", 0)


class _Parser:
    def __init__(self, text: str, origin: str) -> None:
        self._text, self._origin = text, origin
        self._reads = self._split()
        self._kind, self._read, self._at = "", "", 0
        self._next()

    def _split(self) -> Iterator[tuple[str, str, int]]:
        at = 0
        while at < len(self._text):
            found = _TOKEN.match(self._text, at)
            if found is None:
                raise self._wrong(f"{self._text[at : at + 20].splitlines()[0]!r}", at)
            if found.lastgroup != "space":
                yield found.lastgroup or "", found[0], at
            at = found.end()

    def _next(self) -> str:
        taken = self._read
        self._kind, self._read, self._at = next(self._reads, ("end", "", len(self._text)))
        return taken

    def _wrong(self, got: str, at: int) -> RetinaJError:
        line = self._text.count("\n", 0, at) + 1
        return RetinaJError(f"{self._origin}, line {line}: {got} is not expected here; is it a configuration in text format?")

    def _unexpected(self) -> RetinaJError:
        return self._wrong("the end of the file" if self._kind == "end" else repr(self._read[:40]), self._at)

    def message(self, closing: str, depth: int) -> Message:
        """Fields up to the closing mark, or to the end of the text."""
        if depth > _DEEPEST:
            raise self._wrong(f"a message nested {depth} deep", self._at)
        message = Message()
        while self._read != closing:
            if self._kind != "name":
                raise self._unexpected()
            values = message.fields.setdefault(self._next(), [])
            colon = self._read == ":"
            if colon:
                self._next()
            if self._read == "[" and colon:
                self._list(values, depth)
            else:
                values.append(self._value(depth, scalar=colon))
            if self._read in (",", ";"):
                self._next()
        self._next()
        return message

    def _list(self, values: list[Scalar | Message], depth: int) -> None:
        self._next()
        while self._read != "]":
            values.append(self._value(depth, scalar=True))
            if self._read != "]":
                if self._read != ",":
                    raise self._unexpected()
                self._next()
        self._next()

    def _value(self, depth: int, *, scalar: bool) -> Scalar | Message:
        if self._kind == "mark" and self._read in ("{", "<"):
            return self.message("}" if self._next() == "{" else ">", depth + 1)
        if not scalar or self._kind not in ("string", "name", "number"):
            raise self._unexpected()
        if self._kind != "string":
            return Scalar(self._next().replace(" ", ""))
        parts: list[str] = []
        while self._kind == "string":  # pieces side by side are one string
            if len(self._read) > _LONGEST_STRING:
                raise self._wrong(f"a string of {len(self._read):,} characters", self._at)
            parts.append(text_encoding.CUnescape(self._next()[1:-1]).decode("utf-8", "replace"))
        return Scalar("".join(parts), quoted=True)
