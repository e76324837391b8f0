"""What a model is, without running it: for `retinaj info`. Imports no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from retinaj.files import require_file
from retinaj.model_folder import TRAINING_FOLDER, WEIGHTS_FILE, ModelRecord, TrainingRecord, read_record
from retinaj.normalization import Normalization
from retinaj.prediction.detector import DEFAULT_THRESHOLD
from retinaj_zoo.foreign_record import ForeignRecord
from retinaj_zoo.package_files import open_files
from retinaj_zoo.reading import (
    PackageDescription,
    is_model_folder,
    locate,
    package_record,
    read_description,
    refuse_other_folder,
)
from retinaj_zoo.validation import read_evaluation

_LONGEST_TEXT = 300


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True)


class WeightsInfo(_Plain):
    """One weights file.

    Attributes:
        format: as bioimage.io calls it; `model folder` for a model folder's own.
        file: its name.
        bytes: its size; None if the package lacks it.
        sha256: as stated beside it.
    """

    format: str
    file: str
    bytes: int | None
    sha256: str


class EvaluationInfo(_Plain):
    """The figures of the last `retinaj evaluate` of a model folder.

    Attributes:
        images: how many.
        ap, ap50: AP@.5:.95 and AP@.5 over all classes.
        best_threshold: where F1 is highest.
    """

    images: int
    ap: float | None
    ap50: float | None
    best_threshold: float | None


class ModelInfo(_Plain):
    """What `retinaj info` shows.

    Attributes:
        path: of the model.
        kind: "model folder", "package", or "package of a foreign detector".
        name: of the model.
        class_names: in the order of the labels.
        channels: of the input image, which may have any size.
        pixel_type: of the images that it was trained on.
        normalization: pixel values to network input.
        threshold: the default of the commands.
        overlap: the default of NMS.
        score_floor: boxes below it are never reported.
        max_detections: the most boxes per image.
        backbone: of a model by RetinaJ.
        training: how a model by RetinaJ was trained; has the AP on its validation images.
        evaluation: figures on other images, in a model folder that was evaluated.
        origin: of a foreign detector.
        license, authors, version, format_version: of a package.
        weights: the files.
    """

    path: str
    kind: str
    name: str
    class_names: tuple[str, ...]
    channels: int
    pixel_type: str
    normalization: Normalization
    threshold: float = DEFAULT_THRESHOLD
    overlap: float
    score_floor: float
    max_detections: int
    backbone: str | None = None
    training: TrainingRecord | None = None
    evaluation: EvaluationInfo | None = None
    origin: str | None = None
    license: str | None = None
    authors: tuple[str, ...] = ()
    version: str | None = None
    format_version: str | None = None
    weights: tuple[WeightsInfo, ...]

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to know, as (label, text)."""
        shown = [
            ("name", self.name),
            ("kind", self.kind),
            ("classes", ", ".join(self.class_names)),
            ("input", f"{self.channels} channel{'s' * (self.channels > 1)}, {self.pixel_type}, any size"),
            ("threshold", f"{self.threshold:g} unless told otherwise; nothing below {self.score_floor:g}"),
            ("overlap", f"{self.overlap:g}"),
            ("most boxes", str(self.max_detections)),
        ]
        if self.training is not None:
            shown += [("backbone", self.backbone or ""), *_training_lines(self.training)]
        if self.evaluation is not None:
            evaluation = self.evaluation
            shown.append(("evaluation", f"{_scores(evaluation.ap50, evaluation.ap)} on {evaluation.images} images"))
        optional = {
            "origin": self.origin,
            "licence": self.license,
            "authors": ", ".join(self.authors),
            "version": self.version,
            "format": self.format_version,
        }
        shown += [(label, text) for label, text in optional.items() if text]
        for entry in self.weights:
            size = "missing" if entry.bytes is None else f"{entry.bytes / 1e6:.1f} MB"
            shown.append(("weights", f"{entry.format}: {entry.file}, {size}, SHA-256 {entry.sha256[:12]}…"))
        return shown


