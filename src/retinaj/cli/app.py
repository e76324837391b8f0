"""The `retinaj` command. Only this folder may import all three packages; each command imports what it needs when called."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import typer

from retinaj.cli.augment import augment
from retinaj.cli.check import check
from retinaj.cli.common import with_plain_errors
from retinaj.cli.convert import convert
from retinaj.cli.demo import demo, example_data
from retinaj.cli.describe import describe
from retinaj.cli.evaluate import evaluate
from retinaj.cli.fiji import app as fiji
from retinaj.cli.imagej import imagej
from retinaj.cli.import_tf2 import import_tf2
from retinaj.cli.info import info
from retinaj.cli.package import metadata, package
from retinaj.cli.predict import predict
from retinaj.cli.publish import publish
from retinaj.cli.split import split
from retinaj.cli.train import train
from retinaj.cli.tune import tune
from retinaj.interruption import handle_interruptions

if TYPE_CHECKING:
    from retinaj.training.start import StartingPoint


def _starting_point(model: str) -> StartingPoint:
    """The weights of a model folder or a package, for training to start from."""
    from retinaj_zoo.starting_point import starting_point

    return starting_point(model)


app = typer.Typer(
    name="retinaj",
    help="RetinaNet detection for microscopy: train, evaluate, predict, package for the BioImage Model Zoo, use in ImageJ.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command(context_settings={"obj": _starting_point})(with_plain_errors(train))
for _command in (
    tune,
    check,
    describe,
    split,
    convert,
    augment,
    evaluate,
    predict,
    import_tf2,
    info,
    package,
    metadata,
    publish,
    imagej,
    demo,
    example_data,
):
    app.command()(with_plain_errors(_command))
app.add_typer(fiji)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a file name that the terminal cannot show must not end a run
    handle_interruptions()
    app()
