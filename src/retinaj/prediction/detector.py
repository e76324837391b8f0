"""A trained model, ready to detect: normalisation, channels, runtime and threshold in one object. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.images.channels import choose_channels
from retinaj.images.plane_choice import AS_STORED, PlaneChoice
from retinaj.model_folder import ModelRecord
from retinaj.normalization import FixedScale, PercentileScale

# The default of --threshold everywhere: command line, Python, macro.
DEFAULT_THRESHOLD = 0.4


class Runtime(Protocol):
    """Runs the detection graph on one framework."""

    def __call__(self, batch: NDArray[np.float32], overlap: float) -> NDArray[np.float32]:
        """Detect on normalised images.

        Args:
            batch: float32 [batch, y, x, channel], normalised, any y and x.
            overlap: IoU above which NMS drops the lower-scored of two boxes of one class.

        Returns:
            float32 [batch, K, 6]: x_min, y_min, x_max, y_max in pixels, score, label from 1; score 0 marks padding rows.
        """
        ...


@dataclass(frozen=True)
class Detector:
    """Finds boxes on images. Made by `retinaj.prediction.open_model` or `retinaj_zoo.open_model`.

    Attributes:
        name: of the model, for people.
        class_names: the classes it knows.
        channels: image channels it was trained with.
        normalization: pixel values to network input.
        runtime: the graph on Keras or ONNX Runtime.
        score_floor: no threshold below this has an effect.
        overlap: the default of NMS.
        max_detections: the most boxes per plane.
        weights_sha256: of the trained weights: tells two models of one name apart.
        record: how it was made and trained; None for a model of other origin.
    """

    name: str
    class_names: tuple[str, ...]
    channels: int
    normalization: FixedScale | PercentileScale
    runtime: Runtime
    score_floor: float
    overlap: float
    max_detections: int
    weights_sha256: str = ""
    record: ModelRecord | None = None

    @classmethod
    def of(cls, record: ModelRecord, runtime: Runtime) -> Detector:
        """The detector of a model described by `record`, run by `runtime`."""
        return cls(
            name=record.name,
            class_names=record.class_names,
            channels=record.network.channels,
            normalization=record.normalization,
            runtime=runtime,
            score_floor=record.network.score_floor,
            overlap=record.network.overlap,
            max_detections=record.network.max_detections,
            weights_sha256=record.weights_sha256,
            record=record,
        )

    def detect(
        self,
        image: xr.DataArray,
        *,
        threshold: float = DEFAULT_THRESHOLD,
        overlap: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Boxes:
        """Detect objects on every plane of an image.

        Args:
            image: dims a subset of t, c, z, y, x in that order, any pixel type.
            threshold: the lowest score that is kept, above 0 up to 1.
            overlap: NMS drops the lower-scored of two boxes of a class whose IoU is above it; default: the model's.
            progress: called as progress(planes done, planes in all) after each plane; an exception from it cancels.

        Returns:
            Boxes with scores, highest first in each plane, clipped to the image; with planes when the image has a t or z
            axis. The plane's c is always 0: one detection sees all channels together.

        Raises:
            RetinaJError: for an image without pixels or with channels the model cannot use, or a threshold or overlap
                outside 0..1.
        """
        overlap = self.overlap if overlap is None else overlap
        check_fraction("threshold", threshold)
        check_fraction("overlap", overlap)
        planes = [(t, z) for t in range(image.sizes.get("t", 1)) for z in range(image.sizes.get("z", 1))]
        if not planes or not image.size:
            raise RetinaJError(f"The image has no pixels: its size is {dict(image.sizes)}.")
        parts: list[Boxes] = []
        for done, (t, z) in enumerate(planes, 1):
            plane = image.isel({axis: at for axis, at in (("t", t), ("z", z)) if axis in image.dims})
            found = self._detect_plane(plane, threshold, overlap)
            parts.append(found.on_plane(t, 0, z) if {"t", "z"} & set(image.dims) else found)
            if progress is not None:
                progress(done, len(planes))
        return Boxes.concatenate(parts)

    @property
    def planes(self) -> PlaneChoice:
        """How the images that the model was trained on were read: which of their planes and channels it saw."""
        return AS_STORED if self.record is None else self.record.training.settings.planes

    def pixels(self, plane: xr.DataArray) -> NDArray[np.generic]:
        """The pixels [y, x, channel] of one plane that the model looks at: the channels that it was trained on.

        An image with as many channels as the model is taken as it is, unless the channels were chosen by names and it has
        these.

        Raises:
            RetinaJError: for an image with channels that the model cannot use.
        """
        chosen, names = self.planes.channels, plane.attrs.get("channel_names", ())
        if chosen and (plane.sizes.get("c", 1) != self.channels or set(map(str, chosen)) <= set(names)):
            try:
                plane = choose_channels(plane, chosen)
            except RetinaJError as error:
                raise RetinaJError(
                    f"The model looks at {self.planes.words.partition(';')[0]} of an image. {error} Or give it an image of "
                    "only the channels that it looks at, in their order (in ImageJ: Image > Duplicate)."
                ) from error
        return to_channels(plane, self.channels)

    def is_full(self, boxes: Boxes) -> bool:
        """Whether some plane has as many boxes as the model can give: objects may be missing there. See `limit_words`."""
        if boxes.plane is None:
            return len(boxes) >= self.max_detections
        _, counts = np.unique(boxes.plane, axis=0, return_counts=True)
        return bool((counts >= self.max_detections).any())

    def _detect_plane(self, plane: xr.DataArray, threshold: float, overlap: float) -> Boxes:
        pixels = self.pixels(plane)
        require_range(pixels, self.normalization)
        return self.one_pass(self.normalization(pixels), threshold, overlap)

    def one_pass(self, pixels: NDArray[np.float32], threshold: float, overlap: float) -> Boxes:
        """What the network finds on normalised pixels [y, x, channel]: boxes in these, highest score first, clipped to them.

        Args:
            pixels: of a whole plane, or of a tile of it.
            threshold, overlap: as for `detect`.
        """
        detections = self.runtime(pixels[None], overlap)[0]
        detections = detections[(detections[:, 4] > 0) & (detections[:, 4] >= threshold)]
        boxes = Boxes(detections[:, :4], detections[:, 5].astype(np.int32) - 1, self.class_names, detections[:, 4])
        boxes = boxes.clipped(width=pixels.shape[1], height=pixels.shape[0])
        return boxes.select(boxes.area > 0).by_score()


def limit_words(detector: Detector, tiles: str = "--tiles of `retinaj predict`") -> str:
    """What a user is told about an image with as many boxes as the model can give, to follow "that is".

    Args:
        detector: the model.
        tiles: how the user asks for smaller tiles.
    """
    if detector.record is not None:
        remedy = "train on some of them: a model gives twice as many boxes as its fullest image had"
    else:
        remedy = (
            "package the detector again with a higher --max-boxes, exported so that it gives as many itself (torchvision: "
            "detections_per_img or box_detections_per_img, Ultralytics: max_det)"
        )
    return (
        f"{detector.max_detections} boxes, as many as the model can give in one pass, so that objects may be missing. Search "
        f"such images in smaller tiles ({tiles}), or {remedy}"
    )


def check_fraction(name: str, value: float) -> None:
    """Refuse an option outside 0 < value <= 1.

    Raises:
        RetinaJError: quoting the option and its value.
    """
    if not 0 < value <= 1:
        raise RetinaJError(f"{name} is {value}; expected a number above 0 and at most 1, such as 0.4.")


def require_range(pixels: NDArray[np.generic], normalization: FixedScale | PercentileScale) -> None:
    """Refuse pixels that a fixed scale for 8-bit images would turn into nonsense.

    Raises:
        RetinaJError: if a model of 8-bit images gets pixels of another type that do not lie within 0..255.
    """
    if not isinstance(normalization, FixedScale) or pixels.dtype == np.uint8 or not pixels.size:
        return
    low, high = float(np.min(pixels)), float(np.max(pixels))
    if not (low >= 0 and high <= 255):
        raise RetinaJError(
            f"The image is {pixels.dtype} with values from {low:g} to {high:g}, but the model was trained on 8-bit images, "
            "0 to 255. Convert the image to 8 bit (in ImageJ: set the contrast, then Image > Type > 8-bit), or train a model "
            "on images like this one."
        )


def to_channels(plane: xr.DataArray, channels: int) -> NDArray[np.generic]:
    """The pixels of one plane as [y, x, channel] with the number of channels a model was trained with.

    Grey is repeated for an RGB model; an RGB image becomes grey for a grey model when its three channels are equal.

    Raises:
        RetinaJError: for any other difference, naming both numbers.
    """
    pixels = plane.transpose("y", "x", "c").to_numpy() if "c" in plane.dims else plane.to_numpy()[..., None]
    have = pixels.shape[-1]
    if have == channels:
        return pixels
    if have == 1 and channels == 3:
        return np.repeat(pixels, 3, axis=-1)
    if have == 3 and channels == 1 and (pixels == pixels[..., :1]).all():
        return pixels[..., :1]
    raise RetinaJError(
        f"The image has {have} channels, but the model was trained on images with {channels}. "
        f"Give it an image with {channels} channel{'s' * (channels > 1)}."
    )
