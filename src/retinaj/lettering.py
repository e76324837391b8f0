"""The letters in pictures: Pillow's own font has no µ and no Greek, which names of cells need."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import ImageFont


@cache
def letters(size: int) -> ImageFont.FreeTypeFont:
    """Matplotlib's DejaVu Sans, which is on every machine that RetinaJ is on.

    Args:
        size: in pixels.

    >>> letters(16).getlength("µ") != letters(16).getlength("\\0")
    True
    """
    import matplotlib as mpl  # only here: a fifth of a second

    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
