"""The commands `retinaj fiji install`, `uninstall`, `status` and `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retinaj.cli.common import LastingConsole, progress_bar, say, with_plain_errors
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
    from retinaj_bridge.fiji.fiji_checks import other_jars
    from retinaj_bridge.fiji.installing import install as install_into

    target = choose_fiji(fiji, command="retinaj fiji install", installed=False)
    done = install_into(target)
    before = f", in place of version {done.replaced}" if done.replaced else ""
    say(f"RetinaJ is installed in {done.folder}{before}.")
    for name, new in done.put_aside:
        say(f"Note: somebody had changed {name}; it is called {new} now.")
    for name in done.kept:
        say(f"Note: {done.folder / name} was changed by somebody and stays as it is; delete it to get the new one.")
    for jar in other_jars(target):
        say(f"Note: {jar} is another copy of the commands, which Fiji may take instead: move it away.")
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
        say(f"Note: {done.folder / name} is not as RetinaJ installed it, and stays.")


def status(fiji: Folder = None) -> None:
    """Tell whether a Fiji has the commands, of which version, and which Python they start. The exit status is 1 if not."""
    from retinaj_bridge.fiji.choosing import choose_fiji
    from retinaj_bridge.fiji.status import status as status_of

    found = status_of(choose_fiji(fiji, command="retinaj fiji status", installed=True))
    say(f"Fiji:     {found.fiji.path} (ImageJ {found.imagej or 'of an unknown version'})")
    say(f"RetinaJ:  {f'version {found.installed} is installed' if found.installed else 'not installed'}")
    python = found.python or "not known"
    say(f"Python:   {python}{'' if found.python_exists or found.python is None else ' is not there any more'}")
    say(f"Worker:   {found.worker or 'does not run; a command in Fiji starts it'}")
    if not (found.installed and found.python_exists):
        say(f'Put it right: retinaj fiji install "{found.fiji.path}"')
        raise typer.Exit(1)


def doctor(fiji: Folder = None) -> None:
    """Find out why a command in Fiji does not work: look at everything, start the worker. The exit status is 1 on problems."""
    from rich.table import Table
    from rich.text import Text

    from retinaj_bridge.fiji.choosing import choose_fiji
    from retinaj_bridge.fiji.doctor import examine
    from retinaj_bridge.fiji.findings import Grade

    target = choose_fiji(fiji, command="retinaj fiji doctor", installed=True)
    with progress_bar("looking"):
        findings = list(examine(target))
    table = Table("", "what", "found", "what to do", title="RetinaJ in Fiji", title_justify="left")
    colours = {Grade.GOOD: "green", Grade.PROBLEM: "bold red", Grade.UNTRIED: "yellow"}
    for finding in findings:
        grade = Text(finding.grade.value, colours[finding.grade])
        table.add_row(grade, Text(finding.what), Text(finding.found), Text(finding.advice))
    LastingConsole().print(table)
    problems = sum(finding.grade is Grade.PROBLEM for finding in findings)
    if problems:
        say(f"{counted(problems, 'problem')}, of {len(findings)} things looked at.")
        raise typer.Exit(1)
    say(f"All {len(findings)} things looked at are as they should be.")


for _command in (install, uninstall, status, doctor):
    app.command()(with_plain_errors(_command))
