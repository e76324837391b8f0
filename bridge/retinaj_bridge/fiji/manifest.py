"""What `retinaj fiji install` has put into a Fiji: the list that tells its files from everybody else's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator

from retinaj.errors import RetinaJError
from retinaj.files import write_text

# Everything lies in this folder of Fiji's plugins, which ImageJ shows as the menu Plugins > RetinaJ.
FOLDER = "RetinaJ"
MANIFEST_NAME = "installed.json"
_MAX_BYTES = 1_000_000
_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """The content of plugins/RetinaJ/installed.json.

    Attributes:
        version: of the RetinaJ that was installed last.
        files: path in the folder, with forward slashes -> the SHA-256 that the file may have and be ours: one, or while an
            installation is under way, that of the old and of the new.
    """

    format: Literal["retinaj-installed"] = "retinaj-installed"
    format_version: Literal[1] = 1
    version: Annotated[str, Field(max_length=100)]
    files: Annotated[dict[str, list[_Hash]], Field(max_length=1000)]

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, list[str]]) -> dict[str, list[str]]:
        for name in files:
            path = PurePosixPath(name)
            if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
                raise ValueError(f"{name!r:.80} leads out of the folder")
        return files


@dataclass(frozen=True)
class InstalledFiles:
    """The files of a manifest as they are now.

    Attributes:
        ours: those that are as they were installed.
        changed: those that somebody changed since.
        missing: those that are gone.
    """

    ours: tuple[str, ...]
    changed: tuple[str, ...]
    missing: tuple[str, ...]


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in the folder plugins/RetinaJ, or None if there is none.

    Raises:
        RetinaJError: if it is damaged, and so does not say any more which files are ours.
    """
    path = folder / MANIFEST_NAME
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise RetinaJError(
            f"{path}, the list of what RetinaJ has installed, is damaged: {reason}. Delete the folder {folder} by hand, and "
            "run `retinaj fiji install` again."
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it, whole or not at all."""
    write_text(folder / MANIFEST_NAME, json.dumps(manifest.model_dump(), indent=2, sort_keys=True) + "\n")


def compare(folder: Path, files: Mapping[str, list[str]]) -> InstalledFiles:
    """Compare the files with the hashes that they had when they were installed."""
    ours: list[str] = []
    changed: list[str] = []
    missing: list[str] = []
    for name, hashes in files.items():
        found = file_hash(folder / name)
        (missing if found is None else ours if found in hashes else changed).append(name)
    return InstalledFiles(tuple(ours), tuple(changed), tuple(missing))


def file_hash(path: Path) -> str | None:
    """The SHA-256 of a file; of a link, a folder and the like that of nothing we install; None if there is nothing."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return ""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return None
