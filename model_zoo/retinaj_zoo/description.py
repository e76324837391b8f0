"""The rdf.yaml of a package: tensors, weights, people and numbers, in the newest format that bioimageio.spec writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from bioimageio.spec.model import v0_5
from pydantic import ValidationError

from retinaj.errors import RetinaJError
from retinaj.model_folder import ModelRecord
from retinaj.network.untyped import keras, tf
from retinaj.normalization import FixedScale, PercentileScale
from retinaj_zoo.example_image import ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE
from retinaj_zoo.graphs import INPUT, OUTPUT
from retinaj_zoo.metadata import Citation, Metadata
from retinaj_zoo.preprocessing import preprocessing
from retinaj_zoo.weight_formats import ONNX_OPSET, WEIGHT_FORMATS, parent_of

# The files of a package, by their role.
FILES = {
    "keras_v3": "weights.keras",
    "onnx": "weights.onnx",
    "tensorflow_saved_model_bundle": "weights_saved_model.zip",
    "test_input": "test_input.npy",
    "test_output": "test_output.npy",
    "sample_input": "sample_input.tif",
    "sample_output": "sample_output.tif",
    "cover": "cover.png",
    "documentation": "README.md",
}

_RETINANET = Citation(text="Lin et al. 2017: Focal Loss for Dense Object Detection", doi="10.1109/ICCV.2017.324")
DETECTION_FIELDS = ("x_min", "y_min", "x_max", "y_max", "score", "label")


def describe(
    folder: Path,
    record: ModelRecord,
    metadata: Metadata,
    *,
    image_size: tuple[int, int],
    parameters: int,
    formats: tuple[str, ...] = WEIGHT_FORMATS,
) -> Any:
    """Describe the package whose files lie in `folder` under the names of `FILES`.

    Args:
        folder: with all the files.
        record: of the model.
        metadata: made by `completed`.
        image_size: (y, x) of the test input.
        parameters: how many numbers the network has learned.
        formats: of the weights in `folder`, as `choose_formats` orders them.

    Returns:
        A `bioimageio.spec.model.v0_5.ModelDescr`.

    Raises:
        RetinaJError: if the format refuses a field, naming it.
    """
    said = metadata.model_copy(update={"cite": (_RETINANET, *metadata.cite), "tags": _tags(record, metadata)})
    return model_description(
        folder,
        said,
        inputs=[_image_tensor(folder, record, image_size)],
        outputs=[_detections_tensor(folder, record)],
        weights=_weights(folder, formats),
        bioimageio=_details(record, parameters),
        record=json.loads(record.model_dump_json()),
    )


def model_description(
    folder: Path,
    metadata: Metadata,
    *,
    inputs: list[v0_5.InputTensorDescr],
    outputs: list[v0_5.OutputTensorDescr],
    weights: v0_5.WeightsDescr,
    bioimageio: dict[str, Any],
    record: dict[str, Any],
) -> Any:
    """What every package says in the same way.

    Args:
        folder: with all the files.
        metadata: with name, description and authors.
        inputs, outputs, weights: of the model.
        bioimageio: more fields of config.bioimageio.
        record: config.retinaj: with the weights, a package rebuilds the model.

    Returns:
        A `bioimageio.spec.model.v0_5.ModelDescr`.

    Raises:
        RetinaJError: if the format refuses a field, naming it.
    """
    tolerance = v0_5.ReproducibilityTolerance(
        absolute_tolerance=ABSOLUTE_TOLERANCE, relative_tolerance=RELATIVE_TOLERANCE, output_ids=[v0_5.TensorId(OUTPUT)]
    )
    try:
        return v0_5.ModelDescr(
            name=metadata.name or "",
            description=metadata.description or "",
            authors=[v0_5.Author(**person.model_dump(exclude_none=True)) for person in metadata.authors],
            maintainers=[v0_5.Maintainer(**person.model_dump(exclude_none=True)) for person in metadata.maintainers],
            license=metadata.license,  # pyright: ignore[reportArgumentType] - checked against SPDX's list by the format
            cite=[v0_5.CiteEntry(**entry.model_dump(exclude_none=True)) for entry in metadata.cite],
            tags=list(metadata.tags),
            links=list(metadata.links),
            git_repo=metadata.git_repo,  # pyright: ignore[reportArgumentType] - text becomes a URL
            version=v0_5.Version(metadata.version),
            documentation=v0_5.FileDescr(source=folder / FILES["documentation"]),
            covers=[v0_5.FileDescr(source=folder / FILES["cover"])],
            inputs=inputs,
            outputs=outputs,
            weights=weights,
            config=v0_5.Config(
                bioimageio=v0_5.BioimageioConfig(
                    reproducibility_tolerance=[tolerance],
                    task="object detection",
                    out_of_scope_use=metadata.out_of_scope,
                    **bioimageio,
                ),
                # Consumers that tile would cut objects at seams and lose the tiles' offsets.
                deepimagej={"allow_tiling": False},  # pyright: ignore[reportCallIssue] - Config takes any field
                retinaj=record,  # pyright: ignore[reportCallIssue]
            ),
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RetinaJError(f"The zoo's format refuses {field} = {first.get('input')!r:.80}: {first['msg']}.") from error


def _image_tensor(folder: Path, record: ModelRecord, image_size: tuple[int, int]) -> v0_5.InputTensorDescr:
    """Any size from one stride up."""
    smallest = min(record.network.stride, image_size[0]), min(record.network.stride, image_size[1])
    return image_tensor(folder, record.network.channels, record.pixel_type, record.normalization, smallest)


def image_tensor(
    folder: Path,
    channels: int,
    pixel_type: str,
    normalization: FixedScale | PercentileScale,
    smallest: tuple[int, int],
    *,
    any_batch: bool = True,
) -> v0_5.InputTensorDescr:
    """The image, of any size from `smallest` (y, x) up, alone or in batches.

    The step is 1 and not the stride, because the graph pads by itself, with the right colour: a consumer that pads to a step
    first would show it a mirrored margin, with mirrored objects in it.
    """
    names = {1: ["intensity"], 3: ["red", "green", "blue"]}.get(channels, [f"channel{i}" for i in range(channels)])
    sizes = [v0_5.ParameterizedSize(min=side, step=1) for side in smallest]
    fixed_range = isinstance(normalization, FixedScale) and pixel_type == "uint8"
    return v0_5.InputTensorDescr(
        id=v0_5.TensorId(INPUT),
        description=f"Image, {'RGB' if channels == 3 else f'{channels} channel' + 's' * (channels > 1)}",
        axes=[
            v0_5.BatchAxis(size=None if any_batch else 1),
            v0_5.SpaceInputAxis(id=v0_5.AxisId("y"), size=sizes[0]),
            v0_5.SpaceInputAxis(id=v0_5.AxisId("x"), size=sizes[1]),
            v0_5.ChannelAxis(channel_names=names),
        ],
        # float32 holds every 8-bit and 16-bit value; an input declared uint8 would be cast down by consumers first.
        data=v0_5.IntervalOrRatioDataDescr(type="float32", range=(0, 255) if fixed_range else (None, None)),
        preprocessing=list(preprocessing(normalization)),
        test_tensor=v0_5.FileDescr(source=folder / FILES["test_input"]),
        sample_tensor=v0_5.FileDescr(source=folder / FILES["sample_input"]),
    )


def _detections_tensor(folder: Path, record: ModelRecord) -> v0_5.OutputTensorDescr:
    return detections_tensor(folder, record.network.max_detections)


def detections_tensor(folder: Path, max_detections: int, *, any_batch: bool = True) -> v0_5.OutputTensorDescr:
    """One tensor, because consumers that see several cannot tell which is which.

    JDLL wants axis ids of one letter, of those it knows, and takes `r` for the rows of a list. It would know `i` too, but
    bioimageio.spec makes `index` of that.
    """
    return v0_5.OutputTensorDescr(
        id=v0_5.TensorId(OUTPUT),
        description="Boxes in pixels, best first; label from 1; rows of score 0 are padding",
        axes=[
            v0_5.BatchAxis(size=None if any_batch else 1),
            v0_5.IndexOutputAxis(id=v0_5.AxisId("r"), size=max_detections, description="box"),
            v0_5.ChannelAxis(channel_names=list(DETECTION_FIELDS)),
        ],
        data=v0_5.IntervalOrRatioDataDescr(type="float32"),
        test_tensor=v0_5.FileDescr(source=folder / FILES["test_output"]),
        sample_tensor=v0_5.FileDescr(source=folder / FILES["sample_output"]),
    )


def _weights(folder: Path, formats: tuple[str, ...]) -> v0_5.WeightsDescr:
    tensorflow_version = v0_5.Version(tf.__version__)
    details: dict[str, tuple[type[Any], dict[str, Any]]] = {
        "keras_v3": (
            v0_5.KerasV3WeightsDescr,
            {"keras_version": v0_5.Version(keras.__version__), "backend": ("tensorflow", tensorflow_version)},
        ),
        "onnx": (v0_5.OnnxWeightsDescr, {"opset_version": ONNX_OPSET}),
        "tensorflow_saved_model_bundle": (
            v0_5.TensorflowSavedModelBundleWeightsDescr,
            {"tensorflow_version": tensorflow_version},
        ),
    }
    entries: dict[str, Any] = {}
    for name in formats:
        kind, fields = details[name]
        entries[name] = kind(source=folder / FILES[name], parent=parent_of(name, formats), **fields)
    return v0_5.WeightsDescr(**entries)


def _details(record: ModelRecord, parameters: int) -> dict[str, Any]:
    settings = record.training.settings
    details: dict[str, Any] = {
        "architecture_type": "RetinaNet",
        "architecture_description": f"RetinaNet with the backbone {record.network.backbone}; decoding and NMS in the graph",
        "target_structure": list(record.class_names),
        "model_parameter_count": parameters,
    }
    if record.training.imported_from is None:
        details["training"] = v0_5.TrainingDetails(
            training_epochs=record.training.epochs_done,
            training_batch_size=settings.batch_size,
            initial_learning_rate=settings.learning_rate,
            learning_rate_schedule="linear warm-up, then cosine",
            loss_function=f"focal loss + {settings.box_loss}",
            optimizer="AdamW",
            training_duration=round(record.training.seconds / 3600, 3),
        )
    return details


def _tags(record: ModelRecord, metadata: Metadata) -> tuple[str, ...]:
    """The zoo's own words first; then what people search for."""
    own = ["object-detection", "2d", "tensorflow", "fiji", "imagej", "retinanet", "retinaj", record.network.backbone]
    classes = [re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in record.class_names[:20]]
    return tuple(tag for tag in dict.fromkeys([*own, *classes, *metadata.tags]) if tag)
