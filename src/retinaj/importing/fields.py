"""The fields of a configuration by their dotted names, each with the default that its definition gives it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from retinaj.errors import RetinaJError
from retinaj.importing.text_format import Message, Scalar


@dataclass(frozen=True)
class Fields:
    """A message of a configuration. Every error names the file and the field.

    Attributes:
        message: what it holds.
        file: where it is from.
        path: its dotted name; "" for the whole file.
    """

    message: Message
    file: str
    path: str = ""

    def name(self, field: str) -> str:
        """The dotted name of a field; of the message itself for ""."""
        return ".".join(part for part in (self.path, field) if part)

    def has(self, field: str) -> bool:
        """Whether the field is given."""
        return field in self.message.fields

    def child(self, field: str) -> Fields:
        """A nested message; empty if it is not given.

        Raises:
            RetinaJError: if the field is no message, or given twice.
        """
        value = self._single(field)
        if value is None:
            return Fields(Message(), self.file, self.name(field))
        if isinstance(value, Scalar):
            raise self.wrong(field, repr(value.text), "a message in braces")
        return Fields(value, self.file, self.name(field))

    def text(self, field: str, default: str = "") -> str:
        """A string or a word such as RELU_6."""
        value = self._single(field)
        if isinstance(value, Message):
            raise self.wrong(field, "a message in braces", "one value")
        return default if value is None else value.text

    def flag(self, field: str, *, default: bool = False) -> bool:
        """true or false."""
        text = self.text(field, str(default))
        if text.lower() not in ("true", "false", "t", "f", "1", "0"):
            raise self.wrong(field, repr(text), "true or false")
        return text.lower() in ("true", "t", "1")

    def number(self, field: str, default: float, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        return self._checked(field, self.text(field, repr(default)), low, high)

    def whole(self, field: str, default: int, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self.number(field, default, low, high)
        if value != int(value):
            raise self.wrong(field, f"{value:g}", f"a whole number from {low} to {high}")
        return int(value)

    def numbers(self, field: str, low: float, high: float, most: int) -> tuple[float, ...]:
        """A list of 1 to `most` numbers, each from `low` to `high`."""
        values = self.message.fields.get(field, [])
        if not 1 <= len(values) <= most:
            raise self.wrong(field, f"{len(values)} values", f"1 to {most} numbers")
        return tuple(self._checked(field, v.text if isinstance(v, Scalar) else "{...}", low, high) for v in values)

    def require(self, field: str, found: object, expected: object) -> None:
        """Refuse a setting that RetinaJ has nothing for.

        Raises:
            RetinaJError: if it is not the expected one.
        """
        if found != expected:
            shown = str(expected).lower() if isinstance(expected, bool) else f"{expected}"
            got = str(found).lower() if isinstance(found, bool) else f"{found}"
            raise self.wrong(field, got, shown)

    def wrong(self, field: str, got: str, expected: str) -> RetinaJError:
        """What to raise about a field."""
        return RetinaJError(f"{self.file}: {self.name(field)} is {got}; RetinaJ imports only models in which it is {expected}.")

    def _single(self, field: str) -> Scalar | Message | None:
        values = self.message.fields.get(field, [])
        if len(values) > 1:
            raise RetinaJError(f"{self.file}: {self.name(field)} is given {len(values)} times; expected once.")
        return values[0] if values else None

    def _checked(self, field: str, text: str, low: float, high: float) -> float:
        try:
            value = float(text.rstrip("fF"))
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise self.wrong(field, repr(text), f"a number from {low:g} to {high:g}")
        return value
