"""Files with the names of classes, as YOLO's tools put them beside the labels: data.yaml, classes.txt, obj.names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from retinaj.annotations.annotation import clean_name
from retinaj.annotations.text_files import open_text
from retinaj.errors import RetinaJError

MAX_FILE_BYTES = 2**20  # 10,000 classes have some 200 kB
MAX_CLASSES = 100_000

_USUAL_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "classes.txt", "_classes.txt", "obj.names")
_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class ClassFile:
    """What such a file says.

    Attributes:
        path: the file.
        names: the name of each class number.
        keypoints: whether the labels go on with key points behind the box (`kpt_shape` in a data.yaml).
    """

    path: Path
    names: Mapping[int, str]
    keypoints: bool = False


def find_class_file(folder: Path) -> Path | None:
    """The file with the names of the classes in a folder of labels, or up to two folders above it; the nearest."""
    for place in [folder, *folder.absolute().parents[:2]]:
        for name in _USUAL_NAMES:
            if (place / name).is_file():
                return place / name
    return None


def read_class_file(path: Path) -> ClassFile:
    """Read the names of the classes.

    Args:
        path: YAML with "names", a list or a mapping from numbers (a data.yaml of Ultralytics); or text with one name a line,
            counted from 0.

    Raises:
        RetinaJError: if it is missing, too large, not such a file, or a name is empty or cannot be one.
    """
    path = Path(path)
    what = 'a file with the names of the classes: YAML with "names", or one name a line'
    with open_text(path, what, MAX_FILE_BYTES) as stream:
        text = stream.read()
    keypoints = False
    if path.suffix.lower() in _YAML:
        content = _yaml(path, text)
        keypoints = "kpt_shape" in content
        named = _numbered(path, content.get("names"))
    else:
        named = dict(enumerate(text.rstrip().splitlines()))
    if len(named) > MAX_CLASSES:
        raise RetinaJError(f"{path} has {len(named):,} names of classes; expected up to {MAX_CLASSES:,}.")
    names: dict[int, str] = {}
    for at, name in sorted(named.items()):
        names[at] = clean_name(name, f"{path}: class {at}")
        if not names[at]:
            raise RetinaJError(f"{path}: class {at} has no name; give it one.")
    return ClassFile(path, names, keypoints)


def _yaml(path: Path, text: str) -> Mapping[str, Any]:
    import yaml

    try:
        # All scalars as text: a class may be called "no" or "1e3".
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes texts, lists and mappings only
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RetinaJError(f"{path} is not readable YAML: {' '.join(str(error).split())[:200]}.") from error
    if not isinstance(content, dict) or not isinstance(cast("dict[str, Any]", content).get("names"), (list, dict)):
        raise RetinaJError(f'{path} has no "names"; expected YAML with the names of the classes.')
    return cast("Mapping[str, Any]", content)


def _numbered(path: Path, names: object) -> dict[int, str]:
    entries: list[tuple[object, object]] = []
    if isinstance(names, list):
        entries = list(enumerate(cast("list[object]", names)))
    elif isinstance(names, dict):
        entries = list(cast("dict[object, object]", names).items())
    numbered: dict[int, str] = {}
    for key, name in entries:
        if not isinstance(name, str) or not (isinstance(key, int) or (isinstance(key, str) and key.isdecimal())):
            # Not the text of a list: with YAML's references it can be endless.
            shown = repr(name[:40]) if isinstance(name, str) else "a list or mapping"
            raise RetinaJError(f'{path}: "names" has {shown} at {str(key)[:40]!r}; expected a number and a name.')
        if len(str(key)) > 9:
            raise RetinaJError(f"{path}: the class number {str(key)[:40]} is absurd; expected up to {MAX_CLASSES:,} classes.")
        numbered[int(key)] = name
    return numbered
