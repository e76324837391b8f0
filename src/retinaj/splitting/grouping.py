"""Which images belong together: of one plate, patient or well, so that no neighbours end up in different parts."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from retinaj.dataset import Sample
from retinaj.errors import RetinaJError
from retinaj.files import require_file
from retinaj.name_pattern import NamePattern

_OPTION = "--group-by"
_FOLDER = "folder"
_MAX_TABLE_BYTES = 64 * 1024**2
_SHOWN = 3  # names in an error


@dataclass(frozen=True)
class Grouping:
    """How images are grouped.

    Attributes:
        by: "folder": the folder they lie in; "table": a CSV file with the columns image and group; "pattern": what the group
            of a regular expression matches in their path below the folder of images, as in "plate1/a.png".
        value: the CSV file or the pattern.
    """

    by: Literal["folder", "table", "pattern"]
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> Grouping:
        """What `--group-by` means: "folder", a path that ends in .csv, or else a regular expression.

        >>> Grouping.parse("folder").by, Grouping.parse("plates.csv").by, Grouping.parse(r"^(p\\d+)_").by
        ('folder', 'table', 'pattern')
        """
        if text == _FOLDER:
            return cls("folder")
        return cls("table", text) if text.lower().endswith(".csv") else cls("pattern", text)


def group_images(samples: Sequence[Sample], images: Path, grouping: Grouping) -> list[str]:
    """The group of each image.

    Args:
        samples: the images.
        images: the folder that they are in.
        grouping: how to group them.

    Raises:
        RetinaJError: if the pattern or the table cannot be used, an image has no group, or all have the same.
    """
    names = [_relative(sample.image_path, images) for sample in samples]
    if grouping.by == "folder":
        groups = [name.rpartition("/")[0] or "." for name in names]
    elif grouping.by == "table":
        groups = _from_table(Path(grouping.value), samples, names)
    else:
        groups = _from_pattern(NamePattern(grouping.value, _OPTION), names)
    if len(set(groups)) == 1:
        raise RetinaJError(
            f"{_said(grouping)} puts all {len(names)} images, such as {names[0]!r}, into one group, {groups[0]!r}, which "
            "cannot be divided. Expected something in which the images differ, as the number of a plate or patient."
        )
    return groups


def _said(grouping: Grouping) -> str:
    return f"{_OPTION} {grouping.value or grouping.by}"


def _relative(path: Path, images: Path) -> str:
    return path.relative_to(images).as_posix()


def _from_pattern(pattern: NamePattern, names: Sequence[str]) -> list[str]:
    found = [pattern.find(name) for name in names]
    without = [name for name, group in zip(names, found, strict=True) if group is None]
    if without:
        matched = len(names) - len(without)
        some = f"only {matched} of the {len(names)} images' names, not others" if matched else "no image's name"
        raise RetinaJError(
            f'{_OPTION} "{pattern.text}" matches {some}, such as {_examples(without)}. Expected a regular expression that is '
            r"found in each, with one group around what neighbours share, such as '^(plate\d+)_'."
        )
    return [group for group in found if group is not None]


def _from_table(path: Path, samples: Sequence[Sample], names: Sequence[str]) -> list[str]:
    """The second column of the row that has the image in the first; its name with or without folder and suffix."""
    known: dict[str, list[int]] = {}
    for key in ([sample.image_path.name for sample in samples], names, [sample.name for sample in samples]):
        places: dict[str, list[int]] = {}
        for at, name in enumerate(key):
            places.setdefault(name, []).append(at)
        known |= places
    groups: dict[int, str] = {}
    for line, row in _rows(path):
        if row[0] not in known:
            continue  # the header, or an image without annotation
        for at in known[row[0]]:  # the planes of a stack
            if groups.setdefault(at, row[1]) != row[1]:
                raise RetinaJError(f"{path}, line {line}: {row[0]!r} is in the group {row[1]!r}, and before in {groups[at]!r}.")
    without = [name for at, name in enumerate(names) if at not in groups]
    if without:
        raise RetinaJError(
            f"{path} has no row for {len(without)} of the {len(names)} images, such as {_examples(without)}. Expected two "
            "columns, the image's name and its group, with a row for each image."
        )
    return [groups[at] for at in range(len(names))]


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """(line, two cells) of a CSV file; cells are separated by what is between those of its first line."""
    require_file(path, "a table with the columns image and group")
    try:
        if path.stat().st_size > _MAX_TABLE_BYTES:
            raise RetinaJError(f"{path} is larger than {_MAX_TABLE_BYTES >> 20} MiB; a list of images and groups is not.")
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise RetinaJError(f"{path} is not text in UTF-8: {error}. Save the table as CSV UTF-8.") from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if len(cells) != 2 or not all(cells):
                raise RetinaJError(
                    f"{path}, line {reader.line_num}: has {len(cells)} columns ({', '.join(cells)[:80]!r}); expected two, the "
                    "image's name and its group."
                )
            rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise RetinaJError(f"{path}, line {reader.line_num}: is not a table: {error}.") from error
    return rows


def _examples(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN]))
