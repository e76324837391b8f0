"""Options of all commands that read annotations: how to read them, where the files leave it open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from retinaj.annotations import FORMATS, Reading
from retinaj.errors import RetinaJError

_PANEL = "Reading annotations"

Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help=f"Of the annotations: {', '.join(each.name for each in FORMATS)}. \\[default: by their content]",
        rich_help_panel=_PANEL,
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        help="File with the names of the classes, where another file has them (data.yaml, classes.txt, label_map.pbtxt). "
        "\\[default: found beside the annotations]",
        rich_help_panel=_PANEL,
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(help='Of a table: "label=cell type, x_min=left". \\[default: by their names]', rich_help_panel=_PANEL),
]
ClassFrom = Annotated[
    str,
    typer.Option(
        help="Where an ImageJ ROI has its class: name, group, property:KEY, or a regular expression with one group.",
        rich_help_panel=_PANEL,
    ),
]


def reading(format_name: str | None, classes: Path | None, columns: str | None, class_from: str) -> Reading:
    """The options as one thing.

    Raises:
        RetinaJError: if `columns` is not written as pairs.
    """
    return Reading(format=format_name, classes=classes, columns=_pairs(columns), class_from=class_from)


def _pairs(text: str | None) -> Mapping[str, str]:
    pairs: dict[str, str] = {}
    for part in [] if text is None else text.split(","):
        name, separator, column = (piece.strip() for piece in part.partition("="))
        if not (name and separator and column):
            raise RetinaJError(f'--columns is {text!r}; expected pairs such as "label=cell type, x_min=left".')
        pairs[name] = column
    return pairs
