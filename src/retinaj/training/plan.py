"""What a run decides from its data before the first step: channels, normalisation, anchors, window, how many boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.dataset import Dataset, Sample
from retinaj.errors import RetinaJError
from retinaj.images.bands import BAND_BYTES, row_bands
from retinaj.model_folder import ModelRecord, TrainingRecord
from retinaj.network.anchors import AnchorFit, fit_anchors, measure_anchors
from retinaj.network.config import NetworkConfig
from retinaj.normalization import FixedScale, PercentileScale, choose_normalization, scale_of_blocks
from retinaj.prediction.detector import to_channels
from retinaj.training.settings import TrainingSettings
from retinaj.training.start import StartingPoint

# Enough images to know a set's mean colour, without reading thousands twice.
_PROBED_IMAGES = 64
# NMS compares each candidate with each: 5,000 take 100 MB for each of a few matrices.
_FEWEST_DETECTIONS, _MOST_DETECTIONS, _MOST_CANDIDATES = 100, 3000, 5000
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
        RetinaJError: if there is no image or no box to learn from, an image is damaged, or images differ in
            their channels.
    """
    if not training.samples or not validation.samples:
        empty = "training" if not training.samples else "validation"
        raise RetinaJError(f"There are no {empty} images. Give more images, or other names to --names and --validation.")
    xyxy = np.concatenate([sample.boxes.xyxy for sample in training.samples])
    label = np.concatenate([sample.boxes.label for sample in training.samples])
    if not len(xyxy):
        raise RetinaJError(f"None of the {len(training.samples)} training images has a box: there is nothing to learn from.")
    survey = _survey((*training.samples, *validation.samples))
    channels, normalization = survey.channels, choose_normalization(survey.dtypes)
    if start is None:
        fit = fit_anchors(xyxy, label, downsampling=settings.downsampling, levels=settings.levels)
    else:
        start.require_settings(settings)
        channels, normalization = start.channels(channels), start.normalization(normalization)
        source = start.record.network
        fit = measure_anchors(source.anchors, source.downsampling, xyxy, label)
    _tell_anchors(fit, training.class_names, log)
    max_detections, max_candidates = _limits(training, validation, log)
    network = NetworkConfig(
        backbone=settings.backbone,
        channels=channels,
        num_classes=len(training.class_names),
        downsampling=fit.downsampling,
        norm=settings.norm,
        separable=settings.separable,
        pyramid_width=settings.pyramid_width,
        anchors=fit.config,
        fill=_mean_colour(training.samples, normalization, channels),
        max_detections=max_detections,
        max_candidates=max_candidates,
    )
    if start is not None:
        network = start.network(network.num_classes, network.fill, network.max_detections, network.max_candidates)
    window = settings.window or _choose_window(xyxy, survey.longest_side, network)
    counts = np.bincount(label, minlength=len(training.class_names))
    return ModelRecord(
        name=name,
        class_names=training.class_names,
        pixel_type=_pixel_type(survey.dtypes),
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


@dataclass(frozen=True)
class _Survey:
    """What all images have in common.

    Attributes:
        dtypes: their pixel types.
        channels: what the network will see: 1 if every image is grey, whatever the file format calls it.
        longest_side: of the largest image, in pixels.
    """

    dtypes: set[np.dtype[np.generic]]
    channels: int
    longest_side: int


def _survey(samples: Sequence[Sample]) -> _Survey:
    """Read every image once, so that a damaged or odd one stops the run now and not in the middle of an epoch."""
    dtypes: set[np.dtype[np.generic]] = set()
    channels: dict[int, Path] = {}
    grey, longest = True, 0
    for sample in samples:
        image = sample.open()
        longest = max(longest, image.sizes["x"], image.sizes["y"])
        for band in row_bands(image):
            pixels = _last_channel(band)
            dtypes.add(pixels.dtype)
            channels.setdefault(pixels.shape[-1], sample.image_path)
            grey = grey and pixels.shape[-1] in (1, 3) and bool((pixels == pixels[..., :1]).all())
    if grey:
        return _Survey(dtypes, 1, longest)
    if set(channels) - {1, 3} and len(channels) > 1:
        examples = ", ".join(f"{path.name} has {count}" for count, path in sorted(channels.items()))
        raise RetinaJError(f"The images have different numbers of channels: {examples}. Train on one kind at a time.")
    return _Survey(dtypes, max(channels), longest)


def _last_channel(image: xr.DataArray) -> NDArray[np.generic]:
    """The pixels [y, x, channel] of a plane."""
    return image.transpose("y", "x", "c").to_numpy() if "c" in image.dims else image.to_numpy()[..., None]


def _mean_colour(samples: Sequence[Sample], normalization: FixedScale | PercentileScale, channels: int) -> tuple[float, ...]:
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


def _pixel_type(dtypes: set[np.dtype[np.generic]]) -> Literal["uint8", "uint16", "float32"]:
    if dtypes == {np.dtype(np.uint8)}:
        return "uint8"
    return "uint16" if dtypes <= {np.dtype(np.uint8), np.dtype(np.uint16)} else "float32"


def _limits(training: Dataset, validation: Dataset, log: Callable[[str], None]) -> tuple[int, int]:
    """(most boxes of an image, candidates for NMS): twice what any annotated image has, as far as memory allows."""
    most = max(len(sample.boxes) for sample in (*training.samples, *validation.samples))
    detections = min(max(_FEWEST_DETECTIONS, -(-2 * most // 100) * 100), _MOST_DETECTIONS)
    if most > detections:
        log(
            f"Warning: an image has {most} boxes, but a model reports {detections} at most in one pass. Images that are too "
            "large for one pass are searched in tiles, each of which may have as many; search others with --tiles."
        )
    return detections, min(3 * detections + 200, _MOST_CANDIDATES)


def _choose_window(xyxy: NDArray[np.float32], longest_side: int, network: NetworkConfig) -> int:
    """Twice the side of a large object, within 256..512 downsampled pixels, and not larger than the images."""
    longer = (xyxy[:, 2:] - xyxy[:, :2]).max(axis=1) / network.downsampling
    wanted = np.clip(2 * np.percentile(longer, 98), _SMALLEST_WINDOW, _LARGEST_WINDOW)
    largest = longest_side / network.downsampling
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
