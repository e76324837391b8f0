"""label_map.pbtxt of the TF2 Object Detection API: which number stands for which class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format

from retinaj.annotations.annotation import clean_name
from retinaj.annotations.tf_messages import label_map_class
from retinaj.errors import RetinaJError
from retinaj.files import require_file, write_text

MAX_FILE_BYTES = 1024**2  # LVIS, with 1,203 classes, has a fifth
# The library's parser takes quadratic time on long lines, and on rows of backslashes.
MAX_LINE = 10_000
_BACKSLASHES = "\\" * 64


@dataclass(frozen=True)
class LabelMap:
    """The classes of a label map.

    Attributes:
        names: the name that people see, for each number; in the order of the numbers, which need not be 1, 2, 3...
        aliases: the name that people see for each name that records may use instead, such as "/m/01g317" for "Person".
    """

    names: dict[int, str]
    aliases: dict[str, str]


def find(folder: Path) -> Path | None:
    """The label map in a folder: label_map.pbtxt, or the only file of another name such as pascal_label_map.pbtxt.

    Raises:
        RetinaJError: if there are several, and none is label_map.pbtxt.
    """
    usual = folder / "label_map.pbtxt"
    found = [usual] if usual.is_file() else sorted(file for file in folder.glob("*.pbtxt") if "label" in file.name.lower())
    if len(found) > 1:
        raise RetinaJError(f"{folder} has several label maps, {found[0].name} and {found[1].name}; name one with --classes.")
    return found[0] if found else None


def read(path: Path) -> LabelMap:
    """Read one label map. Keypoints, hierarchies and other fields that boxes do not need are ignored.

    Args:
        path: a text file of items such as `item { id: 1 name: 'cell' }`; `display_name`, where there is one, is the name
            that people see.

    Raises:
        RetinaJError: if the file is missing, too large, not such text, or has no classes; if an item has no id of at least
            1 (0 is for the background) or no name, or two items have the same id.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "label_map.pbtxt"
    ...     write(path, ["cell", "debris"])
    ...     read(path).names
    {1: 'cell', 2: 'debris'}
    """
    message = label_map_class()()
    try:
        text_format.Parse(_read_text(path), message, allow_unknown_field=True)
    except text_format.ParseError as error:
        raise RetinaJError(
            f"{path} is not a label map: {_one_line(error)}. Expected items such as: item {{ id: 1 name: 'cell' }}"
        ) from error
    except RecursionError as error:
        raise RetinaJError(f"{path} is not a label map: its braces are nested too deep.") from error
    found: dict[int, str] = {}
    aliases: dict[str, str] = {}
    for place, item in enumerate(message.item, 1):
        where = f"{path}: item {place}"
        alias = clean_name(item.name, where)
        name = clean_name(item.display_name, where) or alias
        if item.HasField("id") and item.id == 0 and name == "background":
            continue
        if not name:
            raise RetinaJError(f"{where} has no name; give it one.")
        if item.id < 1:
            got = f"the id {item.id}" if item.HasField("id") else "no id"
            raise RetinaJError(f"{where}, {name!r}, has {got}; expected a whole number from 1 (0 is for the background).")
        if item.id in found:
            raise RetinaJError(f"{path}: {found[item.id]!r} and {name!r} have the same id, {item.id}; ids must differ.")
        found[item.id] = name
        aliases[alias or name] = name
    if not found:
        raise RetinaJError(f"{path} has no classes. Expected items such as: item {{ id: 1 name: 'cell' }}")
    return LabelMap(dict(sorted(found.items())), aliases)


def write(path: Path, class_names: Sequence[str]) -> None:
    """Write a label map in which the classes have the ids 1, 2, 3... in their order."""
    message = label_map_class()()
    for number, name in enumerate(class_names, 1):
        message.item.add(id=number, name=name)
    write_text(path, text_format.MessageToString(message, as_utf8=True))


def _read_text(path: Path) -> str:
    require_file(path, "a label map (.pbtxt)")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise RetinaJError(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MB; that is not a label map.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RetinaJError(f"{path} is not a label map: it is not UTF-8 text.") from error
    except OSError as error:
        raise RetinaJError(f"{path} cannot be read: {error.strerror or error}.") from error
    if max(map(len, text.splitlines()), default=0) > MAX_LINE or _BACKSLASHES in text:
        raise RetinaJError(
            f"{path} has a line of more than {MAX_LINE:,} characters, or of {len(_BACKSLASHES)} backslashes in a row; "
            "that is not a label map, or it needs line breaks."
        )
    return text


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
