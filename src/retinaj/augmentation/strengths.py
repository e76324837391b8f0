"""Strengths of augmentation as people write them: `rotate=30 blur=1.5 mosaic=0.5`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from retinaj.augmentation.config import AugmentationConfig
from retinaj.errors import RetinaJError

ALL_NAMES = tuple(AugmentationConfig.model_fields)
_NONE = "none"
_SWITCHES = {"on": True, "yes": True, "true": True, "1": True, "off": False, "no": False, "false": False, "0": False}


def parse_strengths(words: Sequence[str], base: AugmentationConfig, names: Sequence[str] = ALL_NAMES) -> AugmentationConfig:
    """Read strengths, each a NAME=VALUE; the word `none` turns everything off, for what follows to turn on.

    Args:
        words: one or many NAME=VALUE in each, with blanks or commas between; of several for one name the last counts.
        base: what the strengths change.
        names: which strengths may be given.

    Raises:
        RetinaJError: quoting what cannot be understood or is out of range, and listing what can be given.

    >>> parse_strengths(["rotate=30 blur=1.5", "flip=off"], AugmentationConfig()).rotate
    30.0
    >>> parse_strengths(["none blur=2"], AugmentationConfig()).scale
    1.0
    """
    values: dict[str, Any] = base.model_dump()
    for word in re.split(r"[\s,;]+", " ".join(words).strip()):
        if word == _NONE:
            values = AugmentationConfig.off().model_dump()
        elif word:
            name, separator, text = word.partition("=")
            name = name.replace("-", "_")
            if not separator or name not in names:
                known = ", ".join(_range(name, base) for name in names)
                raise RetinaJError(
                    f"--augment: {word[:80]!r} is not understood; expected NAME=VALUE, as in 'scale=1.5 blur=2', or "
                    f"'{_NONE}' to turn everything off. The names, with range and default: {known}."
                )
            values[name] = _value(name, text)
    return AugmentationConfig(**values)


def list_strengths(defaults: AugmentationConfig, names: Iterable[str] = ALL_NAMES) -> list[str]:
    """One line for each strength: name, range, default and what it does.

    >>> list_strengths(AugmentationConfig(), ["blur"])
    ['blur=0..10 (0): Gaussian blur, sigma up to this many pixels']
    """
    return [f"{_range(name, defaults)}: {AugmentationConfig.model_fields[name].description}" for name in names]


def strengths_text(config: AugmentationConfig, base: AugmentationConfig) -> str:
    """What to write to get from `base` to `config`; "" if they are the same.

    >>> strengths_text(AugmentationConfig(rotate=30, flip=False), AugmentationConfig())
    'flip=off rotate=30'
    """
    return " ".join(
        f"{name}={_text(getattr(config, name))}" for name in ALL_NAMES if getattr(config, name) != getattr(base, name)
    )


def _value(name: str, text: str) -> float | bool:
    """Checked by the field itself, on its own, so that the message can name the one that is wrong."""
    switch = AugmentationConfig.model_fields[name].annotation is bool
    try:
        value = _SWITCHES[text.lower()] if switch else float(text)
        AugmentationConfig.model_validate({name: value})
    except (KeyError, ValueError, ValidationError) as error:
        raise RetinaJError(f"--augment: {name} is {text[:40]!r}; expected {_limits(name)}.") from error
    return value


def _range(name: str, defaults: AugmentationConfig) -> str:
    return f"{name}={_limits(name, '..')} ({_text(getattr(defaults, name))})"


def _limits(name: str, between: str = " to ") -> str:
    limits = {
        key: getattr(item, key)
        for item in AugmentationConfig.model_fields[name].metadata
        for key in ("ge", "le")
        if hasattr(item, key)
    }
    if not limits:
        return "on|off" if between == ".." else "on or off"
    return f"{limits['ge']:g}{between}{limits['le']:g}"


def _text(value: float | bool) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}"
