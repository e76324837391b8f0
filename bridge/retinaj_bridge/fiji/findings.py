"""What the doctor has to say about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Grade(Enum):
    """How good it is."""

    GOOD = "ok"
    PROBLEM = "problem"
    UNTRIED = "not tried"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    Attributes:
        what: was looked at, such as "Fiji's Java".
        grade: how good it is.
        found: what there is, in a few words or a sentence.
        advice: what to do about a problem; may be part of `found` already.
    """

    what: str
    grade: Grade
    found: str
    advice: str = ""


def good(what: str, found: str) -> Finding:
    """It is as it should be."""
    return Finding(what, Grade.GOOD, found)


def problem(what: str, found: str, advice: str = "") -> Finding:
    """Something to put right."""
    return Finding(what, Grade.PROBLEM, found, advice)


def untried(what: str, why: str) -> Finding:
    """It could not be looked at, because of another problem."""
    return Finding(what, Grade.UNTRIED, why)
