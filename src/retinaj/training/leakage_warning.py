"""Whether validation images show what training images show: the validation figures would flatter the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from retinaj.checking.leakage import compare_parts

_SECONDS = 20.0  # for reading, and again for comparing: little beside the training
_SHOWN = 5


def leakage_lines(training: list[Path], validation: list[Path]) -> Iterator[str]:
    """What to tell the user: images of the two parts that are copies or overlap, and how much was compared."""
    found = compare_parts({"training": training, "validation": validation}, seconds=_SECONDS)
    alike = [each for each in found.findings if each.check in ("identical-across-parts", "overlap-across-parts")]
    for each in alike[:_SHOWN]:
        yield f"Warning: {each}"
    flatters = "copies or overlapping fields, so that validation flatters the model"
    result = f"{len(alike)} of them {flatters}" if alike else "no copies, no overlapping fields"
    result += f" ({_SHOWN} are above; `retinaj check` lists all)" if len(alike) > _SHOWN else ""
    yield f"Compared {found.pairs:,} pairs of training and validation images: {result}."
    for each in found.findings:
        if each.check == "not-compared":
            yield f"Note: {each.message}."
