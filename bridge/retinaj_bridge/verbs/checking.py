"""What verbs are sent, checked: it comes from another process, and may be anything."""

from __future__ import annotations

import math
from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj_bridge.wire import Fields

_LONGEST_TEXT = 4000


def text_of(fields: Fields, name: str) -> str:
    """A text without spaces around it; "" if the field is not there.

    Raises:
        RetinaJError: if it is not UTF-8, has a zero character, or is longer than any option.
    """
    data = fields.get(name, b"")
    try:
        text = data.decode().strip()
    except UnicodeDecodeError as error:
        raise RetinaJError(f"The {name} that came from ImageJ is not a text.") from error
    if "\0" in text or len(text) > _LONGEST_TEXT:
        raise RetinaJError(f"The {name} that came from ImageJ is not an option: {text[:60]!r}... has {len(text):,} characters.")
    return text


def flag_of(fields: Fields, name: str) -> bool:
    """Whether a flag is set."""
    return text_of(fields, name) == "1"


def path_of(fields: Fields, name: str, what: str) -> Path:
    """A path, made absolute.

    Args:
        fields: that were sent.
        name: of the field.
        what: is missing if it is empty, for the error.

    Raises:
        RetinaJError: if it is empty.
    """
    text = text_of(fields, name)
    if not text:
        raise RetinaJError(f"{what} is missing: give the option {name}=[...].")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:  # ~somebody, who is not known here
        raise RetinaJError(f"{name} is {text!r}: {error}.") from error


def number_of(fields: Fields, name: str, otherwise: float | None) -> float | None:
    """A finite number, or `otherwise` if the field is empty.

    Raises:
        RetinaJError: quoting what is none.
    """
    text = text_of(fields, name)
    if not text:
        return otherwise
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RetinaJError(f"{name} is {text[:60]!r}; expected a number.")
    return value


def words_of(fields: Fields, name: str, choices: tuple[str, ...]) -> str:
    """One of several words, of which the first is the default.

    Raises:
        RetinaJError: quoting what is none of them.
    """
    text = text_of(fields, name) or choices[0]
    if text not in choices:
        raise RetinaJError(f"{name} is {text[:60]!r}; expected one of {', '.join(choices)}.")
    return text
