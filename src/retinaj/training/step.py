"""One training step and one validation step, compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.model_folder import ModelRecord
from retinaj.network.anchors import anchor_grid
from retinaj.network.detection import select_detections
from retinaj.network.losses import (
    box_quality,
    ciou_loss,
    focal_loss,
    giou_loss,
    positives,
    quality_focal_loss,
    smooth_l1_loss,
)
from retinaj.network.retinanet import flatten_levels
from retinaj.network.untyped import ops, tf
from retinaj.training.balance import class_weights
from retinaj.training.freezing import moving_averages
from retinaj.training.replicas import Replicas
from retinaj.training.updates import Updates


class Losses:
    """Class and box loss of a model's outputs, normalised by the batch's positive anchors.

    Args:
        record: of the model.
        replicas: the batch is that of all its devices.
    """

    def __init__(self, record: ModelRecord, replicas: Replicas) -> None:
        self._replicas = replicas
        self._settings = record.training.settings
        self._classes = record.network.num_classes
        self._box_loss = {"giou": giou_loss, "ciou": ciou_loss, "smooth_l1": smooth_l1_loss}[self._settings.box_loss]
        balanced = self._settings.balance == "weights"
        self._class_weights = class_weights(record.training.class_counts) if balanced else None

    def __call__(self, outputs: Any, anchors: Any, label: Any, boxes: Any) -> tuple[Any, Any]:
        """The weighted (class loss, box loss), [batch] each; their sums over the batch are its loss.

        Args:
            outputs: of the network.
            anchors: float32 [A, 4] xyxy.
            label: int32 [batch, A].
            boxes: float32 [batch, A, 4].
        """
        settings = self._settings
        place = positives(label)
        image, anchor = place[:, 0], place[:, 1]
        # An image without objects has no positive anchor.
        count = ops.maximum(self._replicas.sum(ops.cast(ops.shape(place)[0], "float32")), 1.0)
        # In mixed precision the network's outputs are bfloat16, whose 8 bits are too few for a sum over thousands of anchors.
        logits = ops.cast(flatten_levels(outputs["class_logits"], self._classes), "float32")
        deltas = ops.cast(flatten_levels(outputs["box_deltas"], 4), "float32")
        # Few anchors are positive: boxes are decoded for them alone.
        found = tf.gather(anchors, anchor)
        centre, size = (found[:, :2] + found[:, 2:]) / 2, found[:, 2:] - found[:, :2]
        pairs = tf.gather_nd(deltas, place), centre, size, tf.gather_nd(boxes, place)
        if settings.class_loss == "quality":
            quality = box_quality(*pairs) * (1 - settings.label_smoothing)
            asked = tf.scatter_nd(place, quality, tf.shape(label, tf.int64))
            class_loss = quality_focal_loss(logits, label, asked, gamma=settings.focal_gamma, weights=self._class_weights)
        else:
            class_loss = focal_loss(
                logits,
                label,
                alpha=settings.focal_alpha,
                gamma=settings.focal_gamma,
                smoothing=settings.label_smoothing,
                weights=self._class_weights,
            )
        box_loss = tf.math.unsorted_segment_sum(self._box_loss(*pairs), image, tf.shape(label)[0])
        return settings.class_weight * class_loss / count, settings.box_weight * box_loss / count


@dataclass(frozen=True)
class StepLosses:
    """What a step cost.

    Attributes:
        class_loss, box_loss: weighted, of the batch.
        images: float32 [batch], each image's part of their sum.
    """

    class_loss: float
    box_loss: float
    images: NDArray[np.float32]

    @property
    def total(self) -> float:
        """The loss of the batch."""
        return self.class_loss + self.box_loss


class TrainingStep:
    """Updates a network by one batch, and its averaged twin along with it.

    Args:
        record: of the model.
        network: trained in place.
        average: the twin that holds the exponential moving average of the weights.
        updates: change the network's weights by gradients.
        replicas: the devices that share each batch; the networks were made in its scope.
    """

    def __init__(self, record: ModelRecord, network: Any, average: Any, updates: Updates, replicas: Replicas) -> None:
        side = record.training.window
        self._anchors = tf.constant(anchor_grid(record.network.anchors, side, side))
        self._losses = Losses(record, replicas)
        self._network, self._average, self._updates, self._replicas = network, average, updates, replicas
        self._settings = record.training.settings
        self._compiled: Any = tf.function(self._on_all)

    def __call__(self, batch: tuple[Any, Any, Any], rate: float, step: int) -> StepLosses:
        """Train on one batch.

        Args:
            batch: of `WindowSource.epoch`, this machine's share.
            rate: the learning rate.
            step: finished steps; a young average follows the weights quickly.
        """
        self._updates.set_rate(rate)
        decay = min(self._settings.ema, (1 + step) / (10 + step))
        parts = self._replicas.split(batch, self._settings.batch_size)
        losses = self._compiled(parts, tf.constant(decay, tf.float32), self._updates.completes(step))
        class_loss, box_loss = (part.numpy() for part in losses)
        return StepLosses(float(class_loss.sum()), float(box_loss.sum()), class_loss + box_loss)

    def _on_all(self, parts: tuple[Any, ...], decay: Any, completes: bool) -> tuple[Any, Any]:
        return self._replicas.run(self._step, (*parts, decay, completes))

    def _step(self, first: Any, image: Any, label: Any, boxes: Any, decay: Any, completes: bool) -> tuple[Any, Any]:
        variables = self._network.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self._network(image, training=True)
            class_loss, box_loss = self._losses(outputs, self._anchors, label, boxes)
            loss = ops.sum(class_loss) + ops.sum(box_loss)
        self._updates.take(self._summed(tape.gradient(loss, variables)), completes)
        self._share_statistics()
        for mean, variable in zip(self._average.variables, self._network.variables, strict=True):
            mean.assign(mean * decay + variable * (1 - decay))
        return tuple(self._replicas.whole(part, first, self._settings.batch_size) for part in (class_loss, box_loss))

    def _summed(self, gradients: list[Any]) -> list[Any]:
        """The gradients of the whole batch; None for weights that the loss does not depend on, above the last pyramid level."""
        sums = iter(self._replicas.sum([gradient for gradient in gradients if gradient is not None]))
        return [None if gradient is None else next(sums) for gradient in gradients]

    def _share_statistics(self) -> None:
        """BatchNorm normalises each device's share by itself; its moving averages are brought together, so that all devices
        stay one network."""
        moved = moving_averages(self._network)
        if self._replicas.count > 1 and moved:
            means = self._replicas.mean([tf.convert_to_tensor(each) for each in moved])
            for variable, mean in zip(moved, means, strict=True):
                variable.assign(mean)


class ValidationStep:
    """The loss and the detections of a network on one whole image."""

    def __init__(self, record: ModelRecord, network: Any) -> None:
        config, losses = record.network, Losses(record, Replicas())

        def step(image: Any, anchors: Any, label: Any, boxes: Any) -> tuple[Any, Any]:
            outputs = network(image, training=False)
            class_loss, box_loss = losses(outputs, anchors, label, boxes)
            return ops.sum(class_loss) + ops.sum(box_loss), select_detections(outputs, config, config.overlap)

        self._anchors = config.anchors
        self._compiled: Any = tf.function(
            step,
            input_signature=[
                tf.TensorSpec([1, None, None, config.channels], tf.float32),
                tf.TensorSpec([None, 4], tf.float32),
                tf.TensorSpec([1, None], tf.int32),
                tf.TensorSpec([1, None, 4], tf.float32),
            ],
        )

    def __call__(self, image: Any, label: Any, boxes: Any) -> tuple[float, Any]:
        """(loss, detections float32 [K, 6] in image pixels) of one image [1, y, x, channel] and its targets [A], [A, 4]."""
        anchors = anchor_grid(self._anchors, image.shape[1], image.shape[2])
        loss, rows = self._compiled(image, anchors, label[None], boxes[None])
        return float(loss), rows.numpy()[0]