def describe_model(model: Path | str) -> ModelInfo:
    """Describe a model folder or a package.

    Args:
        model: a model folder, or any form of a package: zip, folder, rdf.yaml, URL with SHA-256.

    Raises:
        RetinaJError: if it is neither, or hostile. Weights are not read, so that damage in them is not seen here.
    """
    path = locate(model)
    if is_model_folder(path):
        return _describe_folder(path)
    refuse_other_folder(path)
    with open_files(path) as files:
        description = read_description(files)
        record = package_record(description, files)
        weights = tuple(
            WeightsInfo(
                format=_text(weight_format) or "",
                file=entry.source,
                bytes=files.size(entry.source),
                sha256=entry.sha256,
            )
            for weight_format, entry in description.weights.items()
        )
    more: dict[str, Any] = {"name": record.name} | _about(description)
    if isinstance(record, ForeignRecord):
        return ModelInfo(
            path=str(path),
            kind="package of a foreign detector",
            class_names=record.class_names,
            channels=record.channels,
            pixel_type=record.pixel_type,
            normalization=record.normalization,
            overlap=record.overlap,
            score_floor=record.score_floor,
            max_detections=record.max_detections,
            origin=f"{record.onnx_file}, SHA-256 {record.onnx_sha256[:12]}; {record.outputs}",
            weights=weights,
            **more,
        )
    return _described(path, "package", record, weights, more)


def _describe_folder(path: Path) -> ModelInfo:
    record = read_record(path)
    file = require_file(path / WEIGHTS_FILE, "the weights that model.json describes")
    weights = WeightsInfo(format="model folder", file=WEIGHTS_FILE, bytes=file.stat().st_size, sha256=record.weights_sha256)
    result = read_evaluation(path, record.weights_sha256) if (path / TRAINING_FOLDER).is_dir() else None
    evaluation = None
    if result is not None:
        best = result.best_threshold
        evaluation = EvaluationInfo(images=result.images, ap=result.overall.ap, ap50=result.overall.ap50, best_threshold=best)
    return _described(path, "model folder", record, (weights,), {"name": record.name, "evaluation": evaluation})


def _described(path: Path, kind: str, record: ModelRecord, weights: tuple[WeightsInfo, ...], more: dict[str, Any]) -> ModelInfo:
    network = record.network
    return ModelInfo(
        path=str(path),
        kind=kind,
        class_names=record.class_names,
        channels=network.channels,
        pixel_type=record.pixel_type,
        normalization=record.normalization,
        overlap=network.overlap,
        score_floor=network.score_floor,
        max_detections=network.max_detections,
        backbone=network.backbone,
        training=record.training,
        weights=weights,
        **more,
    )


def _about(description: PackageDescription) -> dict[str, Any]:
    """The fields for people, of which any may be missing or of another type in a package from a stranger."""
    fields = description.fields
    authors = fields.get("authors")
    people = [person for person in authors if isinstance(person, dict)] if isinstance(authors, list) else []
    names = [_text(person.get("name")) for person in people[:50]]
    found = {
        "name": _text(fields.get("name")),
        "license": _text(fields.get("license")),
        "version": _text(fields.get("version")),
        "format_version": _text(description.format_version),
        "authors": tuple(name for name in names if name),
    }
    return {key: value for key, value in found.items() if value}


def _text(value: object) -> str | None:
    """A string or number as printable text of one short line; None for anything else."""
    if not isinstance(value, str | int | float):
        return None
    return "".join(character if character.isprintable() else " " for character in str(value))[:_LONGEST_TEXT]


def _training_lines(training: TrainingRecord) -> list[tuple[str, str]]:
    if training.imported_from is not None:
        return [("training", f"by {training.imported_from.words}")]
    best = f"epoch {training.best_epoch} of {training.epochs_done}"
    scores = _scores(training.validation_ap50, training.validation_ap)
    return [
        ("training", f"{training.images} images with {training.boxes} boxes, {best}, {training.seconds / 60:.0f} minutes"),
        ("validation", f"{scores} on the {training.validation_images} images that chose the epoch"),
    ]


def _scores(ap50: float | None, ap: float | None) -> str:
    if ap50 is None or ap is None:
        return "no AP"
    return f"AP@.5 {ap50:.3f}, AP@.5:.95 {ap:.3f}"
