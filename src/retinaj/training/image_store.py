"""Images as the network sees them: in memory while they are small, read where they are looked at when they are large."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.augmentation.geometry import Pixels
from retinaj.dataset import Sample
from retinaj.images.bands import row_bands
from retinaj.images.plane_choice import Plane
from retinaj.model_folder import ModelRecord
from retinaj.network.config import NetworkConfig
from retinaj.normalization import scale_of_blocks
from retinaj.prediction.detector import to_channels

# Images kept in memory after their first reading; more are read again in each epoch.
_CACHE_BYTES = 2 * 2**30
# What an image may take as the network sees it, float32; 4096 x 4096 in grey. A larger one is kept in its own pixel type,
# mostly 8 or 16 bits, or not at all, and only what a window shows is normalised.
_WHOLE_BYTES = 64 * 2**20
_Key = tuple[Path, Plane | None]


class LargeImage:
    """A large image as the network sees it, made where it is looked at; a `retinaj.augmentation.geometry.PartlyRead`.

    Args:
        source: gives the image, dims y, x, or c, y, x: from memory, or a dask array over its file.
        record: of the model.
    """

    def __init__(self, source: Callable[[], xr.DataArray], record: ModelRecord) -> None:
        self._source, self._network = source, record.network
        image, factor = source(), record.network.downsampling
        self.shape = (-(-image.sizes["y"] // factor), -(-image.sizes["x"] // factor), record.network.channels)

        def blocks() -> Iterator[NDArray[np.generic]]:
            return (to_channels(band, record.network.channels) for band in row_bands(image))

        self._scale = scale_of_blocks(record.normalization, blocks)

    def part(self, left: int, top: int, right: int, bottom: int) -> NDArray[np.float32]:
        """float32 [y, x, channel] of a rectangle in downsampled pixels, normalised by the percentiles of the whole image."""
        factor = self._network.downsampling
        rows, columns = slice(top * factor, bottom * factor), slice(left * factor, right * factor)
        pixels = to_channels(self._source().isel(y=rows, x=columns), self._network.channels)
        return average_down(self._scale(pixels), self._network)


class ImageStore:
    """The images of a run, normalised and averaged down, read once while memory lasts."""

    def __init__(self, record: ModelRecord) -> None:
        self._record = record
        self._cache: dict[_Key, Pixels] = {}
        self._sizes: dict[_Key, tuple[int, int]] = {}
        self._room = _CACHE_BYTES

    def __getitem__(self, sample: Sample) -> Pixels:
        """float32 [y, x, channel] of a sample, padded at the bottom and right to whole downsampled pixels; or, if that would
        take more than 64 MB, a `LargeImage`."""
        key = sample.image_path, sample.plane
        found = self._cache.get(key)
        if found is not None:
            return found
        network, original = self._record.network, sample.open()
        self._sizes[key] = original.sizes["x"], original.sizes["y"]
        if 4 * network.channels * original.sizes["x"] * original.sizes["y"] > _WHOLE_BYTES * network.downsampling**2:
            self._cache[key] = image = self._large(sample, original)
            return image
        image = average_down(self._record.normalization(to_channels(original, network.channels)), network)
        if image.nbytes <= self._room:
            self._room -= image.nbytes
            self._cache[key] = image
        return image

    def size(self, sample: Sample) -> tuple[int, int]:
        """(width, height) in pixels of a sample, without padding."""
        key = sample.image_path, sample.plane
        if key not in self._sizes:
            header = sample.choice.header(sample.image_path)
            self._sizes[key] = header.width, header.height
        return self._sizes[key]

    def _large(self, sample: Sample, image: xr.DataArray) -> LargeImage:
        if image.chunks is None and image.nbytes <= self._room:
            self._room -= image.nbytes
            return LargeImage(lambda: image, self._record)
        return LargeImage(sample.open_in_file, self._record)


def whole(image: Pixels) -> NDArray[np.float32]:
    """All pixels of an image of a store."""
    return image if isinstance(image, np.ndarray) else image.part(0, 0, image.shape[1], image.shape[0])


def middle(image: Pixels) -> NDArray[np.float32]:
    """As `whole`; of a large image, 1024 x 1024 pixels in its middle."""
    if isinstance(image, np.ndarray):
        return image
    height, width, _ = image.shape
    left, top = max(width // 2 - 512, 0), max(height // 2 - 512, 0)
    return image.part(left, top, min(left + 1024, width), min(top + 1024, height))


def average_down(pixels: NDArray[np.float32], network: NetworkConfig) -> NDArray[np.float32]:
    """The mean of each `downsampling` x `downsampling` block of [y, x, channel], as the exported graph takes it."""
    factor = network.downsampling
    if factor == 1:
        return np.ascontiguousarray(pixels, np.float32)
    pixels = pad_to_multiple(pixels, factor, np.asarray(network.fill, np.float32))
    height, width, channels = pixels.shape
    blocks = pixels.reshape(height // factor, factor, width // factor, factor, channels)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def pad_to_multiple(pixels: NDArray[np.float32], multiple: int, fill: NDArray[np.float32]) -> NDArray[np.float32]:
    """[y, x, channel] extended at the bottom and right with `fill` [channel] to whole multiples."""
    height, width, channels = pixels.shape
    padded = np.empty((-(-height // multiple) * multiple, -(-width // multiple) * multiple, channels), np.float32)
    padded[:] = fill
    padded[:height, :width] = pixels
    return padded
