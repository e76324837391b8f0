"""What a run decides from its data before the first step: channels, normalisation, anchors, window, how many boxes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from retinaj.dataset import Dataset
from retinaj.errors import RetinaJError
from retinaj.model_folder import ModelRecord, TrainingRecord
from retinaj.network.anchors import AnchorFit, fit_anchors, measure_anchors
from retinaj.network.config import NetworkConfig
from retinaj.normalization import FixedScale, PercentileScale, choose_normalization
from retinaj.training.settings import TrainingSettings
from retinaj.training.start import StartingPoint
from retinaj.training.survey import Survey, mean_colour, survey_images

# NMS compares each candidate with each: 5,000 take 100 MB for each of a few matrices.
_FEWEST_DETECTIONS, _MOST_DETECTIONS = 100, 3000
# Many anchors find the same object. Too few candidates lose objects: on nuclei_fluo, 3 for each box cost .01 AP@.5.
_CANDIDATES_EACH, _FEWEST_CANDIDATES, _MOST_CANDIDATES = 5, 1000, 5000
# P2 has four times the cells of P3, and most of the work is that of the heads. In the same time narrower ones with a tower for
# both see twice as many images: on the validation images of nuclei_fluo .02 AP more. BCCD, without P2, is better off with two.
_WIDTH, _WIDTH_WITH_P2 = 64, 48
# Chosen on the validation images of BCCD and nuclei_fluo, where voting gives .01 to .02 AP.
_VOTING = 0.7
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
    survey = survey_images((*training.samples, *validation.samples))
    channels, normalization = survey.channels, _normalization(survey, settings, start, log)
    if start is None:
        fit = fit_anchors(xyxy, label, downsampling=settings.downsampling, levels=settings.levels)
    else:
        start.require_settings(settings)
        channels = start.channels(channels)
        source = start.record.network
        fit = measure_anchors(source.anchors, source.downsampling, xyxy, label)
    _tell_anchors(fit, training.class_names, log)
    max_detections, max_candidates = _limits(training, validation, log)
    has_p2 = fit.config.min_level == 2
    network = NetworkConfig(
        backbone=settings.backbone,
        channels=channels,
        num_classes=len(training.class_names),
        downsampling=fit.downsampling,
        norm=settings.norm,
        separable=settings.separable,
        shared_tower=has_p2 if settings.shared_tower is None else settings.shared_tower,
        pyramid_width=settings.pyramid_width or (_WIDTH_WITH_P2 if has_p2 else _WIDTH),
        anchors=fit.config,
        fill=mean_colour(training.samples, normalization, channels),
        max_detections=max_detections,
        max_candidates=max_candidates,
        voting=_VOTING,
    )
    if start is not None:
        network = start.network(network.num_classes, network.fill, network.max_detections, network.max_candidates)
    window = settings.window or _choose_window(xyxy, survey.longest_side, network)
    counts = np.bincount(label, minlength=len(training.class_names))
    return ModelRecord(
        name=name,
        class_names=training.class_names,
        pixel_type=survey.pixel_type,
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


def _normalization(
    survey: Survey, settings: TrainingSettings, start: StartingPoint | None, log: Callable[[str], None]
) -> FixedScale | PercentileScale:
    """How pixel values become network input: as asked for, as the weights are used to, or as the images need it.

    Raises:
        RetinaJError: if the fixed scale of 8-bit images is asked for others.
    """
    if settings.normalization == "fixed" and survey.pixel_type != "uint8":
        raise RetinaJError(
            f"--normalization fixed is for 8-bit images, and among these are {survey.pixel_type} ones. Use percentile, or "
            "leave the option out."
        )
    if settings.normalization is not None:
        return FixedScale() if settings.normalization == "fixed" else PercentileScale()
    if start is not None:
        return start.normalization(choose_normalization(survey.dtypes))
    chosen = choose_normalization(survey.dtypes, survey.channels, survey.spans)
    if chosen.kind == "percentile" and survey.pixel_type == "uint8":
        low, high = np.percentile(survey.spans, [10, 90])
        log(
            f"Brightness: the images are exposed differently, most of them use between {low:.0f} and {high:.0f} of 256 grey "
            "values. Each is stretched to the same range; --normalization fixed takes them as they are."
        )
    return chosen


def _limits(training: Dataset, validation: Dataset, log: Callable[[str], None]) -> tuple[int, int]:
    """(most boxes of an image, candidates for NMS): twice what any annotated image has, as far as memory allows."""
    most = max(len(sample.boxes) for sample in (*training.samples, *validation.samples))
    detections = min(max(_FEWEST_DETECTIONS, -(-2 * most // 100) * 100), _MOST_DETECTIONS)
    if most > detections:
        log(
            f"Warning: an image has {most} boxes, but a model reports {detections} at most in one pass. Images that are too "
            "large for one pass are searched in tiles, each of which may have as many; search others with --tiles."
        )
    return detections, min(max(_CANDIDATES_EACH * detections, _FEWEST_CANDIDATES), _MOST_CANDIDATES)


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
