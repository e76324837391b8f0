"""Model folders made in a second: small networks of random weights that find plenty on images of noise."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
import xarray as xr
from numpy.typing import NDArray
from PIL import Image

from retinaj.boxes import Boxes
from retinaj.model_folder import TRAINING_FOLDER, ModelRecord, TrainingRecord, save_model
from retinaj.network.config import NetworkConfig
from retinaj.normalization import FixedScale, PercentileScale
from retinaj.training.settings import TrainingSettings

if TYPE_CHECKING:
    from retinaj_zoo.packaging import PackagingSummary

# "no" is False in YAML 1.1, and "|" ends a cell in a Markdown table.
CLASSES = ("cell", "no", "µ|x")


def tiny_record(channels: int, pixel_type: str) -> ModelRecord:
    """The record of a model for images of these channels and this pixel type."""
    return ModelRecord(
        name="Tiny test model",
        class_names=CLASSES,
        pixel_type=pixel_type,  # pyright: ignore[reportArgumentType]
        network=NetworkConfig(
            channels=channels,
            num_classes=len(CLASSES),
            fill=(0.25,) * channels,
            pyramid_width=16,
            head_depth=1,
            prior=0.3,
            max_detections=40,
            max_candidates=120,
            score_floor=0.4,
            voting=0.7,
        ),
        normalization=FixedScale() if pixel_type == "uint8" else PercentileScale(),
        training=TrainingRecord(
            settings=TrainingSettings(),
            window=64,
            images=8,
            boxes=40,
            class_counts={"cell": 30, "no": 10},
            validation_images=2,
            anchor_coverage=1.0,
            class_coverage={"cell": 1.0, "no": 1.0},
            epochs_done=3,
            best_epoch=2,
            seconds=12.5,
        ),
        versions={"retinaj": "0"},
    )


def write_tiny_model(folder: Path, *, channels: int = 3, pixel_type: str = "uint8", seed: int = 0) -> Path:
    """A model folder with a sample image, as training leaves it; its weights depend on `seed` alone."""
    import keras

    from retinaj.network.retinanet import build_network

    record = tiny_record(channels, pixel_type)
    keras.utils.set_random_seed(seed)
    network = build_network(record.network)
    random = np.random.default_rng(seed)
    for variable in network.variables:
        # Scores spread over 0..1, so that few of them nearly tie.
        if "class_head" in variable.path and "kernel" in variable.path:
            variable.assign(random.normal(0, 0.2, variable.shape))
    save_model(folder, record, network)
    training = folder / TRAINING_FOLDER
    training.mkdir()
    pixels = noise_pixels(96, 110, channels, pixel_type, seed)
    stored = pixels if channels > 1 else pixels[..., 0]
    tifffile.imwrite(training / "sample.tif", stored, photometric="rgb" if channels == 3 else "minisblack")
    (training / "sample.json").write_text(json.dumps({"file": "sample.tif", "source": "plate 7.tif"}))
    return folder


def noise_pixels(height: int, width: int, channels: int, pixel_type: str = "uint8", seed: int = 0) -> NDArray[np.generic]:
    """Cloudy noise [y, x, channel]."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 8 + 2, width // 8 + 2, channels)).astype(np.uint8)
    planes = [Image.fromarray(coarse[..., c]).resize((width, height), Image.Resampling.BICUBIC) for c in range(channels)]
    pixels = np.stack([np.asarray(plane) for plane in planes], axis=-1)
    return pixels if pixel_type == "uint8" else pixels.astype(np.uint16) * np.uint16(150) + np.uint16(700)


def as_image(pixels: NDArray[np.generic]) -> xr.DataArray:
    """[y, x, channel] as `read_image` would give it."""
    if pixels.shape[-1] == 1:
        return xr.DataArray(pixels[..., 0], dims=("y", "x"))
    return xr.DataArray(np.moveaxis(pixels, -1, 0), dims=("c", "y", "x"))


@dataclass(frozen=True, eq=False)
class Packaged:
    """A model folder, the package made from it, that package unpacked, and what was said meanwhile."""

    model: Path
    package: Path
    unpacked: Path
    summary: PackagingSummary
    log: tuple[str, ...]


def assert_same_boxes(found: Boxes, expected: Boxes) -> None:
    """The same set: each box has a counterpart of its class within half a pixel and 1e-3 of its score."""
    assert found.score is not None
    assert expected.score is not None
    assert len(found) == len(expected)
    unmatched = list(range(len(expected)))
    for box, label, score in zip(found.xyxy, found.label, found.score, strict=True):
        near = [
            i
            for i in unmatched
            if expected.label[i] == label
            and np.abs(expected.xyxy[i] - box).max() <= 0.5
            and abs(expected.score[i] - score) <= 1e-3
        ]
        assert near, f"no counterpart of {box}, label {label}, score {score}"
        unmatched.remove(near[0])
