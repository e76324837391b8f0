"""The commands `retinaj package` and `retinaj metadata`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retinaj.cli.common import console, say
from retinaj.cli.foreign_options import (
    DEFAULT_MAX_BOXES,
    DEFAULT_RANGE,
    ForeignClasses,
    ForeignFirstLabel,
    ForeignMaxBoxes,
    ForeignMean,
    ForeignMultiple,
    ForeignOutputs,
    ForeignRange,
    ForeignStd,
    FromOnnx,
    class_list,
    numbers,
    pixel_values,
    refuse_foreign_options,
)
from retinaj.errors import RetinaJError


def package(
    output: Annotated[Path, typer.Option(help="Zip file to make; it must not exist.")],
    model: Annotated[Path | None, typer.Argument(help="Model folder that `retinaj train` made.")] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(help="File that says the authors, licence, citations and so on; `retinaj metadata` makes one to fill in."),
    ] = None,
    interactive: Annotated[
        bool,
        typer.Option(
            "--interactive", help="Ask for what --metadata leaves open, and keep the answers in a file for --metadata."
        ),
    ] = False,
    image: Annotated[
        Path | None,
        typer.Option(
            help="Image to show and to test with; it becomes public. \\[default: a validation image, which training kept]"
        ),
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(help="Folder that `retinaj evaluate` wrote. \\[default: its last figures of this model, if any]"),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weight formats, with commas between: onnx, keras_v3, tensorflow_saved_model_bundle. \\[default: all]"
        ),
    ] = None,
    from_onnx: FromOnnx = None,
    outputs: ForeignOutputs = None,
    classes: ForeignClasses = None,
    first_label: ForeignFirstLabel = None,
    pixel_range: ForeignRange = DEFAULT_RANGE,
    mean: ForeignMean = None,
    std: ForeignStd = None,
    multiple: ForeignMultiple = None,
    max_boxes: ForeignMaxBoxes = DEFAULT_MAX_BOXES,
) -> None:
    """Write a model as a package for the BioImage Model Zoo (one zip, for Fiji and Python too), and test it."""
    from retinaj_zoo.metadata import Metadata, read_metadata
    from retinaj_zoo.weight_formats import WEIGHT_FORMATS, choose_formats

    formats = WEIGHT_FORMATS if weights is None else choose_formats(weights.split(","))
    details = Metadata() if metadata is None else read_metadata(metadata)
    if from_onnx is not None:
        from retinaj_zoo.foreign_packaging import ForeignOptions, package_foreign

        if model is not None or outputs is None or image is None or weights is not None or interactive:
            raise RetinaJError(
                "--from-onnx takes the place of MODEL, needs --outputs and --image, and knows neither --weights nor "
                "--interactive; see --help."
            )
        options = ForeignOptions(
            outputs=outputs,
            class_names=class_list(classes),
            first_label=first_label,
            pixel_range=pixel_values(pixel_range),
            mean=numbers("mean", mean),
            std=numbers("std", std),
            multiple=multiple,
            max_detections=max_boxes,
        )
        package_foreign(from_onnx, output, options=options, image=image, metadata=details, log=say)
        return
    refuse_foreign_options(
        outputs=outputs,
        classes=classes,
        first_label=first_label,
        pixel_range=pixel_range,
        mean=mean,
        std=std,
        multiple=multiple,
        max_boxes=max_boxes,
    )
    if model is None:
        raise RetinaJError("MODEL is missing: the model folder to package, or --from-onnx FILE.")
    if interactive:
        from retinaj_zoo.questionnaire import complete_interactively

        details = complete_interactively(details, model, output, console)
    from retinaj_zoo.packaging import package_model  # TensorFlow, only now

    package_model(model, output, image=image, evaluation=evaluation, metadata=details, weights=formats, log=say)


def metadata(
    output: Annotated[Path, typer.Argument(help="metadata.yaml to make.")],
) -> None:
    """Write a metadata.yaml to fill in, for `retinaj package --metadata`: every field with what it is for and an example."""
    from retinaj.files import require_absent, write_text
    from retinaj_zoo.metadata_file import metadata_text

    require_absent(output)
    write_text(output, metadata_text())
    say(f"Fill in {output} and give it as --metadata to `retinaj package`.")
