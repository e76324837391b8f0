"""Presets: settings for a machine and a purpose, where the user leaves them open. Imports no TensorFlow.

laptop: the defaults of `TrainingSettings`, for two cores and half an hour. Measured on blood cells (docs/results.md): AP@.5:.95
.623 on the test images after 23 minutes.

gpu: what a GPU has room for in twenty minutes. NOT measured, because no GPU was at hand; each value has its reason:
    - `light_large` with 128 channels in pyramid and heads: 4.8 million weights, five times `light`. Not a ResNet: from random
      weights those need more images than a microscopist has (He, Girshick & Dollár 2019, "Rethinking ImageNet
      Pre-training": as good as pretrained with 10,000 images, far worse with 1,000).
    - batches of 16, as in Lin et al. 2017, and twice the learning rate of batches of 4: for Adam it grows with the root of
      the batch (Malladi et al. 2022, "On the SDEs and Scaling Rules for Adaptive Gradient Algorithms"). The higher it is, the
      longer the warm-up.
    - epochs of 2,000 windows: steps become quicker than validation does, which should stay a small part of the time.
    - mixed precision is not of the preset: it is the default on GPUs that are fast at it.

best: as gpu, with the 256 channels of Lin et al. 2017 (8 million weights, as many as YOLOv5s) and up to two hours, ended when
validation AP has not risen for 40 epochs. NOT measured either. It runs on processors too, a fraction of the epochs in the same
time.

With `imagenet_weights`, gpu and best take a backbone that has such weights, ResNet-50 and ConvNeXt-Tiny, and the learning
rate that fine-tunes them with AdamW in batches of 16, 1e-4 (Liu et al. 2022, "A ConvNet for the 2020s", appendix). No
preset asks for ImageNet weights by itself: nothing is downloaded unasked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from retinaj.training.settings import PresetName, TrainingSettings

_GPU: dict[str, Any] = {
    "backbone": "light_large",
    "minutes": 20.0,
    "windows_per_epoch": 2000,
    "batch_size": 16,
    "learning_rate": 2e-3,
    "warmup_steps": 500,
    "pyramid_width": 128,
}
_BEST = _GPU | {"minutes": 120.0, "patience": 40, "pyramid_width": 256}
PRESETS: Mapping[PresetName, Mapping[str, Any]] = MappingProxyType({"laptop": {}, "gpu": _GPU, "best": _BEST})
_WITH_IMAGENET: Mapping[PresetName, Mapping[str, Any]] = {
    "laptop": {},
    "gpu": {"backbone": "resnet50", "learning_rate": 1e-4},
    "best": {"backbone": "convnext_tiny", "learning_rate": 1e-4},
}


def preset_values(name: PresetName, *, imagenet_weights: bool = False) -> dict[str, Any]:
    """The settings that a preset has other than the defaults of `TrainingSettings`.

    >>> preset_values("gpu")["backbone"], preset_values("gpu", imagenet_weights=True)["backbone"]
    ('light_large', 'resnet50')
    """
    return {**PRESETS[name], **(_WITH_IMAGENET[name] if imagenet_weights else {})}


def with_preset(
    settings: TrainingSettings, *, gpu: bool, fixed: Collection[str] = ()
) -> tuple[TrainingSettings, tuple[str, ...]]:
    """Settings in which what nobody has chosen is as the preset says; "auto" becomes a preset.

    Chosen is what was given to `TrainingSettings(...)`, were it the default.

    Args:
        settings: as the user gave them.
        gpu: whether TensorFlow can use one: "auto" is "gpu" then, else "laptop".
        fixed: names of settings that stay as they are for another reason.

    Returns:
        (the settings, names of those that the preset decided).

    >>> decided, names = with_preset(TrainingSettings(preset="gpu", batch_size=4), gpu=False)
    >>> decided.backbone, decided.batch_size, "batch_size" in names
    ('light_large', 4, False)
    """
    name: PresetName = ("gpu" if gpu else "laptop") if settings.preset == "auto" else settings.preset
    taken = settings.model_fields_set.union(fixed)
    values = preset_values(name, imagenet_weights=settings.imagenet_weights)
    values = {each: value for each, value in values.items() if each not in taken}
    return settings.model_copy(update={**values, "preset": name}), tuple(values)


def preset_line(asked: TrainingSettings, decided: TrainingSettings, names: Collection[str]) -> str:
    """What to tell the user about it: which preset, why, and what it changed.

    Args:
        asked: the settings before `with_preset`.
        decided, names: what `with_preset` returned.
    """
    why = ""
    if asked.preset == "auto":
        why = ", because there is a GPU" if decided.preset == "gpu" else ", because there is no GPU"
    changes = ", ".join(f"{name.replace('_', '-')} {_text(getattr(decided, name))}" for name in names)
    what = changes or ("the defaults" if decided.preset == "laptop" else "all that it would set is given")
    return f"Preset {decided.preset}{why}: {what}. Options that are given come before it; --preset chooses another."


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
