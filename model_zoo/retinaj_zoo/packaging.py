"""From a trained model folder to a bioimage.io package that bioimageio.core has tested.

export the graph -> describe it -> zip -> test the zip in a fresh process -> move it into place. Everything happens in a
temporary folder; a failure leaves nothing behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile

from retinaj.model_folder import load_network
from retinaj.prediction.detector import Detector
from retinaj.prediction.keras_runtime import KerasRuntime
from retinaj_zoo.cover import write_cover
from retinaj_zoo.description import FILES, describe
from retinaj_zoo.documentation import write_documentation
from retinaj_zoo.example_image import ExampleImage, choose_example
from retinaj_zoo.finishing import finish_package, require_new_zip
from retinaj_zoo.graphs import detection_model, write_keras, write_onnx, write_saved_model
from retinaj_zoo.metadata import Metadata, completed, has_author
from retinaj_zoo.sample_image import find_image
from retinaj_zoo.validation import read_evaluation, validation_section
from retinaj_zoo.weight_formats import WEIGHT_FORMATS, choose_formats


@dataclass(frozen=True)
class PackagingSummary:
    """What was written.

    Attributes:
        path: of the package.
        name: of the package.
        bytes: its size.
        weights_bytes: size of each weight format.
        example: where the image in it came from.
        example_boxes: how many boxes the model finds on it.
        warnings: what the zoo would like to see changed.
        seconds: how long it all took.
    """

    path: Path
    name: str
    bytes: int
    weights_bytes: dict[str, int]
    example: str
    example_boxes: int
    warnings: tuple[str, ...]
    seconds: float


def package_model(
    model_folder: Path,
    output: Path,
    *,
    image: Path | None = None,
    evaluation: Path | None = None,
    metadata: Metadata | None = None,
    weights: Sequence[str] = WEIGHT_FORMATS,
    log: Callable[[str], None] = print,
) -> PackagingSummary:
    """Write a trained model as a bioimage.io package.

    Args:
        model_folder: as `retinaj train` writes it. It is not changed.
        output: the zip to write; it must not exist.
        image: shown and tested in the package; default: the validation image that training left in the model folder.
        evaluation: folder that `retinaj evaluate` wrote, for the documentation; default: the one in the model folder, if any.
        metadata: who made it, and so on; what is missing follows from the model.
        weights: the formats to write, see `retinaj_zoo.weight_formats`; ONNX must be among them.
        log: called with each line of progress. It is told which image goes into the package.

    Raises:
        RetinaJError: if a weight format is unknown or ONNX is missing, the output exists, the model cannot be read, no image
            can serve as the test, the format refuses a field, or bioimageio.core's test fails. Nothing is written then.
    """
    started = time.monotonic()
    model_folder, output = Path(model_folder), Path(output)
    require_new_zip(output)
    formats = choose_formats(weights)
    record, network = load_network(model_folder)
    metadata = completed(metadata or Metadata(), record)
    if not has_author(metadata):
        log("No author was given: the package says 'unknown'. The zoo takes only models that somebody stands for.")
    log(f"Licence: {metadata.license}.")
    scores = read_evaluation(model_folder, record.weights_sha256, evaluation)
    if scores is None:
        log("These weights were not evaluated, and the documentation will say so. Run `retinaj evaluate` first to change that.")
    model = detection_model(network, record.network)
    picture, source = find_image(model_folder, image)
    # The expected answers come from the model folder itself, so that the test compares every weight format with it.
    example = choose_example(picture, source, Detector.of(record, KerasRuntime(network, record.network)), log=log)
    height, width = example.pixels.shape[:2]
    with TemporaryDirectory(prefix="retinaj-package-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if "keras_v3" in formats:
            write_keras(model, folder / FILES["keras_v3"])
        write_onnx(network, record.network, folder / FILES["onnx"])
        if "tensorflow_saved_model_bundle" in formats:
            write_saved_model(model, folder / FILES["tensorflow_saved_model_bundle"])
        weights_bytes = {name: (folder / FILES[name]).stat().st_size for name in formats}
        log("Weights: " + ", ".join(f"{key} {size / 1e6:.1f} MB" for key, size in weights_bytes.items()) + ".")
        write_example(folder, example)
        parameters = model.count_params()
        text = write_documentation(record, metadata, validation_section(scores, record.training), parameters)
        (folder / FILES["documentation"]).write_text(text, encoding="utf-8", newline="\n")
        result = finish_package(
            folder,
            lambda: describe(folder, record, metadata, image_size=(height, width), parameters=parameters, formats=formats),
            output,
            log,
        )
    return PackagingSummary(
        path=output,
        name=metadata.name or "",
        bytes=output.stat().st_size,
        weights_bytes=weights_bytes,
        example=source,
        example_boxes=len(example.boxes),
        warnings=result.warnings,
        seconds=time.monotonic() - started,
    )


def write_example(folder: Path, example: ExampleImage) -> None:
    """Write test tensors with a batch axis for programs, sample tensors and the cover for people."""
    np.save(folder / FILES["test_input"], example.pixels[None])
    np.save(folder / FILES["test_output"], example.detections)
    channels = example.pixels.shape[-1]
    colour = "rgb" if channels == 3 and example.pixels.dtype.name in ("uint8", "uint16") else "minisblack"
    tifffile.imwrite(
        folder / FILES["sample_input"],
        example.pixels if channels > 1 else example.pixels[..., 0],
        photometric=colour,
        compression="zlib",
    )
    tifffile.imwrite(folder / FILES["sample_output"], example.detections[0], photometric="minisblack", compression="zlib")
    write_cover(example.pixels, example.boxes, folder / FILES["cover"])
