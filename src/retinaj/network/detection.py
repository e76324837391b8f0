"""From a normalised image to detections in one graph: padding, network, decoding and NMS.

Everything is stock Keras layers and `keras.ops`, and every size is taken from the tensors: the same code runs eagerly, inside
tf.function, and on symbolic tensors, where it builds the functional model that is exported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from retinaj.network.anchors import anchor_sizes
from retinaj.network.box_coding import decode_boxes
from retinaj.network.config import NetworkConfig
from retinaj.network.nms import BoxPairs, greedy_nms, voted_boxes
from retinaj.network.retinanet import flatten_levels
from retinaj.network.untyped import layers, ops


def detections(network: Callable[[Any], dict[str, list[Any]]], config: NetworkConfig, image: Any, overlap: Any) -> Any:
    """Detect objects on a batch of images.

    Args:
        network: made by `build_network(config)`.
        config: what it was built from.
        image: float32 [batch, y, x, channel], normalised; any y and x.
        overlap: IoU above which NMS drops the lower-scored of two boxes of a class: a float or a scalar tensor.

    Returns:
        float32 [batch, K, 6] with K = config.max_detections: x_min, y_min, x_max, y_max in image pixels, clipped to the
        image; score; label from 1. Highest score first; rows of zeros fill the rest.
    """
    rows = select_detections(network(network_input(image, config)), config, overlap)
    boxes, rest = ops.split(rows, [4], axis=-1)
    return ops.concatenate([clip_to_image(boxes, image), rest], axis=-1)


def select_detections(outputs: dict[str, list[Any]], config: NetworkConfig, overlap: Any) -> Any:
    """The detections in a network's outputs: decoding, score floor, NMS, box voting and the best K.

    Args and returns as `detections`, except that boxes in the padding are not clipped to the image.
    """
    boxes = decode_levels(outputs["box_deltas"], config) * float(config.downsampling)
    scores = ops.sigmoid(flatten_levels(outputs["class_logits"], config.num_classes))
    boxes, scores, labels = _candidates(boxes, scores, config)
    pairs = BoxPairs.of(boxes, labels)
    keep = greedy_nms(pairs, overlap)
    if config.voting is not None:
        boxes = voted_boxes(boxes, scores, pairs, config.voting)
    scores = scores * keep * ops.cast(scores >= config.score_floor, "float32")
    scores, best = ops.top_k(scores, config.max_detections)
    boxes = _take_rows(boxes, best)
    labels = _take_rows(ops.cast(labels, "float32")[..., None], best)
    rows = ops.concatenate([boxes, scores[..., None], labels + 1.0], axis=-1)
    return rows * ops.cast(scores > 0, "float32")[..., None]


def network_input(image: Any, config: NetworkConfig) -> Any:
    """Pad to the stride with the fill colour, at the bottom and on the right, and average down.

    Args:
        image: float32 [batch, y, x, channel], normalised.
        config: gives stride, fill and downsampling.

    Returns:
        float32 [batch, y', x', channel] for the network.
    """
    image = _pad_axis(_pad_axis(image, 1, config), 2, config)
    if config.downsampling > 1:
        image = layers.AveragePooling2D(config.downsampling)(image)
    return image


def _pad_axis(image: Any, axis: int, config: NetworkConfig) -> Any:
    """Pad one axis to a multiple of the stride that is known only at run time.

    Padding by stride - 1 and cutting back to whole strides needs no arithmetic on shapes, which functional models lack:
    pooling a row of ones counts the whole strides.
    """
    stride = config.stride
    edge, window = (image[:, :1], (stride, 1)) if axis == 1 else (image[:, :, :1], (1, stride))
    margin = ops.repeat(ops.zeros_like(edge) + np.asarray(config.fill, np.float32), stride - 1, axis=axis)
    padded = ops.concatenate([image, margin], axis=axis)
    line = ops.ones_like(padded[:1, :, :1, :1] if axis == 1 else padded[:1, :1, :, :1])
    whole = layers.MaxPooling2D(window, strides=window)(line)
    index = ops.cumsum(ops.repeat(whole, stride, axis=axis), axis=axis) - 1.0
    return ops.take(padded, ops.cast(ops.reshape(index, (-1,)), "int32"), axis=axis)


def decode_levels(box_deltas: list[Any], config: NetworkConfig) -> Any:
    """The boxes that the box head predicts, float32 [batch, A, 4] xyxy in downsampled pixels."""
    decoded: list[Any] = []
    for level, deltas in zip(config.anchors.levels, box_deltas, strict=True):
        sizes = anchor_sizes(config.anchors, level)
        ones = ops.ones_like(deltas[..., :1])
        x = (ops.cumsum(ones, axis=2) - 0.5) * float(2**level)
        y = (ops.cumsum(ones, axis=1) - 0.5) * float(2**level)
        centre = layers.Reshape((-1, 2))(ops.concatenate([x, y] * len(sizes), axis=-1))
        size = layers.Reshape((-1, 2))(ones * sizes.ravel())
        decoded.append(decode_boxes(centre, size, layers.Reshape((-1, 4))(deltas)))
    return decoded[0] if len(decoded) == 1 else layers.Concatenate(axis=1)(decoded)


def clip_to_image(boxes: Any, image: Any) -> Any:
    """Boxes [batch, N, 4] limited to the size of `image` [batch, y, x, channel]."""
    width = ops.sum(ops.ones_like(image[:1, :1, :, :1]))
    height = ops.sum(ops.ones_like(image[:1, :, :1, :1]))
    limit = ops.stack([width, height, width, height])
    return ops.minimum(ops.maximum(boxes, 0.0), limit)


def _candidates(boxes: Any, scores: Any, config: NetworkConfig) -> tuple[Any, Any, Any]:
    """The best-scored pairs of anchor and class: boxes [batch, C, 4], scores [batch, C], labels int32 [batch, C] from 0.

    A small image can have fewer anchors than candidates: rows of score 0 are added first, so that there are always enough.
    """
    count, classes = config.max_candidates, config.num_classes
    flat = ops.pad(layers.Reshape((-1,))(scores), [[0, 0], [0, count]])
    boxes = ops.pad(boxes, [[0, 0], [0, count], [0, 0]])
    best_scores, best = ops.top_k(flat, count)
    anchor = ops.floor_divide(best, classes)
    return _take_rows(boxes, anchor), best_scores, best - anchor * classes


def _take_rows(rows: Any, index: Any) -> Any:
    """rows[b, index[b, i]] for rows [batch, N, V] and integer index [batch, M]: [batch, M, V]."""
    return ops.take_along_axis(rows, ops.cast(index, "int32")[..., None], axis=1)
