"""The options of `retinaj package --from-onnx`: how another program's detector is to be understood."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from retinaj.errors import RetinaJError

_PANEL = "Detectors of other programs"
_LARGEST_LIST = 2**20  # bytes
DEFAULT_RANGE = "0,1"
DEFAULT_MAX_BOXES = 300
_DEFAULTS = {"pixel_range": DEFAULT_RANGE, "max_boxes": DEFAULT_MAX_BOXES}  # of the others: None

FromOnnx = Annotated[
    Path | None,
    typer.Option(
        help="ONNX file of another program's detector, in place of MODEL. Needs --outputs, --image and --metadata.",
        rich_help_panel=_PANEL,
    ),
]
ForeignOutputs = Annotated[
    str | None,
    typer.Option(
        help="Form of its outputs: torchvision, ultralytics, or by their names boxes=A,labels=B,scores=C, or rows=A, or raw=A.",
        rich_help_panel=_PANEL,
    ),
]
ForeignClasses = Annotated[
    str | None,
    typer.Option(
        help="Class names with commas between, or a text file with one a line. \\[default: those in the file]",
        rich_help_panel=_PANEL,
    ),
]
ForeignFirstLabel = Annotated[
    int | None,
    typer.Option(help="Label that it gives to the first class. \\[default: 1 for boxes, 0 for others]", rich_help_panel=_PANEL),
]
ForeignRange = Annotated[
    str, typer.Option(help="Values that it expects for black and white, such as 0,255.", rich_help_panel=_PANEL)
]
ForeignMean = Annotated[
    str | None,
    typer.Option(
        help="These are then subtracted from the channels, such as 0.485,0.456,0.406. \\[default: nothing]",
        rich_help_panel=_PANEL,
    ),
]
ForeignStd = Annotated[
    str | None,
    typer.Option(
        help="Then each channel is divided by these, such as 0.229,0.224,0.225. \\[default: nothing]", rich_help_panel=_PANEL
    ),
]
ForeignMaxBoxes = Annotated[
    int,
    typer.Option(
        help="Most boxes in an image, unless the detector itself gives fewer.",
        min=1,
        max=10_000,
        rich_help_panel=_PANEL,
    ),
]
ForeignMultiple = Annotated[
    int | None,
    typer.Option(
        help="Pad images to multiples of so many pixels, if it takes any size. \\[default: 1 for boxes, 32 for others]",
        min=1,
        max=4096,
        rich_help_panel=_PANEL,
    ),
]


def refuse_foreign_options(**options: object) -> None:
    """Refuse options that do nothing without --from-onnx.

    Args:
        options: by their Python names, as they were given.

    Raises:
        RetinaJError: naming the first that is not at its default.

    >>> refuse_foreign_options(mean=None, max_boxes=300)
    """
    for name, value in options.items():
        if value != _DEFAULTS.get(name):
            raise RetinaJError(
                f"--{name.replace('_', '-')} is for detectors of other programs: give the ONNX file with --from-onnx, "
                "or leave it out."
            )


def class_list(value: str | None) -> tuple[str, ...]:
    """Class names from --classes; none if it was not given.

    Raises:
        RetinaJError: if one is empty or there twice, or the file is not text.

    >>> class_list("cell, dividing cell")
    ('cell', 'dividing cell')
    """
    if value is None:
        return ()
    path = Path(value)
    names = [name.strip() for name in value.split(",")]
    if len(names) == 1 and path.is_file():
        if path.stat().st_size > _LARGEST_LIST:
            raise RetinaJError(f"{path} has {path.stat().st_size:,} bytes; expected class names, one a line.")
        try:
            names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except UnicodeDecodeError as error:
            raise RetinaJError(f"{path} is not UTF-8 text; expected class names, one a line.") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or not all(names) or twice:
        wrong = f"names {twice[0]!r} twice" if twice and twice[0] else "has an empty name"
        raise RetinaJError(f"--classes {wrong}; expected different names with commas between, or a text file of them.")
    return tuple(names)


def numbers(option: str, value: str | None) -> tuple[float, ...]:
    """Numbers with commas between; none if the option was not given.

    Raises:
        RetinaJError: naming the option, if one is not a finite number, or is 0 and divided by.

    >>> numbers("mean", "0.5, 0.4,0.3")
    (0.5, 0.4, 0.3)
    """
    if value is None:
        return ()
    try:
        found = tuple(float(part) for part in value.split(","))
    except ValueError:
        found = (math.nan,)
    if not all(math.isfinite(number) for number in found) or (option == "std" and 0 in found):
        raise RetinaJError(f"--{option} is {value!r}; expected numbers with commas between, such as 0.485,0.456,0.406.")
    return found


def pixel_values(value: str) -> tuple[float, float]:
    """Black and white from --pixel-range.

    Raises:
        RetinaJError: if they are not two different numbers.

    >>> pixel_values("0,255")
    (0.0, 255.0)
    """
    found = numbers("pixel-range", value)
    if len(found) != 2 or found[0] == found[1]:
        raise RetinaJError(f"--pixel-range is {value!r}; expected the values of black and white, such as 0,1 or 0,255.")
    return found[0], found[1]
