"""prediction.json: how the results in a folder were made, and from which images."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retinaj.errors import RetinaJError
from retinaj.files import write_text

SETTINGS_FILE = "prediction.json"


@dataclass
class PredictionRecord:
    """What an output folder holds.

    Attributes:
        path: the JSON file, prediction.json in the folder.
        settings: the source, the model and the options: they are the same for all results in the folder.
        images: what the results of each name were made from: `image_state` at that time.
    """

    path: Path
    settings: dict[str, Any]
    images: dict[str, Any]

    @classmethod
    def claim(cls, output: Path, settings: dict[str, Any]) -> PredictionRecord:
        """Make the output folder, or take up the one of an earlier run with the same settings.

        Raises:
            RetinaJError: if `output` holds something else, or results of another source or other settings.
        """
        path = output / SETTINGS_FILE
        if not output.exists() or (output.is_dir() and not any(output.iterdir())):
            record = cls(path, settings, {})
            record.write()
            return record
        if not path.is_file():
            raise RetinaJError(f"{output} already exists and holds other things; choose a new folder for the results.")
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise RetinaJError(f"{path} is damaged, so it is not known how its results were made: {error}.") from error
        other: dict[str, Any] = found if isinstance(found, dict) else {}
        images = other.pop("images", {})
        if other == settings and isinstance(images, dict):
            return cls(path, settings, images)
        differing = [key for key in settings if other.get(key) != settings[key]]
        first = differing[0] if differing else "format"
        what = "another source" if first == "source" else "other settings"
        raise RetinaJError(
            f"{output} holds results of {what}: {first} was {other.get(first)!r} and is {settings.get(first)!r} now. "
            "Choose a new folder, or the same source and settings to go on with the interrupted run."
        )

    def add(self, name: str, state: dict[str, Any]) -> None:
        """Write down that the results of `name` are complete, and what they were made from."""
        self.images[name] = state
        self.write()

    def write(self) -> None:
        """Replace the file."""
        write_text(self.path, json.dumps({**self.settings, "images": self.images}, indent=2) + "\n")


def image_state(path: Path) -> dict[str, Any]:
    """The name, size and date of an image: what tells it from another one that takes its place. Of a folder, those of all files
    in it: their sizes together, and the latest date.

    Raises:
        RetinaJError: if it is not there any more.
    """
    try:
        inside = [Path(folder) / name for folder, _, names in os.walk(path) for name in names] if path.is_dir() else [path]
        found = [file.lstat() if path.is_dir() else file.stat() for file in inside]
    except OSError as error:
        raise RetinaJError(f"{path} cannot be read: {error.strerror or error}.") from error
    latest = max((each.st_mtime_ns for each in found), default=0)
    return {"file": path.name, "bytes": sum(each.st_size for each in found), "modified_ns": latest}
