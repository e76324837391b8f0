"""Everything that decides a training run, as plain data. It is stored with the model. Imports no TensorFlow."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from retinaj.augmentation import AugmentationConfig
from retinaj.images.plane_choice import AS_STORED, PlaneChoice
from retinaj.network.config import BackboneName, Norm


class TrainingSettings(BaseModel):
    """How to train. The defaults are meant for training `light` from random weights on a laptop.

    Attributes:
        backbone: which backbone.
        imagenet_weights: start the backbone from ImageNet weights.
        freeze: what of the backbone is not trained: "none", the stem and all stages up to "stage2" ... "stage5", or "backbone";
            None is "stage2" with ImageNet weights, else "none".
        freeze_batch_norm: keep the backbone's BatchNorm statistics and scales; None does so with ImageNet weights.
        minutes: how long training may take where `epochs` is None; the number of epochs is fitted to it on this machine.
        epochs: how often the training images are gone through; a small set is gone through several times in one epoch, so
            that an epoch has at least `windows_per_epoch` windows and validation stays a small part of the time.
        windows_per_epoch: see `epochs`.
        batch_size: windows in a step.
        optimizer: "adamw", "adam" or "sgd" (with momentum).
        learning_rate: the highest, after warm-up.
        schedule: how the learning rate goes on: "cosine", "constant", "step" or "plateau"; see `retinaj.training.schedule`.
        plateau: for that schedule, the epochs without a better validation AP after which the learning rate is halved.
        warmup_steps: steps over which the learning rate rises from 0.
        accumulate: batches whose gradients are averaged before the weights change: a large batch in little memory.
        weight_decay: of AdamW and SGD, on convolution kernels only.
        clip_norm: longest gradient, over all weights.
        ema: share of the old average kept in each step of the averaged weights that are validated and saved.
        patience: stop when validation AP has not risen for this many epochs; 0 never does.
        validation: share of the images that is kept for validation when no list of names is given.
        precision: "float32", or "mixed_bfloat16" for convolutions in half precision; None decides by the hardware.
        seed: of the split, the weights, the order and the augmentation.
        window: side of the training windows in downsampled pixels; None chooses it from the sizes of boxes and images.
        downsampling: average images down by this factor; None chooses it from the sizes of the boxes.
        levels: (first, last) pyramid level; None chooses them from the sizes of the boxes.
        norm, separable, pyramid_width: see `retinaj.network.config.NetworkConfig`.
        assignment: which anchors learn a box: "atss" or "iou".
        balance: how rare classes are made up for: "none", "weights" (their objects count more in the class loss) or "sampling"
            (their images come more often).
        hard_images: how much more often images with a high loss come: 0 not at all, 1 in proportion to their loss.
        label_smoothing: by how much the class loss asks less than a score of 1 (Szegedy et al. 2016).
        class_loss: "focal" asks objects for a score of 1, "quality" for the IoU of their box.
        focal_alpha: weight of objects against background in the class loss.
        focal_gamma: how strongly the class loss holds back what is already scored well.
        box_loss: "giou", "ciou" or "smooth_l1".
        class_weight: of the class loss.
        box_weight: of the box loss.
        augmentation: how training windows vary.
        planes: how images are read, and which planes and channels of stacks the model sees.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    backbone: BackboneName = "light"
    imagenet_weights: bool = False
    freeze: Literal["none", "stage2", "stage3", "stage4", "stage5", "backbone"] | None = None
    freeze_batch_norm: bool | None = None
    minutes: Annotated[float, Field(gt=0, le=100_000)] = 35
    epochs: Annotated[int, Field(ge=1, le=100_000)] | None = None
    windows_per_epoch: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    batch_size: Annotated[int, Field(ge=1, le=1024)] = 4
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    schedule: Literal["cosine", "constant", "step", "plateau"] = "cosine"
    plateau: Annotated[int, Field(ge=1, le=1000)] = 5
    warmup_steps: Annotated[int, Field(ge=0, le=100_000)] = 200
    accumulate: Annotated[int, Field(ge=1, le=1024)] = 1
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    clip_norm: Annotated[float, Field(gt=0)] = 10.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    patience: Annotated[int, Field(ge=0, le=100_000)] = 0
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
    precision: Literal["float32", "mixed_bfloat16"] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    window: Annotated[int, Field(ge=32, le=2048, multiple_of=32)] | None = None
    downsampling: Literal[1, 2, 4, 8] | None = None
    levels: tuple[Annotated[int, Field(ge=2, le=7)], Annotated[int, Field(ge=2, le=7)]] | None = None
    norm: Norm = "group"
    separable: bool = False
    pyramid_width: Annotated[int, Field(ge=8, le=512, multiple_of=8)] = 64
    assignment: Literal["atss", "iou"] = "atss"
    balance: Literal["none", "weights", "sampling"] = "none"
    hard_images: Annotated[float, Field(ge=0, le=1)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    class_loss: Literal["focal", "quality"] = "focal"
    focal_alpha: Annotated[float, Field(gt=0, lt=1)] = 0.25
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = 2.0
    box_loss: Literal["giou", "ciou", "smooth_l1"] = "giou"
    class_weight: Annotated[float, Field(ge=0)] = 1.0
    box_weight: Annotated[float, Field(ge=0)] = 2.0
    augmentation: AugmentationConfig = AugmentationConfig()
    planes: PlaneChoice = AS_STORED

    @property
    def frozen(self) -> str:
        """What of the backbone is not trained, decided."""
        return self.freeze or ("stage2" if self.imagenet_weights else "none")

    @property
    def batch_norm_frozen(self) -> bool:
        """Whether BatchNorm of the backbone stays as it is, decided: small batches would spoil pretrained statistics."""
        return self.imagenet_weights if self.freeze_batch_norm is None else self.freeze_batch_norm
