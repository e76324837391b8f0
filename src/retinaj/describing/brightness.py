"""The pixel values of images: read one image after the other, and only a summary kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.dataset import Sample
from retinaj.describing.description import ChannelBrightness, ImageSize

_MOST_IMAGES = 500  # more would change nothing but the time
_MOST_PIXELS = 2**16  # of an image, for percentiles
_LARGEST = 512 * 2**20  # bytes of a plane that is read for its looks alone


@dataclass(frozen=True)
class Brightness:
    """The pixel values of one image.

    Attributes:
        sample: the image.
        channels: their names; one, "grey", if all have the same values.
        low: the value that 1 % of the pixels of each channel are below.
        median: that half of them are below.
        high: that 1 % are above.
        smallest: of each channel.
        largest: of each channel.
        saturated: share of the pixels of each channel at the highest value of a whole-number type.
    """

    sample: Sample
    channels: tuple[str, ...]
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]
    smallest: tuple[float, ...]
    largest: tuple[float, ...]
    saturated: tuple[float, ...]


def read_plane(sample: Sample) -> xr.DataArray:
    """The pixels of a sample, dims y, x, or c, y, x.

    Raises:
        RetinaJError: if the image cannot be read.
    """
    return sample.read()


def image_sizes(samples: Sequence[Sample]) -> tuple[list[ImageSize], list[bool]]:
    """Sizes and pixel types, most frequent first; and of each sample whether it is small enough to be read for its looks.

    Raises:
        RetinaJError: if an image's header cannot be read any more.
    """
    found: dict[tuple[int, int, int, str], int] = {}
    readable: list[bool] = []
    for sample in samples:
        header = sample.choice.header(sample.image_path)
        key = (header.width, header.height, header.channels, header.dtype.name)
        found[key] = found.get(key, 0) + 1
        readable.append(header.width * header.height * header.channels * header.dtype.itemsize <= _LARGEST)
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [ImageSize(*key, count) for key, count in ordered], readable


def measure_brightness(samples: Sequence[Sample], progress: Callable[[int, int], None] | None = None) -> list[Brightness]:
    """The pixel values of each image, or of 500 evenly chosen ones.

    Args:
        samples: small enough to be read.
        progress: called with (images done, images to do).

    Raises:
        RetinaJError: if an image is damaged.
    """
    chosen = [
        samples[at] for at in np.unique(np.linspace(0, len(samples) - 1, min(len(samples), _MOST_IMAGES)).round().astype(int))
    ]
    measured: list[Brightness] = []
    for at, sample in enumerate(chosen):
        measured.append(_measure(sample))
        if progress:
            progress(at + 1, len(chosen))
    return measured


def summarise_brightness(measured: Sequence[Brightness]) -> list[ChannelBrightness]:
    """Each channel over all images that have it, in the order in which they first come."""
    names = list(dict.fromkeys(name for each in measured for name in each.channels))
    summary: list[ChannelBrightness] = []
    for name in names:
        having = [(each, each.channels.index(name)) for each in measured if name in each.channels]
        summary.append(
            ChannelBrightness(
                name=name,
                smallest=min(each.smallest[at] for each, at in having),
                low=_median([each.low[at] for each, at in having]),
                median=_median([each.median[at] for each, at in having]),
                high=_median([each.high[at] for each, at in having]),
                largest=max(each.largest[at] for each, at in having),
                saturated=float(np.mean([each.saturated[at] for each, at in having])),
            )
        )
    return summary


def _measure(sample: Sample) -> Brightness:
    image = read_plane(sample)
    pixels = image.transpose("c", "y", "x").to_numpy() if "c" in image.dims else image.to_numpy()[None]
    if len(pixels) in (1, 3) and all(np.array_equal(pixels[0], channel) for channel in pixels[1:]):
        pixels, names = pixels[:1], ("grey",)
    elif len(pixels) == 3 and image.attrs.get("rgb"):
        names = ("red", "green", "blue")
    else:
        names = tuple(f"channel {at + 1}" for at in range(len(pixels)))
    rows = [_measure_channel(channel) for channel in pixels]
    low, median, high, smallest, largest, saturated = zip(*rows, strict=True)
    return Brightness(sample, names, low, median, high, smallest, largest, saturated)


def _measure_channel(channel: NDArray[Any]) -> tuple[float, ...]:
    """Low, median, high, smallest, largest, saturated; all 0 for a channel without a finite value."""
    values = channel.ravel()
    whole = values.dtype.kind in "ui"
    if not whole:
        values = values[np.isfinite(values)]
        if not values.size:
            return (0.0,) * 6
    saturated = float(np.mean(values == np.iinfo(values.dtype).max)) if whole else 0.0
    some = values[:: -(-values.size // _MOST_PIXELS)]
    low, median, high = (float(value) for value in np.percentile(some, [1, 50, 99]))
    return low, median, high, float(values.min()), float(values.max()), saturated


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))
