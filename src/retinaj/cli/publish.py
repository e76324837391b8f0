"""The command `retinaj publish`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from retinaj.cli.common import say
from retinaj.errors import RetinaJError


def publish(
    package: Annotated[Path, typer.Argument(help="Zip file that `retinaj package` made.")],
    token: Annotated[
        str | None,
        typer.Option(
            help="Your upload token for bioimage.io. \\[default: the environment variable BIOIMAGEIO_HYPHA_UPLOAD_TOKEN]"
        ),
    ] = None,
    check_only: Annotated[bool, typer.Option("--check-only", help="Only go through the checklist; nothing is sent.")] = False,
    by_hand: Annotated[
        bool, typer.Option("--by-hand", help="Say how to upload the package on the zoo's web page; nothing is sent.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Upload without asking for a confirmation.")] = False,
) -> None:
    """Go through the BioImage Model Zoo's checklist on this computer, then upload a package for review."""
    from retinaj_zoo.checklist import zoo_checklist
    from retinaj_zoo.publishing import TOKEN_STEPS, TOKEN_VARIABLE, page_steps, upload_package

    say(f"Going through the zoo's checklist with {package} …")
    items = zoo_checklist(package)
    for item in items:
        say(f"{item.level:>6}  {item.subject}: {item.detail}")
    musts = sum(item.level == "must" for item in items)
    if musts:
        raise RetinaJError(f"{musts} of these must be changed before the zoo can take {package}; nothing was sent.")
    if check_only:
        return
    if by_hand:
        for number, step in enumerate(page_steps(package), 1):
            say(f"{number}. {step}")
        return
    token = token or os.environ.get(TOKEN_VARIABLE)
    if not token:
        for number, step in enumerate(TOKEN_STEPS, 1):
            say(f"{number}. {step}")
        raise RetinaJError(
            f"{TOKEN_VARIABLE} is not set and --token not given; nothing was sent. The page needs none: --by-hand."
        )
    if not (yes or typer.confirm(f"Upload {package} to bioimage.io, where it becomes public after review?")):
        raise RetinaJError("Nothing was sent.")
    say(f"In review, as a draft: {upload_package(package, token, say)}")
