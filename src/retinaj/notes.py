"""Many notes in few lines: one for each kind, for people to read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from retinaj.annotations.instances import DESCRIBED, describe_together
from retinaj.checking.findings import VERBS

_LINES = 20
_FEW = 3  # notes of one kind that are said one by one
_SUBJECT = re.compile(rf"(.+?)(?:: | (?={'|'.join(VERBS)}))(.*)", re.DOTALL)
_VALUE = re.compile(r"'[^']*'|\d[\d.,]*")


def summarised(notes: Sequence[str]) -> list[str]:
    """One line for the notes of one kind, in the order in which the kinds begin.

    Args:
        notes: a sentence each, which begins with the file or image that it is about.

    >>> summarised(["a.png: is empty", "b.png: is empty", "c.png: has 3 channels"])
    ['a.png and 1 more: is empty', 'c.png: has 3 channels']
    >>> summarised([f"{name}.xml: object {at} has no area" for at, name in enumerate("abcd")])
    ['a.xml: object 0 has no area (and 3 more like this)']
    >>> summarised([f"{name}.tif: of its 9 objects 2 touch another" for name in "abcd"])
    ['a.tif and 3 more: of their 36 objects 8 touch another']
    """
    kinds: dict[str, list[tuple[str, str]]] = {}
    for note in notes:
        found = _SUBJECT.fullmatch(note)
        subject, rest = found.groups() if found else ("", note)
        kind = "instances" if DESCRIBED.search(rest) else _VALUE.sub("#", rest)
        kinds.setdefault(kind, []).append((subject, note))
    lines: list[str] = []
    for members in kinds.values():
        first, said = members[0]
        more = f"{len(members) - 1:,} more"
        same = {note.removeprefix(subject) for subject, note in members}
        if len(members) > 1 and DESCRIBED.search(said):
            others = len({subject for subject, _ in members}) - 1  # a file has a note for each class and plane
            where = f"{first} and {others:,} more" if others else first
            lines.append(f"{where}: {describe_together([note for _, note in members])}")
        elif len(members) > 1 and len(same) == 1 and (rest := same.pop()).startswith(": "):
            lines.append(f"{first} and {more}{rest}")
        elif len(members) <= _FEW:
            lines += [note for _, note in members]
        else:
            lines.append(f"{said} (and {more} like this)")
    return lines


def shortly(notes: Sequence[str]) -> list[str]:
    """As `summarised`, but at most 20 lines, and one that counts the others."""
    lines = summarised(notes)
    more = len(lines) - _LINES
    return lines if more <= 0 else [*lines[:_LINES], f"and {more:,} more; `retinaj check` lists all."]
