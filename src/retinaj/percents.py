"""Shares, as sentences say them."""

from __future__ import annotations


def percent(value: float) -> str:
    """Whole percents, but 100 % only for all and 0 % only for none.

    >>> percent(0.934), percent(0.9999), percent(1.0), percent(0.0001)
    ('93 %', 'over 99 %', '100 %', 'under 1 %')
    """
    whole = round(100 * value)
    if whole == 100 and value < 1:
        return "over 99 %"
    if whole == 0 and value > 0:
        return "under 1 %"
    return f"{whole} %"
