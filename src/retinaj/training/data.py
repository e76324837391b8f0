"""Training windows: from files to what a step eats, with nothing random but the seed.

Each window depends on (seed, epoch, position) alone, not on what was drawn before it: that is what makes a resumed run equal
to an uninterrupted one, and lets windows be made in parallel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.augmentation import AugmentationConfig, random_window
from retinaj.augmentation.view import Picture, Scene
from retinaj.dataset import Sample
from retinaj.errors import RetinaJError
from retinaj.model_folder import ModelRecord
from retinaj.network.targets import Targets, assign_atss, assign_by_iou
from retinaj.network.untyped import tf
from retinaj.training.balance import hard_image_factors, repeat_factors, weighted_order
from retinaj.training.image_store import ImageStore
from retinaj.training.large_images import WindowCounts, in_large_image

# A loader more than there are steps to feed costs memory, not time.
_PREFETCH = 4
# Share of an image's old running loss that a new one leaves.
_HARDNESS_KEPT = 0.5
# The window, the label of each anchor, the box of each anchor.
_Window = tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]


def assign_targets(record: ModelRecord, shape: tuple[int, ...], xyxy: NDArray[np.float32], label: NDArray[np.int32]) -> Targets:
    """Target assignment by the rule that the settings name, for an image of `shape` (y, x, ...) downsampled pixels."""
    assign = assign_atss if record.training.settings.assignment == "atss" else assign_by_iou
    return assign(record.network.anchors, shape[0], shape[1], xyxy, label)


class WindowSource:
    """The training windows of a data set.

    Attributes:
        steps: batches in an epoch.
        counts: how many windows each image is worth.
        image_loss: float32 [images], the running mean of each image's loss, NaN before its first window; part of the
            state of a run.
        error: why a window could not be made, after an epoch was broken off by TensorFlow for it.
    """

    def __init__(self, samples: tuple[Sample, ...], record: ModelRecord, store: ImageStore) -> None:
        self._samples = samples
        self._record = record
        self._store = store
        self._fill = np.asarray(record.network.fill, np.float32)
        settings, factor = record.training.settings, record.network.downsampling
        sizes = [(width / factor, height / factor) for width, height in map(store.size, samples)]
        boxes = [sample.boxes.xyxy / np.float32(factor) for sample in samples]
        self.counts = WindowCounts.of(sizes, boxes, record.training.window)
        # Each image as often as it counts.
        self._entries = np.repeat(np.arange(len(samples)), self.counts.parts)
        wanted = max(len(self._entries), settings.windows_per_epoch)
        self.steps = -(-wanted // settings.batch_size)
        self.error: RetinaJError | None = None
        self.image_loss = np.full(len(samples), np.nan, np.float32)
        sampled = settings.balance == "sampling"
        self._repeats = repeat_factors(samples, record.network.num_classes) if sampled else np.ones(len(samples))

    def epoch(self, number: int) -> Any:
        """The batches of one epoch (from 1), each a window float32 [batch, side, side, channel], labels int32 [batch, A]
        and boxes float32 [batch, A, 4] as `Targets` has them."""
        settings, side = self._record.training.settings, self._record.training.window
        count = self.steps * settings.batch_size
        order = self.order(number, count)

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
            tf.data.Dataset.range(count)
            .map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .batch(settings.batch_size, drop_remainder=True)
            .prefetch(_PREFETCH)
        )

    def learn(self, number: int, losses: NDArray[np.float32]) -> None:
        """Take note of how hard each image was in epoch `number`: the loss of its windows, [steps * batch] in order."""
        order = self.order(number, len(losses))
        for index in np.unique(order):
            new, old = losses[order == index].mean(), self.image_loss[index]
            self.image_loss[index] = new if np.isnan(old) else _HARDNESS_KEPT * old + (1 - _HARDNESS_KEPT) * new

    def order(self, number: int, count: int) -> NDArray[np.int64]:
        """Which image each of the first `count` windows of an epoch is cut from: whole passes over the images, each as often as
        it counts and in a new order, or a weighted draw."""
        settings, entries = self._record.training.settings, self._entries
        random = np.random.default_rng([settings.seed, number])
        if settings.balance == "sampling" or settings.hard_images:
            factors = self._repeats * hard_image_factors(self.image_loss, settings.hard_images)
            return weighted_order(factors * self.counts.parts, count, random)
        passes = -(-count // len(entries))
        return entries[np.concatenate([random.permutation(len(entries)) for _ in range(passes)])[:count]]

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
        training, entries = self._record.training, self._entries
        config = training.settings.augmentation if config is None else config
        return random_window(
            *self.picture(index),
            side=training.window,
            fill=self._fill,
            config=in_large_image(config) if self.counts.large[index] else config,
            random=np.random.default_rng([training.settings.seed, number, position]),
            others=lambda random: self.picture(int(entries[random.integers(len(entries))])),
        )

    def picture(self, index: int) -> Scene:
        """The whole image of a sample as the network sees it, with its boxes in the same pixels and its labels."""
        boxes = self._samples[index].boxes
        return self._store[self._samples[index]], boxes.xyxy / np.float32(self._record.network.downsampling), boxes.label
