"""What a package says about a detector that RetinaJ did not train: enough to run it, and where it came from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from retinaj.normalization import Normalization
from retinaj.plain_record import PlainRecord
from retinaj.prediction.detector import Detector, Runtime

FOREIGN_FORMAT = "retinaj-foreign-detector"


class ForeignRecord(PlainRecord):
    """The content of config.retinaj of a package made by `retinaj package --from-onnx`.

    Attributes:
        format, format_version: to tell it from a trained model's record.
        name: for people.
        class_names: in the order of the labels.
        channels: of the input image.
        pixel_type: of the example image.
        normalization: pixel values to graph input.
        max_detections: K, the most boxes per image.
        score_floor: boxes below it are never reported.
        overlap: the default of NMS.
        outputs: how the outputs of the original were understood, in words.
        onnx_file: the file name of the original.
        onnx_sha256: of the original.
        weights_sha256: of the graph in the package.
    """

    format: Literal["retinaj-foreign-detector"] = FOREIGN_FORMAT
    format_version: Literal[1] = 1
    name: Annotated[str, Field(min_length=1, max_length=200)]
    class_names: Annotated[tuple[str, ...], Field(min_length=1, max_length=10_000)]
    channels: Annotated[int, Field(ge=1, le=64)]
    pixel_type: Literal["uint8", "uint16", "float32"]
    normalization: Normalization
    max_detections: Annotated[int, Field(ge=1, le=10_000)]
    score_floor: Annotated[float, Field(gt=0, lt=1)]
    overlap: Annotated[float, Field(gt=0, le=1)]
    outputs: Annotated[str, Field(max_length=1000)]
    onnx_file: Annotated[str, Field(max_length=200)]
    onnx_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

    def detector(self, runtime: Runtime) -> Detector:
        """The detector that this describes, run by `runtime`."""
        return Detector(
            name=self.name,
            class_names=self.class_names,
            channels=self.channels,
            normalization=self.normalization,
            runtime=runtime,
            score_floor=self.score_floor,
            overlap=self.overlap,
            max_detections=self.max_detections,
            weights_sha256=self.weights_sha256,
        )
