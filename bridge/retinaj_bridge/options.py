"""The options of "RetinaJ Detect...": one reading for macros and for the dialog, and the writing for the recorder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj.prediction.detector import DEFAULT_THRESHOLD, check_fraction

# ImageJ finds an option by the end of its name, so no name may be the end of another.
_VALUES = ("model", "threshold", "overlap", "channel")
_FLAGS = ("replace",)
_USAGE = 'run("RetinaJ Detect...", "model=[/path/of/the/model] threshold=0.40 overlap=0.50")'


@dataclass(frozen=True)
class DetectOptions:
    """What to detect with, and where the boxes go.

    Attributes:
        model: a model folder or a package.
        threshold: the lowest score that is kept, above 0 up to 1.
        overlap: NMS drops the lower-scored of two boxes of a class whose IoU is above it; None takes the model's own.
        channel: the channel to search, from 1; None takes all channels together.
        replace: empty the ROI Manager and the Results table first, instead of adding to them.
    """

    model: Path
    threshold: float = DEFAULT_THRESHOLD
    overlap: float | None = None
    channel: int | None = None
    replace: bool = False


def parse_options(text: str, variable: Callable[[str], str | None] = lambda name: None) -> DetectOptions:
    """Read the second argument of ImageJ's macro function `run`.

    Args:
        text: "model=[...] threshold=0.40 overlap=0.50 channel=1 replace"; only the model is required. A value with
            spaces is in brackets or single quotes; a value &name is the macro's variable of that name.
        variable: gives the value of a macro variable, or None if there is none of that name.

    Raises:
        RetinaJError: for an unknown, repeated or malformed option, quoting it; or without a model.

    >>> parse_options("model=[/my models/cells] threshold=0.6")
    DetectOptions(model=...Path('/my models/cells'), threshold=0.6, overlap=None, channel=None, replace=False)
    """
    given: dict[str, str] = {}
    for key, value in _split(text):
        if key in given:
            raise RetinaJError(f"The option {key} is given twice; give it once.")
        if key in _FLAGS and value is None:
            given[key] = ""
        elif key in _VALUES and value is not None:
            given[key] = _resolve(key, value, variable)
        elif key in _VALUES:
            raise RetinaJError(f"The option {key} has no value; write {key}=..., as in {_USAGE}.")
        elif key in _FLAGS:
            raise RetinaJError(f"The option {key} takes no value but got {value!r}; write just {key}, or leave it out.")
        else:
            raise RetinaJError(
                f"RetinaJ Detect... has no option {key!r}; it knows {', '.join((*_VALUES, *_FLAGS))}. "
                f"A path with spaces goes into brackets, as in {_USAGE}."
            )
    return make_options(
        model=given.get("model", ""),
        threshold=given.get("threshold", str(DEFAULT_THRESHOLD)),
        overlap=given.get("overlap"),
        channel=given.get("channel", ""),
        replace="replace" in given,
    )


def make_options(
    *, model: str, threshold: str, overlap: str | None = None, channel: str = "", replace: bool = False
) -> DetectOptions:
    """Check the options as they were typed.

    Raises:
        RetinaJError: quoting the first that is missing, not a number or out of range.

    >>> make_options(model="/m", threshold="abc")
    Traceback (most recent call last):
    retinaj.errors.RetinaJError: threshold is 'abc'; expected a number such as 0.4.
    """
    if not model.strip():
        raise RetinaJError(f"The model is missing; name a model folder or a package, as in {_USAGE}.")
    return DetectOptions(
        model=Path(model.strip()).expanduser(),
        threshold=_fraction("threshold", threshold),
        overlap=None if overlap is None else _fraction("overlap", overlap),
        channel=_channel(channel),
        replace=replace,
    )


def recorded(options: DetectOptions) -> list[tuple[str, str | None]]:
    """The options as ImageJ's recorder writes them: (name, value) in their order, value None for a flag.

    >>> recorded(DetectOptions(Path("m"), overlap=0.5))
    [('model', '[m]'), ('threshold', '0.40'), ('overlap', '0.50')]
    """
    path = str(options.model)
    # Brackets may nest in a value but must be balanced; quotes take the others.
    value = f"[{path}]" if _closing_bracket(f"[{path}]") == len(path) + 1 else f"'{path}'"
    pairs: list[tuple[str, str | None]] = [
        ("model", value),
        ("threshold", _number(options.threshold)),
    ]
    if options.overlap is not None:
        pairs.append(("overlap", _number(options.overlap)))
    if options.channel is not None:
        pairs.append(("channel", str(options.channel)))
    if options.replace:
        pairs.append(("replace", None))
    return pairs


def _split(text: str) -> list[tuple[str, str | None]]:
    """(key, value or None) of each option, as ImageJ's own `Macro.getValue` would find them."""
    pairs: list[tuple[str, str | None]] = []
    rest = text.strip()
    while rest:
        length = next((at for at, letter in enumerate(rest) if letter in "= "), len(rest))
        key, rest = rest[:length].lower(), rest[length:]
        value = None
        if rest.startswith("="):
            value, rest = _take_value(key, rest[1:])
        pairs.append((key, value))
        rest = rest.lstrip()
    return pairs


def _take_value(key: str, text: str) -> tuple[str, str]:
    """The value at the beginning of `text`, and what follows it."""
    if text[:1] not in ("[", "'"):
        value, _, rest = text.partition(" ")
        return value, rest
    end = _closing_bracket(text) if text[0] == "[" else text.find("'", 1)
    if end < 0:
        raise RetinaJError(f"The value of {key} begins with {text[0]} and does not end: {text!r}.")
    return text[1:end], text[end + 1 :]


def _closing_bracket(text: str) -> int:
    """Where the bracket closes that `text` begins with, or -1."""
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if depth == 0:
            return at
    return -1


def _resolve(key: str, value: str, variable: Callable[[str], str | None]) -> str:
    if not value.startswith("&"):
        return value
    found = variable(value[1:])
    if found is None:
        raise RetinaJError(f"{key} is {value}, but the macro has no variable {value[1:]!r}.")
    return found


def _fraction(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        hint = " (with a point, not a comma)" if "," in text else ""
        raise RetinaJError(f"{name} is {text!r}; expected a number such as 0.4{hint}.") from None
    check_fraction(name, value)
    return value


def _channel(text: str) -> int | None:
    if not text.strip():
        return None
    # A macro variable that holds 2 arrives as 2.0000.
    number = float(text) if text.replace(".", "", 1).isdigit() else 0.0
    if number < 1 or not number.is_integer():
        raise RetinaJError(f"channel is {text!r}; expected the number of a channel, from 1.")
    return int(number)


def _number(value: float) -> str:
    """With two digits as ImageJ shows it, or more where two would change the value."""
    return f"{value:.2f}" if float(f"{value:.2f}") == value else repr(value)
