"""Numbers of things in words."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number and its noun, singular or plural.

    >>> counted(1, "image"), counted(3, "other class"), counted(1200, "box")
    ('1 image', '3 other classes', '1,200 boxes')
    >>> counted(2, "copy", "copies")
    '2 copies'
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {plural or noun + ('es' if noun.endswith(('s', 'x')) else 's')}"
