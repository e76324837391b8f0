"""What training and evaluation do with findings: refuse errors, and tell the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from retinaj.checking.findings import Finding, Grade, in_order
from retinaj.errors import RetinaJError

_SHOWN = 10
# What is left out or changed when the data are loaded, rather than taken as it is.
_LEFT_OUT = frozenset({"zero-area", "outside", "over-border", "size-differs", "doubtful", "crowd", "missing-image"})


def require_no_errors(findings: Sequence[Finding], how_to_see_all: str) -> None:
    """Refuse data with errors.

    Args:
        findings: of all grades.
        how_to_see_all: the command that lists them, for the message.

    Raises:
        RetinaJError: with the first errors, if there are any.
    """
    errors = [each for each in findings if each.grade is Grade.ERROR]
    if not errors:
        return
    if len(errors) == 1:
        raise RetinaJError(f"{_full(errors[0])}. {how_to_see_all}")
    lines = [f"  {_full(each)}" for each in errors[:_SHOWN]]
    if len(errors) > _SHOWN:
        lines.append(f"  and {len(errors) - _SHOWN:,} more")
    raise RetinaJError("\n".join([f"The data have {len(errors):,} errors:", *lines, how_to_see_all]))


def notes_and_warnings(findings: Iterable[Finding]) -> tuple[list[str], list[str]]:
    """(what was left out or changed, what was taken as it is although it is probably a mistake), one sentence each.

    The most serious come first.
    """
    notes: list[str] = []
    warnings: list[str] = []
    for each in in_order(findings):
        if each.check in _LEFT_OUT:
            notes.append(str(each))
        elif each.grade is Grade.WARNING:
            warnings.append(str(each))
    return notes, warnings


def _full(finding: Finding) -> str:
    """With the whole path, to find the file."""
    named = f" ({finding.image.name})" if finding.image not in (None, finding.file) else ""
    return finding.said_of(f"{finding.file}{named}")
