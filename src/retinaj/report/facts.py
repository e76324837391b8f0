"""What a model is and how it was trained, as rows of a table."""

from __future__ import annotations

from retinaj.augmentation import AugmentationConfig
from retinaj.augmentation.strengths import strengths_text
from retinaj.durations import duration
from retinaj.model_folder import ModelRecord
from retinaj.normalization import FixedScale


def model_facts(record: ModelRecord) -> list[tuple[str, str]]:
    """(name, value) pairs for people, the most asked for first."""
    network, training, settings = record.network, record.training, record.training.settings
    anchors = network.anchors
    start = "ImageNet weights" if settings.imagenet_weights else "random weights"
    if training.started_from is not None:
        start = f"the weights of the model {training.started_from.name}"
    imported = training.imported_from
    if imported is not None:
        start = imported.words
    facts = [
        ("Classes", ", ".join(record.class_names)),
        ("Backbone", f"{network.backbone}, from {start}"),
        ("Input", f"{network.channels} channel{'s' * (network.channels > 1)}, {record.pixel_type}, any size"),
        *([("Of stacks", settings.planes.words)] if settings.planes.words else []),
        ("Normalisation", _normalization(record)),
        (
            "Feature pyramid",
            f"P{anchors.min_level} to P{anchors.max_level}, {network.pyramid_width} channels, "
            f"image averaged down by {network.downsampling}",
        ),
        (
            "Anchors",
            f"{anchors.per_cell} per cell from {anchors.base:g} strides"
            + (f"; they cover {training.anchor_coverage:.1%} of the training boxes (IoU ≥ .5)" if imported is None else ""),
        ),
        *([] if imported is not None else _run_facts(record)),
        ("Versions", ", ".join(f"{name} {number}" for name, number in record.versions.items())),
        ("Weights", f"SHA-256 {record.weights_sha256[:16]}…"),
    ]
    return [(name, value) for name, value in facts if value]


def _run_facts(record: ModelRecord) -> list[tuple[str, str]]:
    """What is known of a training with RetinaJ."""
    training, settings = record.training, record.training.settings
    return [
        ("Trained on", f"{training.images:,} images with {training.boxes:,} boxes"),
        ("Best epoch chosen on", f"{training.validation_images:,} images"),
        ("Epochs", f"{training.epochs_done} of {settings.epochs}, the best was number {training.best_epoch}"),
        ("Batch", f"{settings.batch_size} windows of {training.window} × {training.window} pixels"),
        ("Augmentation", strengths_text(settings.augmentation, AugmentationConfig()) or "the default strengths"),
        (
            "Optimiser",
            f"{settings.optimizer}, learning rate {settings.learning_rate:g}, weight decay {settings.weight_decay:g}",
        ),
        ("Losses", f"focal (α {settings.focal_alpha:g}, γ {settings.focal_gamma:g}) and {settings.box_loss}"),
        ("Seed", str(settings.seed)),
        ("Time", f"{duration(training.seconds)}, {training.seconds_per_step:.3f} s per step"),
        ("Started", training.started),
    ]


def anchor_table(record: ModelRecord) -> list[tuple[str, int, float]]:
    """(class, training boxes, share of them that an anchor covers) for each class that has boxes."""
    training = record.training
    return [
        (name, training.class_counts.get(name, 0), training.class_coverage[name])
        for name in record.class_names
        if name in training.class_coverage
    ]


def _normalization(record: ModelRecord) -> str:
    chosen = record.normalization
    if isinstance(chosen, FixedScale):
        return f"fixed: pixel × {chosen.gain:.4g} {'+' if chosen.offset >= 0 else '−'} {abs(chosen.offset):g}"
    return f"per image and channel, percentiles {chosen.low:g} to {chosen.high:g}"
