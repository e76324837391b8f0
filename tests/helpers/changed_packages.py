"""Copies of packages in which something is wrong."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from retinaj_zoo.untrusted_yaml import load_yaml


def rewritten(source: Path, target: Path, change: Callable[[dict[str, Any]], Any] | None = None, **files: bytes | None) -> Path:
    """A copy of a package with a changed description, and with files replaced, or left out where None."""
    with zipfile.ZipFile(source) as package, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        named = {name.replace("__", "."): content for name, content in files.items()}
        for name in package.namelist():
            if name != "rdf.yaml" and name not in named:
                copy.writestr(name, package.read(name))
        description = load_yaml(package.read("rdf.yaml"), "rdf.yaml")
        if change is not None:
            change(description)
        copy.writestr("rdf.yaml", named.pop("rdf.yaml", None) or json.dumps(description))
        for name, content in named.items():
            if content is not None:
                copy.writestr(name, content)
    return target


def setting(*keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(description: dict[str, Any]) -> None:
        for key in keys[:-1]:
            description = description[key]
        description[keys[-1]] = value

    return change
