"""The commands `retinaj fiji install`, `uninstall`, `status` and `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retinaj.cli.common import say, with_plain_errors
from retinaj.counting import counted

app = typer.Typer(
    name="fiji",
    help="Put RetinaJ's commands into the menu of your own Fiji, take them out, and find out what is wrong.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Folder = Annotated[
    Path | None,
    typer.Argument(metavar="[FIJI]", help="Folder of the Fiji, or its launcher. \\[default: looked for where it usually lies]"),
]


def install(fiji: Folder = None) -> None:
    """Put the commands and the example macros into a Fiji. An older version is replaced; files of others are left alone."""
    from retinaj_bridge.fiji.choosing import choose_fiji
    from retinaj_bridge.fiji.installing import install as install_into

    target = choose_fiji(fiji, command="retinaj fiji install", installed=False)
    done = install_into(target)
    before = f", in place of version {done.replaced}" if done.replaced else ""
    say(f"RetinaJ is installed in {done.folder}{before}.")
    for name, new in done.put_aside:
        say(f"Note: somebody had changed {name}; it is called {new} now.")
    for name in done.kept:
        say(f"Note: {done.folder / name} was changed by somebody and stays as it is; delete it to get the new one.")
    say(f'Restart Fiji, and choose Plugins > RetinaJ. If something does not work: retinaj fiji doctor "{target.path}"')


def uninstall(fiji: Folder = None) -> None:
    """Take the commands and the example macros out of a Fiji, except macros that you have changed."""
    from retinaj_bridge.fiji.choosing import choose_fiji
    from retinaj_bridge.fiji.installing import uninstall as uninstall_from

    target = choose_fiji(fiji, command="retinaj fiji uninstall", installed=True)
    done = uninstall_from(target)
    say(f"RetinaJ is no longer in {target.path}: {counted(done.removed, 'file was', 'files were')} removed. Restart Fiji.")
    for name in done.kept:
        say(f"Note: {done.folder / name} was changed by somebody and stays.")
    for name in done.others:
        say(f"Note: {done.folder / name} is not RetinaJ's and stays.")


for _command in (install, uninstall):
    app.command()(with_plain_errors(_command))
