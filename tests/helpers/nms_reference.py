"""Greedy per-class NMS in NumPy, as everyone writes it: what the graph's matrix arithmetic must equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.boxes import iou_matrix
from retinaj.errors import RetinaJError
from retinaj.images import find_images, read_image
from retinaj.network.config import NetworkConfig


def greedy(boxes: NDArray[np.float32], labels: NDArray[np.int64], overlap: float) -> NDArray[np.bool_]:
    """Which boxes [N, 4], best first, are kept, bool [N]."""
    drops = rivals(boxes, labels, overlap)
    kept = np.zeros(len(boxes), bool)
    for index in range(len(boxes)):
        kept[index] = not (drops[index] & kept).any()
    return kept


def rivals(boxes: NDArray[np.float32], labels: NDArray[np.int64], overlap: float) -> NDArray[np.bool_]:
    """Which two boxes [N, 4] are of one class and overlap by more than `overlap`, bool [N, N]."""
    return (iou_matrix(boxes, boxes) > overlap) & (labels[:, None] == labels)


def depth(boxes: NDArray[np.float32], labels: NDArray[np.int64], overlap: float) -> int:
    """How many rounds of `retinaj.network.nms.greedy_nms` settle all boxes [N, 4], best first."""
    drops = np.triu(rivals(boxes, labels, overlap), 1)
    kept, rounds = np.ones(len(boxes), bool), 0
    while (after := ~(kept[:, None] & drops).any(axis=0)).tolist() != kept.tolist():
        kept, rounds = after, rounds + 1
    return rounds


def candidates(outputs: dict[str, list[Any]], config: NetworkConfig) -> tuple[NDArray[np.float32], NDArray[np.float32], Any]:
    """From a network's outputs for one image, what enters NMS, best first: boxes [N, 4], scores [N], labels [N] from 0."""
    import tensorflow as tf

    from retinaj.network.detection import decode_levels
    from retinaj.network.retinanet import flatten_levels

    boxes = np.asarray(decode_levels(outputs["box_deltas"], config))[0] * config.downsampling
    scores = np.asarray(tf.sigmoid(flatten_levels(outputs["class_logits"], config.num_classes)))[0].ravel()
    best = np.argsort(-scores, kind="stable")[: config.max_candidates]
    return boxes[best // config.num_classes], scores[best], best % config.num_classes


def voted(boxes: NDArray[np.float32], scores: NDArray[np.float32], labels: Any, overlap: float) -> NDArray[np.float32]:
    """Boxes [N, 4] after voting, one by one."""
    iou = iou_matrix(boxes, boxes) * rivals(boxes, labels, overlap)
    moved = boxes.astype(np.float64)
    for index, row in enumerate(iou):
        votes = row * scores.astype(np.float64) ** 2
        if votes.sum():
            moved[index] = votes @ boxes / votes.sum()
    return moved.astype(np.float32)


def expected_rows(found: tuple[Any, Any, Any], config: NetworkConfig, overlap: float) -> NDArray[np.float32]:
    """What `retinaj.network.detection.select_detections` shall make of `candidates`: [K, 6]."""
    boxes, scores, labels = found
    kept = np.flatnonzero(greedy(boxes, labels, overlap) & (scores >= config.score_floor))[: config.max_detections]
    if config.voting is not None:
        boxes = voted(boxes, scores, labels, config.voting)
    rows = np.zeros((config.max_detections, 6), np.float32)
    rows[: len(kept)] = np.column_stack([boxes[kept], scores[kept], labels[kept] + 1])
    return rows


def real_images(folder: Path) -> list[Path]:
    """Every image below a data set's folder, but no masks, which are annotations."""
    places = [place for place in [folder, *folder.rglob("*/")] if place.name != "masks"]
    return sorted({image for place in places for image in find_images(place)})


def first_plane(path: Path) -> xr.DataArray | None:
    """The first plane of an image, all channels of RGB, else one; None for a file that RetinaJ does not read."""
    try:
        image = read_image(path)
    except RetinaJError:
        return None
    kept = ("y", "x", "c") if image.attrs.get("rgb") else ("y", "x")
    return image.isel({axis: 0 for axis in image.dims if axis not in kept})
