"""Time spans in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A time span for people, in its two largest units.

    >>> duration(4.2), duration(61), duration(725), duration(7325)
    ('4 s', '1 min 1 s', '12 min 5 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
