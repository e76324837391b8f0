"""Options of all commands that read stacks: which planes and channels of an image are meant."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from retinaj.errors import RetinaJError

_PANEL = "Reading stacks"

Axes = Annotated[
    str | None,
    typer.Option(
        help="What the axes of the images are where their files are wrong: a letter of t, c, z, y, x for each that is longer "
        "than 1, in the file's order, such as tyx. \\[default: by the files]",
        rich_help_panel=_PANEL,
    ),
]
Series = Annotated[
    int | None,
    typer.Option(min=1, help="Which image of files that hold several. \\[default: the first]", rich_help_panel=_PANEL),
]
Channels = Annotated[
    str | None,
    typer.Option(help="Numbers or names with commas between, such as 1,3 or DAPI; or all.", rich_help_panel=_PANEL),
]
Slices = Annotated[
    Literal["each", "max", "mid"] | None,
    typer.Option(
        "--z", help="Each slice by itself, all in one (the brightest value), or the middle one.", rich_help_panel=_PANEL
    ),
]


def given_planes(
    axes: str | None, series: int | None, channels: str | None, z: Literal["each", "max", "mid"] | None
) -> dict[str, Any]:
    """The options that were given, as fields of `PlaneChoice`.

    Raises:
        RetinaJError: if a channel is empty.
    """
    from retinaj.image_channels import parse_channels

    chosen = {"axes": axes, "series": series, "channels": None if channels is None else parse_channels(channels), "z": z}
    return {name: value for name, value in chosen.items() if value is not None}


def change_planes(base: Any, given: dict[str, Any]) -> Any:
    """A `PlaneChoice` with some fields changed.

    Raises:
        RetinaJError: naming the option, its value and what was expected.
    """
    from pydantic import ValidationError

    from retinaj.plane_choice import PlaneChoice

    try:
        return PlaneChoice.model_validate(base.model_dump() | given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise RetinaJError(f"--{first['loc'][0]} is {given[str(first['loc'][0])]!r}: {first['msg']}.") from error
