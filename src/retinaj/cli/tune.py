"""The command `retinaj tune`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from retinaj.augmentation import AugmentationConfig
from retinaj.augmentation.strengths import parse_strengths
from retinaj.cli.annotation_options import Classes, ClassFrom, Columns, Format, reading
from retinaj.cli.common import Annotations, Images, Names, Validation, console, validation_choice
from retinaj.cli.plane_options import Axes, Channels, Series, Slices, change_planes, given_planes
from retinaj.cli.setting_options import NONE_GIVEN, GivenSettings, checked_settings, with_settings
from retinaj.errors import RetinaJError
from retinaj.images.plane_choice import AS_STORED

_MOST_MINUTES = 100_000  # as for `retinaj train --minutes`


@partial(with_settings, without=("minutes", "epochs"))
def tune(
    images: Images,
    annotations: Annotations,
    output: Annotated[Path, typer.Option(help="Folder to make: the study, with its page, its database and the best model.")],
    names: Names = None,
    validation: Validation = None,
    trials: Annotated[int | None, typer.Option(help="How many trainings to compare. \\[default: 20]")] = None,
    trial_minutes: Annotated[float | None, typer.Option(help="Train about this long in each. \\[default: 10]")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the study in OUTPUT; --trials may be higher than before.")
    ] = False,
    given: GivenSettings = NONE_GIVEN,
    augment: Annotated[
        list[str] | None,
        typer.Option(help="How training windows vary: `retinaj train --help` lists the names. No strength is searched then."),
    ] = None,
    format_name: Format = None,
    classes: Classes = None,
    columns: Columns = None,
    class_from: ClassFrom = "name",
    axes: Axes = None,
    series: Series = None,
    channels: Channels = None,
    z: Slices = None,
) -> None:
    """Find the training settings that suit your images: many short trainings, compared on the same validation images.

    Searched are --learning-rate, --batch-size, --pyramid-width, --class-loss, --box-weight, and the scale, contrast and mosaic
    of --augment. A setting that is given holds for all trials and is not searched.
    """
    share, validation_list = validation_choice(validation)
    chosen = {**given, **({} if share is None else {"validation": share})}
    if trial_minutes is not None:
        if not 0 < trial_minutes <= _MOST_MINUTES:
            raise RetinaJError(f"--trial-minutes is {trial_minutes:g}; expected more than 0, and at most {_MOST_MINUTES:,}.")
        chosen["minutes"] = trial_minutes
    if augment:
        chosen["augmentation"] = parse_strengths(augment, AugmentationConfig())
    if planes := given_planes(axes, series, channels, z):
        chosen["planes"] = change_planes(AS_STORED, planes)
    settings = checked_settings(chosen)

    from retinaj.tuning.study import tune as run_study  # TensorFlow and Optuna, only now

    run_study(
        images,
        annotations,
        output,
        names=names,
        validation=validation_list,
        settings=settings,
        reading=reading(format_name, classes, columns, class_from),
        trials=trials,
        resume=resume,
        console=console,
    )
