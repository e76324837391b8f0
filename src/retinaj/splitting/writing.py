"""A split on disk: a list of image names for each part, and a record of how it was made."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from retinaj.errors import RetinaJError
from retinaj.files import atomic_folder, write_text
from retinaj.images.files import UNLISTABLE, is_listable
from retinaj.splitting.split import Part, Split

RECORD_FILE = "split.json"
_METHOD = (
    "iterative stratification (Sechidis et al. 2011) by number of objects of each class, limited by number of images; "
    "the most even of several deals"
)


def write_split(split: Split, folder: Path) -> None:
    """Write train.txt, validation.txt and test.txt (as far as there are such parts) and split.json into a new folder.

    The lists are what `--names` and `--validation` take. The same split gives the same bytes.

    Args:
        split: what to write.
        folder: must not exist, or be empty. It is written whole or not at all.

    Raises:
        RetinaJError: if it exists, or an image's name cannot stand in a list.
    """
    for part in split.parts:
        for name in part.names:
            _require_listable(name)
    with atomic_folder(folder) as temporary:
        for part in split.parts:
            write_text(temporary / list_name(part), "".join(f"{name}\n" for name in part.names))
        write_text(temporary / RECORD_FILE, json.dumps(_record(split), indent=2, ensure_ascii=False) + "\n")


def list_name(part: Part) -> str:
    """The name of the file that lists a part's images."""
    return f"{part.name}.txt"


def _require_listable(name: str) -> None:
    if not is_listable(name):
        raise RetinaJError(f"The image {name!r} cannot stand in a list of names: {UNLISTABLE}. Rename the image.")


def _record(split: Split) -> dict[str, Any]:
    grouping = split.grouping
    return {
        "retinaj": version("retinaj"),
        "method": _METHOD,
        "seed": split.seed,
        "group_by": None if grouping is None else {"kind": grouping.by, "value": grouping.value},
        "parts": {
            part.name: {
                "list": list_name(part),
                "share": round(part.share, 6),
                "images": len(part.samples),
                "images_without_objects": part.empty,
                "objects": split.counts(part),
                "groups": None if grouping is None else list(part.groups),
            }
            for part in split.parts
        },
        "group_of": None if grouping is None else dict(split.group_of),
    }
