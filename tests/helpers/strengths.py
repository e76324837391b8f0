"""Augmentation at the end of its range."""

from __future__ import annotations

from retinaj.augmentation import AugmentationConfig

SWITCHES = ("flip", "quarter_turns")


def limits(name: str) -> tuple[float, float]:
    """The lowest and the highest value of a strength that is a number."""
    metadata = AugmentationConfig.model_fields[name].metadata
    return next(m.ge for m in metadata if hasattr(m, "ge")), next(m.le for m in metadata if hasattr(m, "le"))


def strongest() -> AugmentationConfig:
    """Everything as strong as it can be."""
    highest = {name: limits(name)[1] for name in AugmentationConfig.model_fields if name not in SWITCHES}
    return AugmentationConfig.model_validate(highest)
