"""A checkpoint of the TF2 Object Detection API as a model folder, like one that `retinaj train` made."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from retinaj.annotations import label_map
from retinaj.errors import RetinaJError
from retinaj.files import atomic_folder, require_absent
from retinaj.importing.pipeline import Pipeline, read_pipeline
from retinaj.model_folder import ImportRecord, ModelRecord, TrainingRecord, require_enough_weights, save_model
from retinaj.normalization import FixedScale
from retinaj.training.settings import TrainingSettings

CONFIG_FILE = "pipeline.config"
_PACKAGES = ("retinaj", "tensorflow", "keras", "numpy")
_INDEX = re.compile(r"ckpt-(\d{1,9})\.index")


def import_tf2(
    folder: Path,
    output: Path,
    *,
    config: Path | None = None,
    classes: Path | None = None,
    log: Callable[[str], None],
) -> ModelRecord:
    """Make a model folder of a checkpoint of the TF2 Object Detection API.

    Args:
        folder: as the detection zoo packs it: pipeline.config, and checkpoint/ckpt-0.index with its data; or the folder that
            the API trained in, of whose checkpoints the last is taken.
        output: the model folder to make; it must not exist.
        config: pipeline.config, if it is not in `folder` or beside it.
        classes: label map (label_map.pbtxt) with the names of the classes; None takes the one that pipeline.config names, if
            it exists, and else calls them "class 1", "class 2"...
        log: told what is imported, and what differs from the API.

    Returns:
        The record of the model.

    Raises:
        RetinaJError: if the output exists, files are missing or damaged, the model is of a kind that RetinaJ does not have, or
            the checkpoint is not the model that pipeline.config describes.
    """
    require_absent(output)
    prefix = find_checkpoint(folder)
    config = config or find_config(folder)
    pipeline = read_pipeline(config)
    names = class_names(pipeline, config, classes, log)

    from retinaj.importing.checkpoint import Checkpoint  # TensorFlow, only now
    from retinaj.importing.tf2_weights import imported_arrays, require_classes
    from retinaj.network.retinanet import build_network
    from retinaj.weights_file import assign_arrays

    checkpoint = Checkpoint(prefix)
    require_classes(checkpoint.objects, pipeline)
    record = ModelRecord(
        name=output.name[:200],
        class_names=names,
        pixel_type="uint8",
        network=pipeline.network,
        normalization=FixedScale(),
        training=_training(pipeline, prefix.name, checkpoint.sha256()),
        versions={package: version(package) for package in _PACKAGES},
    )
    require_enough_weights(record, checkpoint.bytes, str(prefix))
    network = build_network(pipeline.network)
    assign_arrays(network, imported_arrays(checkpoint, pipeline, network))
    with atomic_folder(output) as temporary:
        record = save_model(temporary, record, network)
    log(f"Imported {prefix} ({pipeline.feature_extractor}, {len(names)} classes) as {output}.")
    log(
        f"The API resizes every image {pipeline.resizer} first. RetinaJ detects at the size that images have: resize yours "
        "where their objects are much larger or smaller than those of the images that the model was trained on."
    )
    for note in pipeline.notes:
        log(note)
    return record


def find_checkpoint(folder: Path) -> Path:
    """The path, without .index, of the last checkpoint in a folder or in its folder `checkpoint`.

    Raises:
        RetinaJError: if there is none.
    """
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise RetinaJError(f"{folder} {state}; expected the folder of a model, with {CONFIG_FILE} and checkpoint/ckpt-0.index.")
    for place in (folder / "checkpoint", folder):
        numbered = [(int(found[1]), path) for path in place.glob("ckpt-*.index") if (found := _INDEX.fullmatch(path.name))]
        if numbered:
            return max(numbered)[1].with_suffix("")
    if (folder / "saved_model.pb").exists() or (folder / "frozen_inference_graph.pb").exists():
        raise RetinaJError(f"{folder} holds a frozen model; expected its checkpoint, files such as checkpoint/ckpt-0.index.")
    raise RetinaJError(
        f"{folder} has no checkpoint: expected files such as checkpoint/ckpt-0.index, as the model zoo packs them."
    )


def find_config(folder: Path) -> Path:
    """The pipeline.config of a model's folder: in it, or beside its folder `checkpoint`.

    Raises:
        RetinaJError: if there is none.
    """
    for place in (folder, folder.resolve().parent):
        if (place / CONFIG_FILE).is_file():
            return place / CONFIG_FILE
    raise RetinaJError(f"{folder} has no {CONFIG_FILE}, which describes the model; name it with --pipeline-config.")


def class_names(pipeline: Pipeline, config: Path, classes: Path | None, log: Callable[[str], None]) -> tuple[str, ...]:
    """The names of the model's classes, in their order.

    Raises:
        RetinaJError: if the label map has more classes than the model, or two of the same name.
    """
    count = pipeline.network.num_classes
    if classes is None:
        beside = [config.parent / path for path in pipeline.label_maps]
        classes = next((path for path in beside if path.is_file()), None)
    if classes is None:
        named = f" ({', '.join(pipeline.label_maps)} is not there)" if pipeline.label_maps else ""
        log(f"The classes have no names{named}: they are called class 1 to class {count}. Give a label map with --label-map.")
        return tuple(f"class {number}" for number in range(1, count + 1))
    names = label_map.read(classes).names
    if max(names) > count:
        raise RetinaJError(
            f"{classes}: {names[max(names)]!r} has the id {max(names)}, but the model has {count} "
            f"class{'es' * (count > 1)}. It is the label map of another model."
        )
    chosen = tuple(names.get(number, f"class {number}") for number in range(1, count + 1))
    if twice := [name for at, name in enumerate(chosen) if name in chosen[:at]]:
        raise RetinaJError(f"{classes}: two classes are called {twice[0]!r}; names must differ.")
    log(f"Names of the classes from {classes}.")
    return chosen


def _training(pipeline: Pipeline, checkpoint: str, digest: str) -> TrainingRecord:
    """What a model record says of a training that RetinaJ knows nothing about."""
    network = pipeline.network
    return TrainingRecord(
        # Training from here keeps the BatchNorms of the backbone, as small batches would spoil them.
        settings=TrainingSettings(
            backbone=network.backbone,
            norm=network.norm,
            separable=network.separable,
            pyramid_width=network.pyramid_width,
            freeze_batch_norm=True,
        ),
        window=pipeline.side,
        images=0,
        boxes=0,
        class_counts={},
        validation_images=0,
        anchor_coverage=0.0,
        class_coverage={},
        imported_from=ImportRecord(
            program="TF2 Object Detection API",
            model=pipeline.feature_extractor,
            checkpoint=checkpoint,
            checkpoint_sha256=digest,
            resizer=pipeline.resizer,
        ),
    )
