"""The names of the classes over all annotations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retinaj.annotations import Annotation
from retinaj.checking.boxes import corners_of
from retinaj.checking.findings import Finding

_SEPARATORS = re.compile(r"[\s_-]+")


@dataclass
class ClassUse:
    """Where a class is used: how often, and the first object of it."""

    count: int
    annotation: Annotation
    image: Path
    at: int

    def finding(self, check: str, message: str) -> Finding:
        """Something about the class, shown on its first object."""
        entry = self.annotation
        return Finding(check, entry.source, message, entry.place(self.at), self.image, (corners_of(entry.boxes, self.at),))


def uses_of_classes(pairs: Mapping[Path, Annotation]) -> dict[str, ClassUse]:
    """All classes that have objects, as first met."""
    uses: dict[str, ClassUse] = {}
    for image, entry in pairs.items():
        for at, name in enumerate(entry.boxes.names):
            if name in uses:
                uses[name].count += 1
            else:
                uses[name] = ClassUse(1, entry, image, at)
    return uses


def one_spelling(counts: Mapping[str, int]) -> dict[str, str]:
    """For each class that is another one's name but for case, blanks, - and _: the name that is used most.

    >>> one_spelling({"White cell": 9, "white_cell": 2, "RBC": 5})
    {'white_cell': 'White cell'}
    """
    groups: dict[str, list[str]] = {}
    for name in counts:
        groups.setdefault(_SEPARATORS.sub("", name).casefold(), []).append(name)
    # max() gives the first of equals: the one that was met first.
    return {
        name: best
        for group in groups.values()
        for best in [max(group, key=lambda each: counts[each])]
        for name in group
        if name != best
    }


def check_classes(pairs: Mapping[Path, Annotation]) -> Iterator[Finding]:
    """Classes with more than one spelling, and classes with a single object."""
    uses = uses_of_classes(pairs)
    spellings = one_spelling({name: use.count for name, use in uses.items()})
    for name, best in spellings.items():
        both = f"{name!r} ({_objects(uses[name].count)}) is spelt like {best!r} ({_objects(uses[best].count)})"
        message = f"{both} but for case, blanks, - or _"
        yield uses[name].finding("class-spelling", message)
    for name, use in uses.items():
        if use.count == 1 and len(pairs) > 1 and name not in spellings:
            yield use.finding("one-off-class", f"is the only object of the class {name!r}")


def check_trained(parts: Mapping[str, Mapping[Path, Annotation]], training: str) -> Iterator[Finding]:
    """Classes that have objects in some part, but not in the one that is trained on."""
    known = {name for entry in parts[training].values() for name in entry.boxes.names}
    for part, pairs in parts.items():
        for name, use in uses_of_classes(pairs).items():
            if name not in known:
                message = f"is of the class {name!r}, which {part} has ({_objects(use.count)}) and {training} has not"
                yield use.finding("untrained-class", message)


def count_classes(annotations: Sequence[Annotation]) -> dict[str, int]:
    """How many objects each class has."""
    return dict(Counter(name for entry in annotations for name in entry.boxes.names))


def _objects(count: int) -> str:
    return f"{count:,} object{'s' * (count != 1)}"
