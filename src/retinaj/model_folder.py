"""A trained model on disk: a folder with `model.json`, which says everything, and `model.weights.h5`, which holds arrays.

Loading rebuilds the network by our own code and reads numbers; nothing in the folder is executed. Importing this module, and
reading the record, needs no TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from retinaj.errors import RetinaJError
from retinaj.files import require_file, write_text
from retinaj.network.config import NetworkConfig
from retinaj.normalization import Normalization
from retinaj.plain_record import PlainRecord
from retinaj.training.settings import TrainingSettings
from retinaj.weights_file import assign_arrays, file_sha256, network_arrays, read_arrays, write_arrays

RECORD_FILE = "model.json"
WEIGHTS_FILE = "model.weights.h5"
TRAINING_FOLDER = "training"
_LARGEST_RECORD = 4 * 2**20  # bytes


class StartRecord(PlainRecord):
    """The model whose weights a training started from.

    Attributes:
        name, weights_sha256, class_names: of that model.
        kept_classes: those of its classes that the new model has too; the others' weights started fresh.
    """

    name: Annotated[str, Field(max_length=200)]
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    class_names: Annotated[tuple[str, ...], Field(max_length=10_000)]
    kept_classes: Annotated[tuple[str, ...], Field(max_length=10_000)]


class ImportRecord(PlainRecord):
    """Where a model comes from that another program trained.

    Attributes:
        program: that trained it.
        model: what it is called there.
        checkpoint: the name of its file.
        checkpoint_sha256: of the file's data.
        resizer: how that program resizes images before detection, for people; RetinaJ does not.
    """

    program: Annotated[str, Field(max_length=100)]
    model: Annotated[str, Field(max_length=200)]
    checkpoint: Annotated[str, Field(max_length=200)]
    checkpoint_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    resizer: Annotated[str, Field(max_length=200)]

    @property
    def words(self) -> str:
        """Where it comes from, for people."""
        return f"the {self.program}: {self.model}, {self.checkpoint}, SHA-256 {self.checkpoint_sha256[:12]}…"


class TrainingRecord(PlainRecord):
    """How a model came to be.

    Attributes:
        settings: all options of the run.
        window: side of the training windows, in downsampled pixels.
        images, boxes: of the training set.
        class_counts: training boxes of each class.
        validation_images: how many images chose the best epoch.
        anchor_coverage: share of the training boxes that some anchor meets at IoU >= 0.5.
        class_coverage: the same by class.
        epochs_done: finished epochs when these weights were saved.
        best_epoch: the epoch of these weights, from 1.
        validation_ap, validation_ap50: AP@.5:.95 and AP@.5 of these weights on the validation images.
        seconds: spent so far, validation included.
        seconds_per_step: median of a training step.
        started: date and time, UTC, ISO 8601.
        started_from: the model that it continues; None for random or ImageNet weights.
        imported_from: the program that trained the weights, if it was not RetinaJ; all counts are 0 then.
    """

    settings: TrainingSettings
    window: int
    images: int
    boxes: int
    class_counts: dict[str, int]
    validation_images: int
    anchor_coverage: float
    class_coverage: dict[str, float]
    epochs_done: int = 0
    best_epoch: int = 0
    validation_ap: float | None = None
    validation_ap50: float | None = None
    seconds: float = 0.0
    seconds_per_step: float = 0.0
    started: str = ""
    started_from: StartRecord | None = None
    imported_from: ImportRecord | None = None


class ModelRecord(PlainRecord):
    """The content of model.json.

    Attributes:
        format, format_version: to tell a RetinaJ model from anything else.
        name: for people.
        class_names: in the order of the labels.
        pixel_type: of the training images.
        network: what to rebuild.
        normalization: pixel values to network input.
        training: how it came to be.
        versions: of the packages that wrote it.
        weights_sha256: of model.weights.h5.
    """

    format: Literal["retinaj-model"] = "retinaj-model"
    format_version: Literal[1] = 1
    name: Annotated[str, Field(min_length=1, max_length=200)]
    class_names: Annotated[tuple[str, ...], Field(min_length=1, max_length=10_000)]
    pixel_type: Literal["uint8", "uint16", "float32"]
    network: NetworkConfig
    normalization: Normalization
    training: TrainingRecord
    versions: dict[str, str]
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = "0" * 64

    @model_validator(mode="after")
    def _check(self) -> ModelRecord:
        if len(self.class_names) != self.network.num_classes:
            raise ValueError(f"{len(self.class_names)} class names for {self.network.num_classes} classes")
        return self


def parse_record(text: str | bytes, source: str) -> ModelRecord:
    """Parse the content of a model.json.

    Raises:
        RetinaJError: naming `source`, the first field that is wrong and why.
    """
    if len(text) > _LARGEST_RECORD:
        raise RetinaJError(f"{source} has {len(text)} bytes; a RetinaJ model.json is far smaller. It is not one.")
    try:
        return ModelRecord.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise RetinaJError(
            f"{source} is not a RetinaJ model of this version: {place}: {first['msg']}{more}. "
            "Train it again, or load it with the version of RetinaJ that wrote it."
        ) from error


def read_record(folder: Path) -> ModelRecord:
    """Read and check the model.json of a model folder. Needs no TensorFlow.

    Raises:
        RetinaJError: if the folder is not a model, or its model.json is broken or of another version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise RetinaJError(f"The model {folder} {state}; expected a model folder as `retinaj train --output` writes it.")
    path = folder / RECORD_FILE
    if not path.is_file() and (folder / TRAINING_FOLDER).is_dir():
        raise RetinaJError(f"{folder} has no model yet: its training stopped before the first epoch. Add --resume to it.")
    require_file(path, "the description of a model, as `retinaj train --output` writes it")
    if path.stat().st_size > _LARGEST_RECORD:
        raise RetinaJError(f"{path} has {path.stat().st_size} bytes; a RetinaJ model.json is far smaller. It is not one.")
    return parse_record(path.read_bytes(), str(path))


