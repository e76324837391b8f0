"""From another program's ONNX detector to a bioimage.io package that RetinaJ, Fiji and bioimageio.core can run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import jinja2
import numpy as np
from bioimageio.spec.model import v0_5

from retinaj.errors import RetinaJError
from retinaj.files import require_file
from retinaj.images import read_image
from retinaj.normalization import FixedScale, PercentileScale
from retinaj.prediction.detector import DEFAULT_THRESHOLD
from retinaj.prediction.onnx_runtime import OnnxRuntime
from retinaj_zoo.description import FILES, detections_tensor, image_tensor, model_description
from retinaj_zoo.documentation import loading_code, normalization_code
from retinaj_zoo.example_image import choose_example
from retinaj_zoo.finishing import finish_package, require_new_zip
from retinaj_zoo.foreign_graph import ForeignOptions, WrappedDetector, wrap_detector
from retinaj_zoo.foreign_record import ForeignRecord
from retinaj_zoo.metadata import UNKNOWN_AUTHOR, Metadata, Person, has_author
from retinaj_zoo.packaging import write_example
from retinaj_zoo.reading import MAX_WEIGHTS_BYTES
from retinaj_zoo.weight_formats import ONNX_OPSET

# Detectors pool images many times over; of smaller ones nothing may be left.
_SMALLEST_SIDE = 64


def package_foreign(
    onnx_file: Path,
    output: Path,
    *,
    options: ForeignOptions,
    image: Path,
    metadata: Metadata,
    log: Callable[[str], None] = print,
) -> ForeignRecord:
    """Write another program's detector as a bioimage.io package with ONNX weights, and test it.

    Args:
        onnx_file: the detector. It is not changed.
        output: the zip to write; it must not exist.
        options: how to understand it.
        image: shown and tested in the package: one with objects, 8-bit for a detector of photographs.
        metadata: must say the licence and what to cite: they are not ours to choose.
        log: called with each line of progress.

    Returns:
        The record in the package's config.retinaj.

    Raises:
        RetinaJError: if the output exists, licence or citation is missing, the file is not such a detector, it finds nothing on
            the image, the format refuses a field, or bioimageio.core's test fails. Nothing is written then.
    """
    onnx_file, output = Path(onnx_file), Path(output)
    require_new_zip(output)
    missing = [field for field in ("license", "cite") if field not in metadata.model_fields_set or not getattr(metadata, field)]
    if missing:
        raise RetinaJError(
            f"The metadata lack {' and '.join(missing)}: the model is somebody else's, and they decide that. Write them into a "
            "metadata.yaml, see docs/foreign-detectors.md."
        )
    require_file(onnx_file, "an ONNX detector")
    if onnx_file.stat().st_size > MAX_WEIGHTS_BYTES:
        raise RetinaJError(f"{onnx_file} has {onnx_file.stat().st_size:,} bytes; no ONNX file can be that large.")
    content = onnx_file.read_bytes()
    wrapped = wrap_detector(content, options, str(onnx_file))
    log(f"{onnx_file}: {len(wrapped.class_names)} classes; {wrapped.description}.")
    if wrapped.opset > ONNX_OPSET:
        log(f"Its opset {wrapped.opset} is too new for DeepImageJ, though not for RetinaJ: {ONNX_OPSET} serves both.")
    if not has_author(metadata):
        log("No author was given: the package says 'unknown'. The zoo takes only models that somebody stands for.")
    picture = read_image(image)
    record = _record(onnx_file, content, wrapped, options, metadata, picture.dtype)
    runtime = OnnxRuntime(wrapped.model, origin=f"{onnx_file}, wrapped,")
    example = choose_example(picture, str(image), record.detector(runtime), log=log)
    height, width = example.pixels.shape[:2]
    with TemporaryDirectory(prefix="retinaj-package-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / FILES["onnx"]).write_bytes(wrapped.model)
        write_example(folder, example)
        text = _documentation(record, metadata)
        (folder / FILES["documentation"]).write_text(text, encoding="utf-8", newline="\n")
        smallest = min(_SMALLEST_SIDE, height), min(_SMALLEST_SIDE, width)
        finish_package(folder, lambda: _describe(folder, record, metadata, wrapped.opset, smallest), output, log)
    return record


def _record(
    onnx_file: Path,
    content: bytes,
    wrapped: WrappedDetector,
    options: ForeignOptions,
    metadata: Metadata,
    pixel_type: np.dtype[Any],
) -> ForeignRecord:
    low, high = options.pixel_range
    fixed = pixel_type == np.uint8
    kind: Literal["uint8", "uint16", "float32"] = "uint8" if fixed else "uint16" if pixel_type == np.uint16 else "float32"
    normalization = FixedScale(gain=(high - low) / 255, offset=low) if fixed else PercentileScale(gain=high - low, offset=low)
    stem = " ".join(re.sub(r"[^A-Za-z0-9_+\- ()]", " ", onnx_file.stem).split())[:100]
    return ForeignRecord(
        name=metadata.name or (stem if len(stem) >= 5 else f"Detector {stem}".strip()),
        class_names=wrapped.class_names,
        channels=wrapped.channels,
        pixel_type=kind,
        normalization=normalization,
        max_detections=wrapped.max_detections,
        score_floor=options.score_floor,
        overlap=wrapped.overlap,
        outputs=wrapped.description,
        onnx_file=onnx_file.name[:200],
        onnx_sha256=hashlib.sha256(content).hexdigest(),
        weights_sha256=hashlib.sha256(wrapped.model).hexdigest(),
    )


def _documentation(record: ForeignRecord, metadata: Metadata) -> str:
    template = files("retinaj_zoo").joinpath("foreign_documentation.md").read_text(encoding="utf-8")
    # Markdown, not HTML: what is read is text.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    return environment.from_string(template).render(
        name=record.name,
        description=_summary(record, metadata),
        record=record,
        metadata=metadata,
        threshold=f"{DEFAULT_THRESHOLD:g}",
        class_list=list(record.class_names),
        loading_code=loading_code(record.channels),
        normalization_code=normalization_code(record.normalization),
        files=FILES,
    )


def _summary(record: ForeignRecord, metadata: Metadata) -> str:
    listed = ", ".join(record.class_names[:10]) + (", …" if len(record.class_names) > 10 else "")
    return metadata.description or f"Finds {listed}, and gives a box, a score and a class for each."[:1024]


def _describe(folder: Path, record: ForeignRecord, metadata: Metadata, opset: int, smallest: tuple[int, int]) -> Any:
    authors = metadata.authors or (Person(name=UNKNOWN_AUTHOR),)
    tags = tuple(dict.fromkeys(["object-detection", "2d", "onnx", "fiji", "imagej", *metadata.tags]))
    described = {"name": record.name, "description": _summary(record, metadata), "authors": authors, "tags": tags}
    return model_description(
        folder,
        metadata.model_copy(update=described),
        inputs=[image_tensor(folder, record.channels, record.pixel_type, record.normalization, smallest, any_batch=False)],
        outputs=[detections_tensor(folder, record.max_detections, any_batch=False)],
        weights=v0_5.WeightsDescr(onnx=v0_5.OnnxWeightsDescr(source=folder / FILES["onnx"], opset_version=opset)),
        bioimageio={"target_structure": list(record.class_names)},
        record=record.model_dump(mode="json"),
    )
