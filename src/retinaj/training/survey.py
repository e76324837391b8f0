"""What all images of a training have in common: read once before the first step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.dataset import Sample
from retinaj.errors import RetinaJError
from retinaj.images.bands import BAND_BYTES, row_bands
from retinaj.normalization import FixedScale, PercentileScale, scale_of_blocks
from retinaj.prediction.detector import to_channels

# Enough images to know a set's mean colour, without reading thousands twice.
_PROBED_IMAGES = 64


@dataclass(frozen=True)
class Survey:
    """What all images have in common.

    Attributes:
        dtypes: their pixel types.
        channels: what the network will see: 1 if every image is grey, whatever the file format calls it.
        longest_side: of the largest image, in pixels.
        spans: of each 8-bit image, how many grey values lie between the percentiles of `PercentileScale`.
    """

    dtypes: set[np.dtype[np.generic]]
    channels: int
    longest_side: int
    spans: tuple[float, ...]

    @property
    def pixel_type(self) -> Literal["uint8", "uint16", "float32"]:
        """The smallest type that holds them all."""
        if self.dtypes == {np.dtype(np.uint8)}:
            return "uint8"
        return "uint16" if self.dtypes <= {np.dtype(np.uint8), np.dtype(np.uint16)} else "float32"


def survey_images(samples: Sequence[Sample]) -> Survey:
    """Read every image once, so that a damaged or odd one stops the run now and not in the middle of an epoch.

    Raises:
        RetinaJError: if an image is damaged, or images differ in their channels.
    """
    dtypes: set[np.dtype[np.generic]] = set()
    channels: dict[int, Path] = {}
    spans: list[float] = []
    grey, longest = True, 0
    for sample in samples:
        image = sample.open()
        longest = max(longest, image.sizes["x"], image.sizes["y"])
        counts = np.zeros(256, np.int64)
        for band in row_bands(image):
            pixels = _last_channel(band)
            dtypes.add(pixels.dtype)
            channels.setdefault(pixels.shape[-1], sample.image_path)
            grey = grey and pixels.shape[-1] in (1, 3) and bool((pixels == pixels[..., :1]).all())
            if pixels.dtype == np.uint8:
                counts += np.bincount(pixels.ravel(), minlength=256)
        if counts.any():
            spans.append(_span(counts))
    if grey:
        return Survey(dtypes, 1, longest, tuple(spans))
    if set(channels) - {1, 3} and len(channels) > 1:
        examples = ", ".join(f"{path.name} has {count}" for count, path in sorted(channels.items()))
        raise RetinaJError(f"The images have different numbers of channels: {examples}. Train on one kind at a time.")
    return Survey(dtypes, max(channels), longest, tuple(spans))


def _span(counts: NDArray[np.int64]) -> float:
    """How far the percentiles of `PercentileScale` are apart, of an image with so many pixels of each grey value."""
    default = PercentileScale()
    share = 100 * counts.cumsum() / counts.sum()
    low, high = np.searchsorted(share, (default.low, default.high))
    return float(high - low)


def _last_channel(image: xr.DataArray) -> NDArray[np.generic]:
    """The pixels [y, x, channel] of a plane."""
    return image.transpose("y", "x", "c").to_numpy() if "c" in image.dims else image.to_numpy()[..., None]


def mean_colour(samples: Sequence[Sample], normalization: FixedScale | PercentileScale, channels: int) -> tuple[float, ...]:
    """The mean normalised value of each channel, over evenly chosen images."""
    chosen = samples[:: -(-len(samples) // _PROBED_IMAGES)]
    means = [_mean_normalised(sample.open(), normalization, channels) for sample in chosen]
    return tuple(round(float(value), 4) for value in np.mean(means, axis=0))


def _mean_normalised(
    image: xr.DataArray, normalization: FixedScale | PercentileScale, channels: int
) -> NDArray[np.floating[Any]]:
    """The mean normalised value of each channel of an image, which may be larger than memory."""
    if image.chunks is None and image.nbytes <= BAND_BYTES:
        return normalization(to_channels(image, channels)).mean(axis=(0, 1))

    def blocks() -> Iterator[NDArray[np.generic]]:
        return (to_channels(band, channels) for band in row_bands(image))

    scale = scale_of_blocks(normalization, blocks)
    sums = [scale(block).sum(axis=(0, 1), dtype=np.float64) for block in blocks()]
    return np.sum(sums, axis=0) / (image.sizes["x"] * image.sizes["y"])
