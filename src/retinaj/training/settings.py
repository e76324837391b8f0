"""Everything that decides a training run, as plain data. It is stored with the model. Imports no TensorFlow."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from retinaj.augmentation import AugmentationConfig
from retinaj.images.plane_choice import AS_STORED, PlaneChoice
from retinaj.network.config import BackboneName, Norm
from retinaj.training.option import Option

PresetName = Literal["laptop", "gpu", "best"]
_LEARNING = "How the network learns"
_NETWORK = "The network"


def _levels(value: Any) -> Any:
    """(3, 7) from "3-7", as the command line has it."""
    if isinstance(value, str):
        first, separator, last = value.partition("-")
        value = (int(first), int(last)) if separator and first.isdecimal() and last.isdecimal() else None
    elif value is None:
        return None
    if not (isinstance(value, tuple | list) and len(value) == 2 and value[0] <= value[1]):
        raise ValueError("expected the first and last pyramid level, such as 3-7")
    return value


class TrainingSettings(BaseModel):
    """How to train. The defaults are meant for training `light` from random weights on a laptop.

    Each setting with an `Option` is an option of `retinaj train` too, and described by it. What is left to the preset is
    decided when training starts, and stored: see `retinaj.training.presets`.

    Attributes:
        validation: share of the images that is kept for validation when no list of names is given.
        augmentation: how training windows vary.
        planes: how images are read, and which planes and channels of stacks the model sees.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    preset: Annotated[
        Literal["auto", PresetName],
        Option(
            "Defaults for a machine and a purpose; options that are given go before it.", "gpu if there is a GPU, else laptop"
        ),
    ] = "auto"
    backbone: Annotated[BackboneName, Option()] = "light"
    imagenet_weights: Annotated[bool, Option("Start the backbone from ImageNet weights (downloaded once).")] = False
    minutes: Annotated[float, Field(gt=0, le=100_000), Option("Train for about this long: fits the number of epochs.")] = 35
    epochs: Annotated[
        Annotated[int, Field(ge=1, le=100_000)] | None,
        Option(default="as many as fit into --minutes on this machine"),
    ] = None
    windows_per_epoch: Annotated[
        int,
        Field(ge=1, le=1_000_000),
        Option("An epoch goes through a small set several times, to have so many windows, and through a large one once."),
    ] = 1000
    batch_size: Annotated[int, Field(ge=1, le=1024), Option("Training windows in a step.")] = 4
    patience: Annotated[
        int, Field(ge=0, le=100_000), Option("Stop when validation AP has not risen for so many epochs.", "never")
    ] = 0
    learning_rate: Annotated[float, Field(gt=0, le=1), Option("The highest, after warm-up.")] = 1e-3
    seed: Annotated[int, Field(ge=0, lt=2**31), Option("Of everything random.")] = 0
    levels: Annotated[
        tuple[Annotated[int, Field(ge=2, le=7)], Annotated[int, Field(ge=2, le=7)]] | None,
        BeforeValidator(_levels),
        Option("First and last pyramid level, as in 3-7.", "fitted to the boxes"),
    ] = None
    downsampling: Annotated[
        Literal[1, 2, 4, 8] | None, Option("Average images down by 1, 2, 4 or 8.", "fitted to the boxes")
    ] = None
    window: Annotated[
        Annotated[int, Field(ge=32, le=2048, multiple_of=32)] | None,
        Option("Side of the training windows, downsampled pixels.", "fitted to the boxes"),
    ] = None
    normalization: Annotated[
        Literal["fixed", "percentile"] | None,
        Option(
            "Take 8-bit values as they are (fixed), or stretch each image between its own percentiles.",
            "fixed if all images are 8-bit and in colour or exposed alike",
        ),
    ] = None

    optimizer: Annotated[Literal["adamw", "adam", "sgd"], Option(panel=_LEARNING)] = "adamw"
    schedule: Annotated[
        Literal["cosine", "constant", "step", "plateau"],
        Option("How the learning rate goes on after warm-up.", panel=_LEARNING),
    ] = "cosine"
    plateau: Annotated[
        int,
        Field(ge=1, le=1000),
        Option("With that schedule, epochs without gain before the rate is halved.", panel=_LEARNING),
    ] = 5
    warmup_steps: Annotated[
        int, Field(ge=0, le=100_000), Option("Steps in which the learning rate rises.", panel=_LEARNING)
    ] = 200
    accumulate: Annotated[int, Field(ge=1, le=1024), Option("Batches averaged before weights change.", panel=_LEARNING)] = 1
    weight_decay: Annotated[
        float, Field(ge=0, le=1), Option("Of adamw and sgd, on convolution kernels only.", panel=_LEARNING)
    ] = 0.01
    clip_norm: Annotated[float, Field(gt=0), Option("Longest gradient.", panel=_LEARNING)] = 10.0
    ema: Annotated[
        float,
        Field(ge=0, lt=1),
        Option("Share of the average kept in a step; 0 averages nothing.", panel=_LEARNING),
    ] = 0.999
    freeze: Annotated[
        Literal["none", "stage2", "stage3", "stage4", "stage5", "backbone"] | None,
        Option("Do not train the backbone up to this stage.", "stage2 with --imagenet-weights, else none", panel=_LEARNING),
    ] = None
    freeze_batch_norm: Annotated[
        bool | None,
        Option(
            "Of the backbone.",
            "frozen with --imagenet-weights",
            panel=_LEARNING,
            flags="--freeze-batch-norm/--train-batch-norm",
        ),
    ] = None
    balance: Annotated[
        Literal["none", "weights", "sampling"],
        Option("Make up for rare classes in the loss, or by showing them more often.", panel=_LEARNING),
    ] = "none"
    hard_images: Annotated[
        float,
        Field(ge=0, le=1),
        Option("Show images more often the higher their loss: 0 not, 1 in proportion.", panel=_LEARNING),
    ] = 0.0
    label_smoothing: Annotated[
        float, Field(ge=0, le=0.5), Option("Ask for so much less than a score of 1.", panel=_LEARNING)
    ] = 0.0
    precision: Annotated[
        Literal["float32", "mixed_bfloat16"] | None,
        Option(default="mixed on a GPU that is fast at it, else float32", panel=_LEARNING),
    ] = None
    box_loss: Annotated[Literal["giou", "ciou", "smooth_l1"], Option(panel=_LEARNING)] = "giou"
    assignment: Annotated[Literal["atss", "iou"], Option("Which anchors learn a box.", panel=_LEARNING)] = "atss"
    class_loss: Annotated[
        Literal["focal", "quality"],
        Option("Ask objects for a score of 1 (focal), or for the IoU that their box has (quality).", panel=_LEARNING),
    ] = "focal"
    focal_alpha: Annotated[float, Field(gt=0, lt=1), Option("Weight of objects in the focal class loss.", panel=_LEARNING)] = (
        0.25
    )
    focal_gamma: Annotated[float, Field(ge=0, le=10), Option("Focus on what is scored badly.", panel=_LEARNING)] = 2.0
    class_weight: Annotated[float, Field(ge=0), Option("Of the class loss.", panel=_LEARNING)] = 1.0
    box_weight: Annotated[float, Field(ge=0), Option("Of the localisation loss.", panel=_LEARNING)] = 2.0

    norm: Annotated[Norm, Option("GroupNorm or BatchNorm, in heads and light backbones.", panel=_NETWORK)] = "group"
    separable: Annotated[bool, Option("Separable convolutions in pyramid and heads.", panel=_NETWORK)] = False
    shared_tower: Annotated[
        bool | None,
        Option(
            "Let the class and the box head predict from the same convolutions.",
            "shared with level P2, whose many cells cost time",
            panel=_NETWORK,
            flags="--shared-tower/--own-towers",
        ),
    ] = None
    pyramid_width: Annotated[
        Annotated[int, Field(ge=8, le=512, multiple_of=8)] | None,
        Option("Channels of pyramid and heads.", "64, or 48 with level P2", panel=_NETWORK),
    ] = None

    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
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


def difference_in_words(before: TrainingSettings, now: TrainingSettings) -> str:
    """The first setting in which two differ, after "began with".

    >>> difference_in_words(TrainingSettings(), TrainingSettings(learning_rate=0.01))
    'learning-rate 0.001, now it is 0.01'
    """
    one, other = (_flat(settings.model_dump()) for settings in (before, now))
    name = next(name for name in one if one[name] != other[name])
    return f"{name.replace('_', '-')} {one[name]!r}, now it is {other[name]!r}"


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """The strengths of augmentation among the other settings, named as the command line groups them."""
    strengths = settings.pop("augmentation")
    return settings | {f"augment {name}": value for name, value in strengths.items()}
