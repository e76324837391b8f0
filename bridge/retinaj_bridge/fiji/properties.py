"""Java's .properties files, as the plugin reads them: lines `name=value`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_MAX_BYTES = 100_000
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def properties_text(values: Mapping[str, str]) -> str:
    r"""The text of a file with these values; ASCII, so that it does not matter in which encoding Java reads it.

    >>> properties_text({"python": "C:\\Users\\Jörg\\python.exe"})
    'python=C\\:\\\\Users\\\\J\\u00f6rg\\\\python.exe\n'
    """
    return "".join(f"{name}={_escape(value)}\n" for name, value in values.items())


def read_properties(path: Path) -> dict[str, str]:
    r"""The values in a file that `properties_text` or Java made; lines without `=` are passed over.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as stream:
        text = stream.read(_MAX_BYTES).decode("latin-1")
    pairs = (re.match(r"\s*([\w.]+)\s*=\s*(.*)", line) for line in text.splitlines())
    return {pair[1]: _unescape(pair[2]) for pair in pairs if pair}


def _escape(value: str) -> str:
    text = "".join(f"\\{letter}" if letter in "\\:=#!" else letter for letter in value)
    if text.startswith(" "):
        text = "\\" + text
    units = memoryview(text.encode("utf-16-be", "surrogatepass")).cast("B")
    codes = [units[at] << 8 | units[at + 1] for at in range(0, len(units), 2)]
    return "".join(chr(code) if 32 <= code < 127 else f"\\u{code:04x}" for code in codes)


def _unescape(value: str) -> str:
    def letter(found: re.Match[str]) -> str:
        return chr(int(found[1], 16)) if found[1] else _ESCAPES.get(found[2], found[2])

    text = re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", letter, value)
    return text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")
