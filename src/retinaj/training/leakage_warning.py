"""Whether validation images show what training images show: the validation figures would flatter the model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from retinaj.checking.leakage import compare_parts
from retinaj.counting import counted
from retinaj.errors import RetinaJError
from retinaj.images import read_header

_SECONDS = 20.0  # for reading, and again for comparing: little beside the training
_SHOWN = 5
# Pixels; comparing takes several times the memory of an image.
_LARGEST = 2**26


def leakage_lines(training: list[Path], validation: list[Path]) -> Iterator[str]:
    """What to tell the user: images of the two parts that are copies or overlap, and how much was compared."""
    parts, is_small = {"training": training, "validation": validation}, cache(_is_small)
    small = {name: [path for path in paths if is_small(path)] for name, paths in parts.items()}
    if left_out := sum(map(len, parts.values())) - sum(map(len, small.values())):
        are = "is" if left_out == 1 else "are"
        yield f"Note: {counted(left_out, 'image')} {are} too large to be compared between training and validation."
    if not all(small.values()):
        return
    found = compare_parts(small, seconds=_SECONDS)
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


def _is_small(path: Path) -> bool:
    try:
        header = read_header(path)
    except RetinaJError:  # such as axes that only the user knows: comparing says what it cannot read
        return True
    return header.width * header.height <= _LARGEST
