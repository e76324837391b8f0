"""The command `retinaj imagej`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def imagej(
    macro: Annotated[Path | None, typer.Argument(help="Macro to run without a window. \\[default: open the window]")] = None,
    arguments: Annotated[list[str] | None, typer.Argument(help="What the macro gets from getArgument(), one a line.")] = None,
    fiji: Annotated[Path | None, typer.Option(help="Fiji folder to use instead of the embedded ImageJ.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="PyImageJ endpoint to use instead, such as sc.fiji:fiji.")] = None,
) -> None:
    """Run a macro in ImageJ with `RetinaJ Detect...`, or open ImageJ's window with it in the Plugins menu."""
    import retinaj_bridge

    if macro is None:
        retinaj_bridge.open_window(fiji=fiji, endpoint=endpoint)
    else:
        retinaj_bridge.run_macro(macro, arguments or [], fiji=fiji, endpoint=endpoint)
