"""Channels of an image, meant by number or by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import xarray as xr
from pydantic import Field

from retinaj.errors import RetinaJError

# A channel is meant by its number, from 1, or by its name.
Channel = Annotated[int, Field(ge=1)] | Annotated[str, Field(min_length=1)]


def choose_channels(image: xr.DataArray, channels: Sequence[int | str]) -> xr.DataArray:
    """Some channels of an image, in the order in which they are named.

    Args:
        image: as `retinaj.images.read_image` gives it.
        channels: by number (from 1) or name; () is all. A number that no channel has may be a name ("488").

    Returns:
        An image without a c axis if one channel was chosen.

    Raises:
        RetinaJError: if the image has no such channel.
    """
    if not channels:
        return image
    count = image.sizes.get("c", 1)
    names: tuple[str, ...] = tuple(image.attrs.get("channel_names", ()))
    chosen = [_find_channel(channel, count, names) for channel in channels]
    for channel, at in zip(channels, chosen, strict=True):
        if at is None:
            known = f", named {', '.join(map(repr, names))}" if names else ", without names"
            raise RetinaJError(
                f"{image.attrs.get('path', 'The image')} has no channel {channel!r}: it has {count}{known}. Channels are "
                f"chosen by number, from 1 to {count}, or by name."
            )
    places = [at for at in chosen if at is not None]
    found = image.isel(c=places if len(places) > 1 else places[0]) if "c" in image.dims else image
    kept = {"channel_names": tuple(names[at] for at in places)} if names else {}
    return found.assign_attrs(rgb=bool(image.attrs.get("rgb")) and places == [0, 1, 2], **kept)


def parse_channels(value: str) -> tuple[int | str, ...]:
    """Channels from a command line: numbers or names with commas between; "all" is ().

    Raises:
        RetinaJError: if one is empty.

    >>> parse_channels("1,3"), parse_channels("DAPI, GFP"), parse_channels("all")
    ((1, 3), ('DAPI', 'GFP'), ())
    """
    parts = [part.strip() for part in value.split(",")]
    if not all(parts):
        raise RetinaJError(f"--channels is {value!r}; expected numbers from 1 or names with commas between, such as 1,3.")
    return () if parts == ["all"] else tuple(int(part) if part.isdecimal() and len(part) < 10 else part for part in parts)


def _find_channel(channel: int | str, count: int, names: Sequence[str]) -> int | None:
    if isinstance(channel, int) and channel <= count:
        return channel - 1
    for key in (str, str.casefold):
        same = [at for at, name in enumerate(names) if key(name) == key(str(channel))]
        if len(same) == 1:
            return same[0]
    return None
