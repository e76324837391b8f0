"""Training windows and validation images: from files to what a step eats, with nothing random but the seed.

Each window depends on (seed, epoch, position) alone, not on what was drawn before it: that is what makes a resumed run equal
to an uninterrupted one, and lets windows be made in parallel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.augmentation import AugmentationConfig, random_window
from retinaj.augmentation.view import Picture
from retinaj.dataset import Sample
from retinaj.errors import RetinaJError
from retinaj.images.plane_choice import Plane
from retinaj.model_folder import ModelRecord
from retinaj.network.config import NetworkConfig
from retinaj.network.targets import Targets, assign_atss, assign_by_iou
from retinaj.network.untyped import tf
from retinaj.prediction.detector import to_channels
from retinaj.training.balance import hard_image_factors, repeat_factors, weighted_order

# Images kept in memory after their first reading; more are read again in each epoch.
_CACHE_BYTES = 2 * 2**30
# A loader more than there are steps to feed costs memory, not time.
_PREFETCH = 4
_Key = tuple[Path, Plane | None]
# Share of an image's old running loss that a new one leaves.
_HARDNESS_KEPT = 0.5
# The window, the label of each anchor, the box of each anchor.
_Window = tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]


class ImageStore:
    """Images as the network sees them: normalised and averaged down, read once while memory lasts."""

    def __init__(self, record: ModelRecord) -> None:
        self._record = record
        self._cache: dict[_Key, NDArray[np.float32]] = {}
        self._sizes: dict[_Key, tuple[int, int]] = {}
        self._room = _CACHE_BYTES

    def __getitem__(self, sample: Sample) -> NDArray[np.float32]:
        """float32 [y, x, channel] of a sample, padded at the bottom and right to whole downsampled pixels."""
        key = sample.image_path, sample.plane
        found = self._cache.get(key)
        if found is not None:
            return found
        network = self._record.network
        pixels = self._record.normalization(to_channels(sample.read(), network.channels))
        self._sizes[key] = (pixels.shape[1], pixels.shape[0])
        image = average_down(pixels, network)
        if image.nbytes <= self._room:
            self._room -= image.nbytes
            self._cache[key] = image
        return image

    def size(self, sample: Sample) -> tuple[int, int]:
        """(width, height) in pixels of a sample that was read before, without padding."""
        return self._sizes[sample.image_path, sample.plane]


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


def assign_targets(record: ModelRecord, shape: tuple[int, ...], xyxy: NDArray[np.float32], label: NDArray[np.int32]) -> Targets:
    """Target assignment by the rule that the settings name, for an image of `shape` (y, x, ...) downsampled pixels."""
    assign = assign_atss if record.training.settings.assignment == "atss" else assign_by_iou
    return assign(record.network.anchors, shape[0], shape[1], xyxy, label)


class WindowSource:
    """The training windows of a data set.

    Attributes:
        steps: batches in an epoch.
        image_loss: float32 [images], the running mean of each image's loss, NaN before its first window; part of the
            state of a run.
        error: why a window could not be made, after an epoch was broken off by TensorFlow for it.
    """

    def __init__(self, samples: tuple[Sample, ...], record: ModelRecord, store: ImageStore) -> None:
        self._samples = samples
        self._record = record
        self._store = store
        self._fill = np.asarray(record.network.fill, np.float32)
        settings = record.training.settings
        wanted = max(len(samples), settings.windows_per_epoch)
        self.steps = -(-wanted // settings.batch_size)
        self.error: RetinaJError | None = None
        self.image_loss = np.full(len(samples), np.nan, np.float32)
        sampled = settings.balance == "sampling"
        self._repeats = repeat_factors(samples, record.network.num_classes) if sampled else np.ones(len(samples))

    def epoch(self, number: int, share: slice = slice(None)) -> Any:
        """The batches of one epoch (from 1), each a window float32 [batch, side, side, channel], labels int32 [batch, A]
        and boxes float32 [batch, A, 4] as `Targets` has them; of each batch, only the `share` that this machine trains on."""
        settings, side = self._record.training.settings, self._record.training.window
        count = self.steps * settings.batch_size
        order = self.order(number, count)
        positions = np.arange(count).reshape(self.steps, settings.batch_size)[:, share]

        def make(position: NDArray[np.int64]) -> _Window:
            try:
                return self._window(number, int(position), int(order[position]))
            except RetinaJError as error:
                self.error = error  # TensorFlow passes on the text of an error, wrapped in its own
                raise

        def load(position: Any) -> tuple[Any, Any, Any]:
            image, label, boxes = tf.numpy_function(make, [position], (tf.float32, tf.int32, tf.float32))
            image.set_shape((side, side, self._record.network.channels))
            label.set_shape((None,))
            boxes.set_shape((None, 4))
            return image, label, boxes

        return (
            tf.data.Dataset.from_tensor_slices(positions.ravel())
            .map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .batch(positions.shape[1], drop_remainder=True)
            .prefetch(_PREFETCH)
        )

    def learn(self, number: int, losses: NDArray[np.float32]) -> None:
        """Take note of how hard each image was in epoch `number`: the loss of its windows, [steps * batch] in order."""
        order = self.order(number, len(losses))
        for index in np.unique(order):
            new, old = losses[order == index].mean(), self.image_loss[index]
            self.image_loss[index] = new if np.isnan(old) else _HARDNESS_KEPT * old + (1 - _HARDNESS_KEPT) * new

    def order(self, number: int, count: int) -> NDArray[np.int64]:
        """Which image each of the first `count` windows of an epoch is cut from: whole passes over the images, each in a new
        order, or a weighted draw."""
        settings = self._record.training.settings
        random = np.random.default_rng([settings.seed, number])
        if settings.balance == "sampling" or settings.hard_images:
            return weighted_order(self._repeats * hard_image_factors(self.image_loss, settings.hard_images), count, random)
        passes = -(-count // len(self._samples))
        return np.concatenate([random.permutation(len(self._samples)) for _ in range(passes)])[:count]

    def _window(self, number: int, position: int, index: int) -> _Window:
        window, boxes, label = self.augmented(number, position, index)
        targets = assign_targets(self._record, window.shape, boxes, label)
        return window, targets.label, targets.boxes

    def augmented(self, number: int, position: int, index: int, config: AugmentationConfig | None = None) -> Picture:
        """Window `position` (from 0) of epoch `number` (from 1), of the image `index`, with its boxes and labels.

        Args:
            number, position: what the window's randomness is drawn from, with the seed.
            index: which sample it is cut from.
            config: other strengths than those of the settings.
        """
        training = self._record.training
        return random_window(
            *self.picture(index),
            side=training.window,
            fill=self._fill,
            config=training.settings.augmentation if config is None else config,
            random=np.random.default_rng([training.settings.seed, number, position]),
            others=lambda random: self.picture(int(random.integers(len(self._samples)))),
        )

    def picture(self, index: int) -> Picture:
        """The whole image of a sample as the network sees it, with its boxes in the same pixels and its labels."""
        boxes = self._samples[index].boxes
        return self._store[self._samples[index]], boxes.xyxy / np.float32(self._record.network.downsampling), boxes.label


@dataclass(frozen=True)
class ValidationImage:
    """A whole image as the network sees it, with its targets.

    Attributes:
        image: float32 [1, y, x, channel], normalised, averaged down, padded to the stride.
        targets: of its ground truth.
        size: (width, height) in pixels of the image itself.
    """

    image: NDArray[np.float32]
    targets: Targets
    size: tuple[int, int]


def validation_images(samples: tuple[Sample, ...], record: ModelRecord, store: ImageStore) -> Iterator[ValidationImage]:
    """Whole images for validation, unaugmented, in order."""
    network = record.network
    multiple = network.stride // network.downsampling
    for sample in samples:
        image = pad_to_multiple(store[sample], multiple, np.asarray(network.fill, np.float32))
        xyxy = sample.boxes.xyxy / np.float32(network.downsampling)
        targets = assign_targets(record, image.shape, xyxy, sample.boxes.label)
        yield ValidationImage(image[None], targets, store.size(sample))