def load_network(folder: Path) -> tuple[ModelRecord, Any]:
    """Rebuild a trained network.

    Args:
        folder: a model folder.

    Returns:
        Its record, and the keras.Model of `retinaj.network.retinanet.build_network` with the trained weights.

    Raises:
        RetinaJError: if the folder is not a RetinaJ model, or its weights are not those that model.json names.
    """
    folder = Path(folder)
    record = read_record(folder)
    path = require_file(folder / WEIGHTS_FILE, "the weights that model.json describes")
    digest = file_sha256(path)
    if digest != record.weights_sha256:
        raise RetinaJError(
            f"{path} is not the file that {RECORD_FILE} was written with: its SHA-256 is {digest[:12]}…, "
            f"expected {record.weights_sha256[:12]}…. The folder was changed or copied incompletely; copy it again. If its "
            "training was killed while it saved, give its command again with --resume."
        )
    require_enough_weights(record, path.stat().st_size, str(path))
    from retinaj.network.retinanet import build_network  # TensorFlow, only where a network is needed

    network = build_network(record.network)
    expected = {variable.path: tuple(variable.shape) for variable in network.variables}
    assign_arrays(network, read_arrays(path, expected))
    return record, network


def require_enough_weights(record: ModelRecord, stored: int, origin: str) -> None:
    """Refuse the record of a network that is far larger than its weights, before it is built and fills the memory.

    Args:
        record: read from a stranger's model.
        stored: bytes of its weights.
        origin: where those are, for the message.

    Raises:
        RetinaJError: if they cannot be of that network.
    """
    needed = 4 * record.network.fewest_weights  # float32
    if needed > stored:
        raise RetinaJError(
            f"{origin} holds {stored:,} bytes of weights; the network that the model's record describes needs at least "
            f"{needed:,}. They do not belong together."
        )


def save_model(folder: Path, record: ModelRecord, network: Any) -> ModelRecord:
    """Write `model.json` and `model.weights.h5` of a network into a folder, each whole or not at all.

    Returns:
        The record as written, with the SHA-256 of the weights.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    digest = write_arrays(folder / WEIGHTS_FILE, network_arrays(network))
    record = record.model_copy(update={"weights_sha256": digest})
    write_text(folder / RECORD_FILE, record.model_dump_json(indent=2) + "\n")
    return record
