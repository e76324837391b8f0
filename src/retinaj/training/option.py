"""What the help of `retinaj train` says of a setting; it is kept with the setting, so that an option is written once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """Marks a field of `TrainingSettings` that `retinaj train` has an option for.

    Attributes:
        text: what the setting does.
        default: what the help says for a default that does not speak for itself, such as None.
        panel: the group of the help that it stands in; None is the first.
        flags: of a setting that is on, off, or left open: "--on-name/--off-name".
    """

    text: str = ""
    default: str | None = None
    panel: str | None = None
    flags: str | None = None
