"""The command `retinaj augment`: copies of a training set on disk, and a page that shows what augmentation does."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from retinaj.augmentation import AugmentationConfig
from retinaj.augmentation.strengths import ALL_NAMES, parse_strengths
from retinaj.cli.annotation_options import Classes, ClassFrom, Columns, Format, reading
from retinaj.cli.common import Annotations, Images, Names, Validation, console, progress_bar, say, say_all, validation_choice
from retinaj.cli.plane_options import Axes, Channels, Series, Slices, change_planes, given_planes
from retinaj.counting import counted
from retinaj.errors import RetinaJError

# Flips and turns are what the copies are made by, and a mosaic is of windows.
_OF_COPIES = tuple(name for name in ALL_NAMES if name not in ("flip", "quarter_turns", "mosaic"))


def augment(
    images: Images,
    annotations: Annotations,
    output: Annotated[Path | None, typer.Option(help="Folder to make, with the training images and their copies.")] = None,
    times: Annotated[int, typer.Option(help="How many times as many training images OUTPUT has.", min=2, max=8)] = 2,
    preview: Annotated[
        Path | None, typer.Option(help="HTML page to make: each kind of change, weak and strong, and windows of training.")
    ] = None,
    names: Names = None,
    validation: Validation = None,
    augment: Annotated[
        list[str] | None,
        typer.Option(
            help="Strengths, as in 'rotate=30 blur=1.5': `retinaj train --help` lists them. The copies in OUTPUT are flipped "
            "and turned only, unless some are given; the page shows them as a change of the defaults of training."
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Of everything random, the draw of validation images too.", min=0, max=2**31 - 1)
    ] = 0,
    format_name: Format = None,
    classes: Classes = None,
    columns: Columns = None,
    class_from: ClassFrom = "name",
    axes: Axes = None,
    series: Series = None,
    channels: Channels = None,
    z: Slices = None,
) -> None:
    """Multiply training images by flipped and turned copies, or show what augmentation does to them.

    `retinaj train` varies its images by itself, anew in each epoch: it needs no copies. They are for other programs.
    """
    from retinaj.files import require_absent
    from retinaj.images.plane_choice import PlaneChoice
    from retinaj.training.sets import load_sets
    from retinaj.training.settings import TrainingSettings

    if output is None and preview is None:
        raise RetinaJError("Give --output FOLDER for copies of the images, --preview PAGE.html to see what varies, or both.")
    words = augment or []
    of_copies = parse_strengths(words, AugmentationConfig.off(), _OF_COPIES) if output is not None else None
    of_windows = parse_strengths(words, AugmentationConfig())
    for path in (output, preview):
        if path is not None:
            require_absent(path)
    planes = change_planes(PlaneChoice(), given_planes(axes, series, channels, z))
    share, listed = validation_choice(validation)
    share = TrainingSettings().validation if share is None else share
    training, kept = load_sets(
        images,
        annotations,
        names=names,
        validation=listed,
        share=share,
        seed=seed,
        reading=reading(format_name, classes, columns, class_from),
        planes=planes,
    )
    say_all("Note", (*training.notes, *kept.notes))

    if preview is not None:
        from retinaj.report.augmentation import write_preview

        with console.status("drawing the page"):
            write_preview(preview, training, kept, config=of_windows, seed=seed)
        say(f"Page: {preview}")
    if output is not None and of_copies is not None:
        from retinaj.augmentation.multiply import ANNOTATIONS_FOLDER, IMAGES_FOLDER, TRAINING_LIST, VALIDATION_LIST, multiply

        with progress_bar("copying") as progress:
            done = multiply(training, kept, output, times=times, config=of_copies, seed=seed, progress=progress)
        dropped = f" ({done.dropped} objects that came to lie outside were left out)" if done.dropped else ""
        were = "is as it was" if done.validation_images == 1 else "are as they were"
        say(
            f"{counted(len(training), 'training image')} became {done.images:,} with {counted(done.boxes, 'box')}{dropped}; "
            f"{counted(done.validation_images, 'validation image')} {were}. All are in {output}."
        )
        places = [
            shlex.quote(str(output / name)) for name in (IMAGES_FOLDER, ANNOTATIONS_FOLDER, TRAINING_LIST, VALIDATION_LIST)
        ]
        say("To train on them: retinaj train {} {} --names {} --validation {} --output MODEL".format(*places))
        say("Note: `retinaj train` does not need the copies: it varies its images by itself, anew in each epoch.")
