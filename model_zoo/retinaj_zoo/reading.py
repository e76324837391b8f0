"""Opening bioimage.io packages made by RetinaJ: the ONNX weights on ONNX Runtime, straight out of the zip.

Nothing is unpacked, downloaded or executed, and neither TensorFlow nor bioimageio.core is imported.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from retinaj.errors import RetinaJError
from retinaj.model_folder import RECORD_FILE, ModelRecord, parse_record
from retinaj.prediction import open_model as open_model_folder
from retinaj.prediction.detector import Detector
from retinaj.prediction.onnx_runtime import OnnxRuntime
from retinaj_zoo.package_files import (
    DESCRIPTION_NAMES,
    PackageFiles,
    check_name,
    open_files,
)
from retinaj_zoo.untrusted_yaml import MAX_YAML_BYTES, load_yaml

# An ONNX file is one protobuf message, which cannot be larger.
_MAX_WEIGHTS_BYTES = 2 * 1024**3


class _OnnxEntry(BaseModel):
    source: str
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")


class _Weights(BaseModel):
    onnx: _OnnxEntry


class _Config(BaseModel):
    retinaj: dict[str, Any]


class _Description(BaseModel):
    """The fields of an rdf.yaml that running it needs; the rest is for people and other programs."""

    type: str
    format_version: str
    config: _Config
    weights: _Weights


def open_package(path: Path, *, threads: int | None = None) -> Detector:
    """Open a bioimage.io package that RetinaJ made, to run it on ONNX Runtime.

    Args:
        path: a package.zip, a folder with rdf.yaml, or that rdf.yaml.
        threads: processor threads to use; default: one per core.

    Raises:
        RetinaJError: if it is not such a package, is damaged (a SHA-256 differs), or tries to reach outside itself.
    """
    path = Path(path)
    with open_files(path) as files:
        description = _read_description(files)
        record = _record(description, files)
        entry = description.weights.onnx
        model = files.read(entry.source, _MAX_WEIGHTS_BYTES)
    if entry.sha256 is not None and hashlib.sha256(model).hexdigest() != entry.sha256:
        raise RetinaJError(
            f"{path} is damaged or was changed: the SHA-256 of {entry.source} is not the one in its description. "
            "Download or copy it again."
        )
    return Detector.of(record, OnnxRuntime(model, threads=threads, origin=f"{entry.source} in {path}"))


def read_package_record(path: Path) -> ModelRecord:
    """The model.json that a package was made from: classes, network, normalisation, training.

    Raises:
        RetinaJError: as `open_package`.
    """
    with open_files(Path(path)) as files:
        return _record(_read_description(files), files)


def open_model(path: Path) -> Detector:
    """Open a trained model, whatever its form: a model folder (on TensorFlow) or a package (on ONNX Runtime).

    Raises:
        RetinaJError: if `path` is neither, or is damaged.
    """
    path = Path(path)
    if path.is_dir() and (path / RECORD_FILE).is_file():
        return open_model_folder(path)
    if path.is_dir() and not any((path / name).is_file() for name in DESCRIPTION_NAMES):
        raise RetinaJError(
            f"{path} is a folder without {RECORD_FILE} (a model folder, from `retinaj train`) and without rdf.yaml "
            "(an unpacked package); expected one of the two, or a package.zip."
        )
    return open_package(path)


def _read_description(files: PackageFiles) -> _Description:
    name = files.description_name
    data = load_yaml(files.read(name, MAX_YAML_BYTES), f"{name} in {files.origin}")
    config = data.get("config")
    if data.get("type") != "model" or not isinstance(config, dict) or "retinaj" not in config:
        what = f"a {data.get('type')!s:.40}" if data.get("type") != "model" else "a model of another program"
        raise RetinaJError(
            f"{files.origin} describes {what}, without the field config.retinaj; "
            "RetinaJ runs packages that `retinaj package` made."
        )
    try:
        description = _Description.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RetinaJError(f"{name} in {files.origin} is not a package RetinaJ can run: {field}: {first['msg']}.") from error
    if not description.format_version.startswith("0.5."):
        raise RetinaJError(
            f"{name} in {files.origin} has the format version {description.format_version:.20}; RetinaJ reads 0.5."
        )
    check_name(files.origin, description.weights.onnx.source)
    return description


def _record(description: _Description, files: PackageFiles) -> ModelRecord:
    origin = f"config.retinaj of {files.description_name} in {files.origin}"
    try:
        text = json.dumps(description.config.retinaj)
    except (TypeError, ValueError) as error:  # a date or bytes, which YAML has and JSON has not
        raise RetinaJError(f"{origin} is not the content of a {RECORD_FILE}: {error}.") from error
    return parse_record(text, origin)
