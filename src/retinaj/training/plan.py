"""What a run decides from its data before the first step: channels, normalisation, anchors, window, how many boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retinaj.dataset import Dataset, Sample
from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj.model_folder import ModelRecord, TrainingRecord
from retinaj.network.anchors import AnchorFit, fit_anchors, measure_anchors
from retinaj.network.config import NetworkConfig
from retinaj.normalization import choose_normalization
from retinaj.training.settings import TrainingSettings
from retinaj.training.start import StartingPoint

# Enough images to know a set's mean colour and pixel types, without reading thousands twice.
_PROBED_IMAGES = 64
_COVERAGE_WARNING = 0.95
_SMALLEST_WINDOW, _LARGEST_WINDOW = 256, 512
_PACKAGES = ("retinaj", "tensorflow", "keras", "numpy")


def plan_model(
    name: str,
    training: Dataset,
    validation: Dataset,
    settings: TrainingSettings,
    log: Callable[[str], None],
    start: StartingPoint | None = None,
) -> ModelRecord:
    """Choose everything that the settings leave open, and say what was chosen.

    From a starting point, the network with its anchors and the normalisation are taken over instead.

    Raises:
        RetinaJError: if there is no image or no box to learn from, or images differ in their channels.
    """
    if not training.samples or not validation.samples:
        empty = "training" if not training.samples else "validation"
        raise RetinaJError(f"There are no {empty} images. Give more images, or other names to --names and --validation.")
    xyxy = np.concatenate([sample.boxes.xyxy for sample in training.samples])
    label = np.concatenate([sample.boxes.label for sample in training.samples])
    if not len(xyxy):
        raise RetinaJError(f"None of the {len(training.samples)} training images has a box: there is nothing to learn from.")
    probe = _probe(training.samples)
    if start is None:
        fit = fit_anchors(xyxy, label, downsampling=settings.downsampling, levels=settings.levels)
    else:
        start.require_settings(settings)
        probe = start.images(probe)
        source = start.record.network
        fit = measure_anchors(source.anchors, source.downsampling, xyxy, label)
    _tell_anchors(fit, training.class_names, log)
    normalization = choose_normalization({image.dtype for image in probe})
    if start is not None:
        normalization = start.normalization(normalization)
    mean = np.mean([normalization(image).mean(axis=(0, 1)) for image in probe], axis=0)
    most = max(len(sample.boxes) for sample in (*training.samples, *validation.samples))
    max_detections = max(100, -(-2 * most // 100) * 100)
    network = NetworkConfig(
        backbone=settings.backbone,
        channels=probe[0].shape[-1],
        num_classes=len(training.class_names),
        downsampling=fit.downsampling,
        pyramid_width=settings.pyramid_width,
        anchors=fit.config,
        fill=tuple(round(float(value), 4) for value in mean),
        max_detections=max_detections,
        max_candidates=3 * max_detections + 200,
    )
    if start is not None:
        network = start.network(network.num_classes, network.fill, network.max_detections, network.max_candidates)
    window = settings.window or _choose_window(xyxy, probe, network)
    counts = np.bincount(label, minlength=len(training.class_names))
    return ModelRecord(
        name=name,
        class_names=training.class_names,
        pixel_type=_pixel_type(probe),
        network=network,
        normalization=normalization,
        training=TrainingRecord(
            settings=settings,
            window=window,
            images=len(training.samples),
            boxes=len(xyxy),
            class_counts={name: int(n) for name, n in zip(training.class_names, counts, strict=True)},
            validation_images=len(validation.samples),
            anchor_coverage=fit.coverage,
            class_coverage={training.class_names[index]: share for index, share in fit.class_coverage.items()},
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            started_from=None if start is None else start.described(training.class_names, log),
        ),
        versions={package: version(package) for package in _PACKAGES},
    )


def _probe(samples: Sequence[Sample]) -> list[NDArray[np.generic]]:
    """Pixels [y, x, channel] of evenly chosen images, grey ones of a grey set as one channel."""
    chosen = samples[:: max(1, len(samples) // _PROBED_IMAGES)]
    images: list[NDArray[np.generic]] = []
    for sample in chosen:
        image = read_image(sample.image_path)
        if {"t", "z"} & set(image.dims):
            raise RetinaJError(
                f"{sample.image_path} is a stack ({dict(image.sizes)}); training needs single planes. "
                "Save the planes that you annotated as images of their own."
            )
        images.append(image.transpose("y", "x", "c").to_numpy() if "c" in image.dims else image.to_numpy()[..., None])
    if all(image.shape[-1] in (1, 3) and (image == image[..., :1]).all() for image in images):
        return [image[..., :1] for image in images]  # grey, whatever the file format calls it
    channels = {image.shape[-1] for image in images}
    if channels == {1, 3}:
        return [np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image for image in images]
    if len(channels) > 1:
        raise RetinaJError(f"The images have different numbers of channels: {sorted(channels)}. Train on one kind at a time.")
    return images


def _pixel_type(images: list[NDArray[np.generic]]) -> Literal["uint8", "uint16", "float32"]:
    dtypes = {image.dtype for image in images}
    if dtypes == {np.dtype(np.uint8)}:
        return "uint8"
    return "uint16" if dtypes <= {np.dtype(np.uint8), np.dtype(np.uint16)} else "float32"


def _choose_window(xyxy: NDArray[np.float32], images: list[NDArray[np.generic]], network: NetworkConfig) -> int:
    """Twice the side of a large object, within 256..512 downsampled pixels, and not larger than the images."""
    longer = (xyxy[:, 2:] - xyxy[:, :2]).max(axis=1) / network.downsampling
    wanted = np.clip(2 * np.percentile(longer, 98), _SMALLEST_WINDOW, _LARGEST_WINDOW)
    largest = max(max(image.shape[:2]) for image in images) / network.downsampling
    multiple = network.stride // network.downsampling
    return int(-(-min(wanted, largest) // multiple) * multiple)


def _tell_anchors(fit: AnchorFit, class_names: tuple[str, ...], log: Callable[[str], None]) -> None:
    anchors = fit.config
    log(
        f"Anchors: pyramid levels P{anchors.min_level}-P{anchors.max_level}, {anchors.per_cell} per cell from "
        f"{anchors.base:g} strides, image averaged down by {fit.downsampling}; they cover {fit.coverage:.1%} of the boxes "
        "(IoU >= 0.5)."
    )
    for index, share in fit.class_coverage.items():
        if share < _COVERAGE_WARNING:
            log(
                f"Warning: anchors cover only {share:.1%} of the boxes of {class_names[index]!r}; the rest is hard to learn. "
                "Very long, very small or very differently sized boxes are the usual reason: look at the annotations."
            )
