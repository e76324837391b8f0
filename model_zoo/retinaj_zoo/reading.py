"""Opening bioimage.io packages made by RetinaJ: the ONNX weights on ONNX Runtime, straight out of the zip.

Nothing is unpacked or executed, nothing but a URL with its SHA-256 is downloaded, and neither TensorFlow nor bioimageio.core is
imported.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from retinaj.errors import RetinaJError
from retinaj.model_folder import RECORD_FILE, ModelRecord, parse_record
from retinaj.prediction import open_model as open_model_folder
from retinaj.prediction.detector import Detector
from retinaj.prediction.onnx_runtime import OnnxRuntime
from retinaj_zoo.foreign_record import FOREIGN_FORMAT, ForeignRecord
from retinaj_zoo.package_files import (
    DESCRIPTION_NAMES,
    PackageFiles,
    check_name,
    open_files,
)
from retinaj_zoo.remote import fetch_package, is_url
from retinaj_zoo.untrusted_yaml import MAX_YAML_BYTES, load_yaml

# An ONNX file is one protobuf message, which cannot be larger.
MAX_WEIGHTS_BYTES = 2 * 1024**3


class WeightsEntry(BaseModel):
    """One weight format in a description.

    Attributes:
        source: name of the file in the package.
        sha256: of that file.
    """

    source: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Config(BaseModel):
    retinaj: dict[str, Any]


class PackageDescription(BaseModel):
    """The fields of an rdf.yaml that running it needs; the rest, in `fields`, is for people and other programs."""

    type: str
    format_version: str
    config: _Config
    weights: dict[str, WeightsEntry]
    fields: dict[str, Any] = Field(default_factory=dict, exclude=True)


def locate(model: Path | str) -> Path:
    """A model as a path: a package at a URL is fetched first.

    Raises:
        RetinaJError: as `retinaj_zoo.remote.fetch_package`.
    """
    return fetch_package(model) if isinstance(model, str) and is_url(model) else Path(model)


def is_model_folder(path: Path) -> bool:
    """Whether `path` is a folder that `retinaj train` made, and not a package."""
    return path.is_dir() and (path / RECORD_FILE).is_file()


def open_package(path: Path | str, *, threads: int | None = None) -> Detector:
    """Open a bioimage.io package that RetinaJ made, to run it on ONNX Runtime.

    Args:
        path: a package.zip, a folder with rdf.yaml, that rdf.yaml, or `https://host/package.zip#sha256=...`.
        threads: processor threads to use; default: one per core.

    Raises:
        RetinaJError: if it is not such a package, is damaged (a SHA-256 differs), or tries to reach outside itself.
    """
    path = locate(path)
    with open_files(path) as files:
        description = read_description(files)
        record = package_record(description, files)
        model = read_weights(description, files, "onnx")
    entry = description.weights["onnx"]
    runtime = OnnxRuntime(model, threads=threads, origin=f"{entry.source} in {path}")
    return record.detector(runtime) if isinstance(record, ForeignRecord) else Detector.of(record, runtime)


def read_package_record(path: Path | str) -> ModelRecord:
    """The model.json that a package was made from: classes, network, normalisation, training.

    Raises:
        RetinaJError: as `open_package`, and if RetinaJ did not train the model.
    """
    with open_files(locate(path)) as files:
        return trained_record(read_description(files), files)


def open_model(path: Path | str) -> Detector:
    """Open a trained model, whatever its form: a model folder (on TensorFlow) or a package (on ONNX Runtime).

    Args:
        path: a model folder, or any form of a package that `open_package` takes.

    Raises:
        RetinaJError: if `path` is neither, or is damaged.
    """
    path = locate(path)
    if is_model_folder(path):
        return open_model_folder(path)
    refuse_other_folder(path)
    return open_package(path)


def refuse_other_folder(path: Path) -> None:
    """Refuse a folder that is neither a model folder nor an unpacked package.

    Raises:
        RetinaJError: naming the files that it lacks.
    """
    names = (RECORD_FILE, *DESCRIPTION_NAMES)
    if path.is_dir() and not any((path / name).is_file() for name in names):
        raise RetinaJError(
            f"{path} is a folder without {RECORD_FILE} (a model folder, from `retinaj train`) and without rdf.yaml "
            "(an unpacked package); expected one of the two, or a package.zip."
        )


def read_description(files: PackageFiles) -> PackageDescription:
    """The rdf.yaml of a package, its weights' names checked.

    Raises:
        RetinaJError: if it is hostile, of another version of the format, or not by RetinaJ.
    """
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
        description = PackageDescription.model_validate(data).model_copy(update={"fields": data})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RetinaJError(f"{name} in {files.origin} is not a package RetinaJ can run: {field}: {first['msg']}.") from error
    if not description.format_version.startswith("0.5."):
        raise RetinaJError(
            f"{name} in {files.origin} has the format version {description.format_version:.20}; RetinaJ reads 0.5."
        )
    for entry in description.weights.values():
        check_name(files.origin, entry.source)
    return description


def read_weights(description: PackageDescription, files: PackageFiles, weight_format: str) -> bytes:
    """The content of one weights file, which has the SHA-256 of the description.

    Raises:
        RetinaJError: if the package lacks that format, or the file was changed.
    """
    entry = description.weights.get(weight_format)
    if entry is None:
        have = ", ".join(f"{name:.40}" for name in description.weights) or "none at all"
        raise RetinaJError(
            f"{files.origin} has no {weight_format} weights, which are needed here; it has {have:.300}. "
            "Package the model again with them."
        )
    content = files.read(entry.source, MAX_WEIGHTS_BYTES)
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise RetinaJError(
            f"{files.origin} is damaged or was changed: the SHA-256 of {entry.source} is not the one in its description. "
            "Download or copy it again."
        )
    return content


def package_record(description: PackageDescription, files: PackageFiles) -> ModelRecord | ForeignRecord:
    """What config.retinaj says.

    Raises:
        RetinaJError: if it is neither of the two records.
    """
    origin = f"config.retinaj of {files.description_name} in {files.origin}"
    content = description.config.retinaj
    try:
        text = json.dumps(content)
    except (TypeError, ValueError) as error:  # a date or bytes, which YAML has and JSON has not
        raise RetinaJError(f"{origin} is not the content of a {RECORD_FILE}: {error}.") from error
    if content.get("format") != FOREIGN_FORMAT:
        return parse_record(text, origin)
    try:
        return ForeignRecord.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RetinaJError(f"{origin} does not describe a detector: {field}: {first['msg']}.") from error


def trained_record(description: PackageDescription, files: PackageFiles) -> ModelRecord:
    """What config.retinaj says about a model that RetinaJ trained.

    Raises:
        RetinaJError: as `package_record`, and if the detector is a foreign one.
    """
    record = package_record(description, files)
    if isinstance(record, ForeignRecord):
        raise RetinaJError(
            f"{files.origin} holds a detector of other origin, {record.onnx_file}: RetinaJ can run it, but neither knows "
            "nor trains its network."
        )
    return record
