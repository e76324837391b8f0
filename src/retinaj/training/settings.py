"""Everything that decides a training run, as plain data. It is stored with the model. Imports no TensorFlow."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from retinaj.augmentation import AugmentationConfig
from retinaj.network.config import BackboneName
from retinaj.plane_choice import AS_STORED, PlaneChoice


class TrainingSettings(BaseModel):
    """How to train. The defaults are meant for training `light` from random weights on a laptop.

    Attributes:
        backbone: which backbone.
        imagenet_weights: start the backbone from ImageNet weights and keep its BatchNorm statistics.
        epochs: how often the training images are gone through; a small set is gone through several times in one epoch, so
            that an epoch has at least `windows_per_epoch` windows and validation stays a small part of the time.
        windows_per_epoch: see `epochs`.
        batch_size: windows in a step.
        learning_rate: the highest, after warm-up; it then falls along a cosine to 2 % of itself.
        warmup_steps: steps over which the learning rate rises from 0.
        weight_decay: of AdamW, on convolution kernels only.
        clip_norm: longest gradient, over all weights.
        ema: share of the old average kept in each step of the averaged weights that are validated and saved.
        validation: share of the images that is kept for validation when no list of names is given.
        seed: of the split, the weights, the order and the augmentation.
        window: side of the training windows in downsampled pixels; None chooses it from the sizes of boxes and images.
        downsampling: average images down by this factor; None chooses it from the sizes of the boxes.
        levels: (first, last) pyramid level; None chooses them from the sizes of the boxes.
        pyramid_width: channels of the feature pyramid and the heads.
        assignment: which anchors learn a box: "atss" or "iou".
        focal_alpha: weight of objects against background in the class loss.
        focal_gamma: how strongly the class loss holds back what is already scored well.
        box_loss: "giou" or "smooth_l1".
        class_weight: of the class loss.
        box_weight: of the box loss.
        augmentation: how training windows vary.
        planes: how images are read, and which planes and channels of stacks the model sees.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    backbone: BackboneName = "light"
    imagenet_weights: bool = False
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 40
    windows_per_epoch: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 4
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    warmup_steps: Annotated[int, Field(ge=0, le=100_000)] = 200
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    clip_norm: Annotated[float, Field(gt=0)] = 10.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    window: Annotated[int, Field(ge=32, le=2048, multiple_of=32)] | None = None
    downsampling: Literal[1, 2, 4, 8] | None = None
    levels: tuple[Annotated[int, Field(ge=2, le=7)], Annotated[int, Field(ge=2, le=7)]] | None = None
    pyramid_width: Annotated[int, Field(ge=8, le=512, multiple_of=8)] = 64
    assignment: Literal["atss", "iou"] = "atss"
    focal_alpha: Annotated[float, Field(gt=0, lt=1)] = 0.25
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = 2.0
    box_loss: Literal["giou", "smooth_l1"] = "giou"
    class_weight: Annotated[float, Field(ge=0)] = 1.0
    box_weight: Annotated[float, Field(ge=0)] = 2.0
    augmentation: AugmentationConfig = AugmentationConfig()
    planes: PlaneChoice = AS_STORED
