"""Which weight formats a package holds, and which of them came from which."""

from __future__ import annotations

from collections.abc import Iterable

from retinaj.errors import RetinaJError

# In the order in which one is made from another: bioimage.io wants one original, and a parent for each of the others.
WEIGHT_FORMATS = ("keras_v3", "tensorflow_saved_model_bundle", "onnx")
REQUIRED_FORMAT = "onnx"

# The newest operator set that JDLL, and so deepImageJ, reads.
ONNX_OPSET = 18


def choose_formats(names: Iterable[str]) -> tuple[str, ...]:
    """The formats that were asked for, each once, in the order of `WEIGHT_FORMATS`.

    Args:
        names: of formats; ONNX has to be one of them, because RetinaJ itself, in Python and in ImageJ, runs packages on it.

    Raises:
        RetinaJError: for a name that is no format, or without ONNX.

    >>> choose_formats(["onnx", "keras_v3", "onnx"])
    ('keras_v3', 'onnx')
    """
    asked = set(names)
    for name in sorted(asked - set(WEIGHT_FORMATS)):
        raise RetinaJError(
            f"--weights names {name!r}; expected one or more of {', '.join(WEIGHT_FORMATS)}, with commas between."
        )
    if REQUIRED_FORMAT not in asked:
        others = ", ".join(name for name in WEIGHT_FORMATS if name != REQUIRED_FORMAT)
        raise RetinaJError(
            f"--weights lacks {REQUIRED_FORMAT}: RetinaJ, in Python and in ImageJ, runs packages on their ONNX weights. "
            f"Add {REQUIRED_FORMAT}; the others ({others}) may be left out."
        )
    return tuple(name for name in WEIGHT_FORMATS if name in asked)


def parent_of(name: str, formats: tuple[str, ...]) -> str | None:
    """The format that the zoo shall take for the origin of `name`, or None if that is the original itself.

    >>> parent_of("onnx", ("keras_v3", "onnx")), parent_of("onnx", ("onnx",))
    ('keras_v3', None)
    """
    return None if name == formats[0] else formats[0]
