"""One training step and one validation step, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from retinaj.model_folder import ModelRecord
from retinaj.network.anchors import anchor_grid
from retinaj.network.detection import select_detections
from retinaj.network.losses import focal_loss, giou_loss, positives, smooth_l1_loss
from retinaj.network.retinanet import flatten_levels
from retinaj.network.untyped import keras, ops, tf
from retinaj.training.settings import TrainingSettings

_FINAL_LEARNING_RATE = 0.02  # of the highest


def learning_rate(settings: TrainingSettings, step: int, steps: int) -> float:
    """Linear warm-up, then a half cosine to 2 % of the highest.

    Args:
        settings: gives the highest rate and the length of the warm-up.
        step: finished steps.
        steps: of the whole run.

    >>> settings = TrainingSettings(learning_rate=0.001, warmup_steps=10)
    >>> [round(learning_rate(settings, step, 110), 6) for step in (0, 9, 10, 60, 110)]
    [0.0001, 0.001, 0.001, 0.00051, 2e-05]
    """
    warmup = min(settings.warmup_steps, steps // 5)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(steps - warmup, 1)
    cosine = 0.5 * (1 + np.cos(np.pi * min(progress, 1.0)))
    return float(settings.learning_rate * (_FINAL_LEARNING_RATE + (1 - _FINAL_LEARNING_RATE) * cosine))


def build_optimizer(settings: TrainingSettings, network: Any) -> Any:
    """AdamW (Loshchilov & Hutter 2019) that decays convolution kernels only, built for the network's weights."""
    optimizer = keras.optimizers.AdamW(
        settings.learning_rate, weight_decay=settings.weight_decay, global_clipnorm=settings.clip_norm
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(network.trainable_variables)
    return optimizer


class Losses:
    """Class and box loss of a model's outputs, normalised by the batch's positive anchors."""

    def __init__(self, record: ModelRecord) -> None:
        self._settings = record.training.settings
        self._classes = record.network.num_classes
        self._box_loss = giou_loss if self._settings.box_loss == "giou" else smooth_l1_loss

    def __call__(self, outputs: Any, anchors: Any, label: Any, boxes: Any) -> tuple[Any, Any]:
        """The weighted (class loss, box loss), scalars.

        Args:
            outputs: of the network.
            anchors: float32 [A, 4] xyxy.
            label: int32 [batch, A].
            boxes: float32 [batch, A, 4].
        """
        settings = self._settings
        positive = positives(label)
        count = ops.maximum(ops.sum(positive), 1.0)  # an image without objects has no positive anchor
        logits = flatten_levels(outputs["class_logits"], self._classes)
        deltas = flatten_levels(outputs["box_deltas"], 4)
        class_loss = focal_loss(logits, label, alpha=settings.focal_alpha, gamma=settings.focal_gamma)
        centre, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
        box_loss = self._box_loss(deltas, centre, size, boxes, positive)
        return settings.class_weight * class_loss / count, settings.box_weight * box_loss / count


class TrainingStep:
    """Updates a network by one batch, and its averaged twin along with it.

    Args:
        record: of the model.
        network: trained in place.
        average: the twin that holds the exponential moving average of the weights.
        optimizer: made by `build_optimizer`.
    """

    def __init__(self, record: ModelRecord, network: Any, average: Any, optimizer: Any) -> None:
        side = record.training.window
        self._anchors = tf.constant(anchor_grid(record.network.anchors, side, side))
        self._losses = Losses(record)
        self._network, self._average, self._optimizer = network, average, optimizer
        self._ema = record.training.settings.ema
        self._compiled: Any = tf.function(self._step)

    def __call__(self, batch: tuple[Any, Any, Any], rate: float, step: int) -> tuple[float, float]:
        """Train on one batch and return its (class loss, box loss).

        Args:
            batch: of `WindowSource.epoch`.
            rate: the learning rate.
            step: finished steps; a young average follows the weights quickly.
        """
        self._optimizer.learning_rate.assign(rate)
        decay = min(self._ema, (1 + step) / (10 + step))
        class_loss, box_loss = self._compiled(*batch, tf.constant(decay, tf.float32))
        return float(class_loss), float(box_loss)

    def _step(self, image: Any, label: Any, boxes: Any, decay: Any) -> tuple[Any, Any]:
        variables = self._network.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self._network(image, training=True)
            class_loss, box_loss = self._losses(outputs, self._anchors, label, boxes)
            loss = class_loss + box_loss
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        for mean, variable in zip(self._average.variables, self._network.variables, strict=True):
            mean.assign(mean * decay + variable * (1 - decay))
        return class_loss, box_loss


class ValidationStep:
    """The loss and the detections of a network on one whole image."""

    def __init__(self, record: ModelRecord, network: Any) -> None:
        config, losses = record.network, Losses(record)

        def step(image: Any, anchors: Any, label: Any, boxes: Any) -> tuple[Any, Any]:
            outputs = network(image, training=False)
            class_loss, box_loss = losses(outputs, anchors, label, boxes)
            return class_loss + box_loss, select_detections(outputs, config, config.overlap)

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
