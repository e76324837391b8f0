"""The fields of a request as values. What came over the wire is checked here, whatever sent it."""

from __future__ import annotations

from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj_bridge.wire import Fields

_LONGEST_PATH = 32_767  # Windows' limit, the highest of all


def text(fields: Fields, name: str) -> str:
    """A field as text; "" if it is not there.

    Raises:
        RetinaJError: if it is not UTF-8, or has a character that no text has.
    """
    try:
        value = fields.get(name, b"").decode()
    except UnicodeDecodeError as error:
        raise RetinaJError(f"{name} is not a text in UTF-8.") from error
    if "\0" in value:
        raise RetinaJError(f"{name} has a character in it that belongs to no text.")
    return value


def path(fields: Fields, name: str) -> Path:
    """A field as a path, with the home folder for `~`.

    Raises:
        RetinaJError: if it is empty, or cannot be a path.
    """
    value = text(fields, name).strip()
    if not value:
        raise RetinaJError(f"{name} is missing: give a path, {name}=[/path/of/the/{name}].")
    if len(value) > _LONGEST_PATH:
        raise RetinaJError(f"{name} is longer than any path: {value[:60]}...")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:  # ~somebody
        raise RetinaJError(f"{name} is {value}, but there is no such user on this computer.") from error


def fraction(fields: Fields, name: str) -> float | None:
    """A field as a number above 0 and at most 1; None if it is not there, or empty.

    Raises:
        RetinaJError: if it is anything else.
    """
    value = text(fields, name).strip()
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not 0 < number <= 1:
        raise RetinaJError(f"{name} is {value[:50]}; expected a number above 0 and at most 1, such as 0.4.")
    return number
