"""The command `retinaj info`."""

from __future__ import annotations

from typing import Annotated

import typer

from retinaj.cli.common import LastingConsole
from retinaj.cli.model_options import MODEL_FORMS


def info(
    model: Annotated[str, typer.Argument(help=f"A {MODEL_FORMS}.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything that is known, as JSON.")] = False,
) -> None:
    """Show what a model is: classes, input, training, AP, licence, authors, weights."""
    from rich.markup import escape
    from rich.table import Table

    from retinaj_zoo.info import describe_model

    found = describe_model(model)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    table = Table(box=None, show_header=False)
    for label, text in found.lines():
        table.add_row(label, escape(text))
    LastingConsole().print(table)
