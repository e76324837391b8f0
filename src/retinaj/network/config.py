"""What a RetinaNet is made of, as plain data: enough to rebuild it, small enough to read. Imports no TensorFlow."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from retinaj.plain_record import PlainRecord

BackboneName = Literal[
    "light_small",
    "light",
    "light_large",
    "resnet50",
    "resnet101",
    "resnet152",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "densenet121",
    "efficientnet_v2_b0",
    "convnext_tiny",
]
BACKBONES: tuple[BackboneName, ...] = get_args(BackboneName)
TF2_BACKBONES: tuple[BackboneName, ...] = ("resnet50", "resnet101", "resnet152", "mobilenet_v1", "mobilenet_v2")
Norm = Literal["group", "batch"]


class AnchorConfig(PlainRecord):
    """The anchors of each cell of each pyramid level; sizes are in pixels of the downsampled image.

    A level l has stride 2**l; its anchors have the areas (base * stride * s)**2 for each octave scale s, in each aspect
    ratio height/width. Lin et al. 2017, "Focal Loss for Dense Object Detection", section 4, has base 4 and 3 x 3 anchors.
    """

    min_level: Annotated[int, Field(ge=2, le=7)] = 3
    max_level: Annotated[int, Field(ge=2, le=7)] = 5
    base: Annotated[float, Field(gt=0, le=64)] = 4.0
    scales: Annotated[tuple[float, ...], Field(min_length=1, max_length=9)] = (
        1.0,
        2 ** (1 / 3),
        2 ** (2 / 3),
    )
    aspect_ratios: Annotated[tuple[float, ...], Field(min_length=1, max_length=9)] = (1.0,)

    @model_validator(mode="after")
    def _check(self) -> AnchorConfig:
        if self.min_level > self.max_level:
            raise ValueError(f"min_level {self.min_level} is above max_level {self.max_level}")
        if min(*self.scales, *self.aspect_ratios, 1.0) <= 0:
            raise ValueError("scales and aspect_ratios must be positive")
        return self

    @property
    def levels(self) -> range:
        """The pyramid levels, finest first."""
        return range(self.min_level, self.max_level + 1)

    @property
    def per_cell(self) -> int:
        """How many anchors each cell has."""
        return len(self.scales) * len(self.aspect_ratios)


class Tf2Layers(PlainRecord):
    """How the convolutions of one part of a network of the TF2 Object Detection API go on.

    Attributes:
        activation: after each BatchNorm.
        epsilon: of each BatchNorm.
    """

    activation: Literal["relu", "relu6"]
    epsilon: Annotated[float, Field(gt=0, lt=1)]


class Tf2Layout(PlainRecord):
    """What a RetinaNet of the TF2 Object Detection API has otherwise than ours. `retinaj import-tf2` makes it.

    Attributes:
        backbone, pyramid, heads: their layers.
        separable_pyramid: as `NetworkConfig.separable`, which is about the heads alone here.
        head_width: channels of the head convolutions.
        shared_tower: whether both heads predict from the same convolutions.
    """

    backbone: Tf2Layers
    pyramid: Tf2Layers
    heads: Tf2Layers
    separable_pyramid: bool
    head_width: Annotated[int, Field(ge=8, le=512, multiple_of=8)]
    shared_tower: bool


class NetworkConfig(PlainRecord):
    """A RetinaNet: backbone, feature pyramid, heads, anchors, and how the image enters it.

    Attributes:
        channels: channels of the input image: 1 for grey, 3 for RGB.
        num_classes: how many classes the class head scores.
        downsampling: whole factor by which the image is averaged down before the backbone; boxes are scaled back.
        norm: "group" (GroupNorm) or "batch" (BatchNorm), in the heads and in the light backbones.
        separable: whether the pyramid and the heads are made of depthwise separable convolutions (Howard et al. 2017): less
            work and fewer weights.
        pyramid_width: channels of every pyramid level and head convolution.
        head_depth: 3 x 3 convolutions in each head before its prediction.
        shared_tower: whether both heads predict from the same convolutions: half the work of the heads. Layouts of the TF2
            Object Detection API have their own.
        prior: the score that every anchor starts from (the class head's bias), Lin et al. 2017, section 4.1.
        anchors: see AnchorConfig.
        fill: the normalised value of each channel outside the image: the training images' mean.
        max_detections: K, the most boxes per image.
        max_candidates: how many of the best-scored boxes enter NMS.
        score_floor: boxes below it are never reported, whatever the threshold.
        overlap: IoU above which NMS drops the lower-scored box of the same class, unless another is asked for.
        voting: IoU from which boxes of the same class help to place a box that NMS keeps; None leaves it where it is.
        tf2: the layout of the TF2 Object Detection API, for a network that was imported; None for ours.
    """

    backbone: BackboneName = "light"
    channels: Annotated[int, Field(ge=1, le=64)] = 3
    num_classes: Annotated[int, Field(ge=1, le=10_000)]
    downsampling: Literal[1, 2, 4, 8] = 1
    norm: Norm = "group"
    separable: bool = False
    pyramid_width: Annotated[int, Field(ge=8, le=512, multiple_of=8)] = 64
    head_depth: Annotated[int, Field(ge=0, le=8)] = 2
    shared_tower: bool = False
    prior: Annotated[float, Field(gt=0, lt=1)] = 0.01
    anchors: AnchorConfig = AnchorConfig()
    fill: tuple[float, ...] = (0.0, 0.0, 0.0)
    max_detections: Annotated[int, Field(ge=1, le=10_000)] = 300
    max_candidates: Annotated[int, Field(ge=1, le=10_000)] = 1000
    score_floor: Annotated[float, Field(gt=0, lt=1)] = 0.02
    overlap: Annotated[float, Field(gt=0, le=1)] = 0.5
    voting: Annotated[float, Field(gt=0, lt=1)] | None = None
    tf2: Tf2Layout | None = None

    @model_validator(mode="after")
    def _check(self) -> NetworkConfig:
        if len(self.fill) != self.channels:
            raise ValueError(f"fill has {len(self.fill)} values for {self.channels} channels")
        if self.max_candidates < self.max_detections:
            raise ValueError("max_candidates must be at least max_detections")
        if self.tf2 is not None and (self.channels != 3 or self.norm != "batch" or self.backbone not in TF2_BACKBONES):
            raise ValueError(f"networks of the TF2 layout have 3 channels, BatchNorm and one of {', '.join(TF2_BACKBONES)}")
        return self

    @property
    def fewest_weights(self) -> int:
        """At least so many weights the network has: those of its heads, which alone can be of any size.

        >>> NetworkConfig(num_classes=1, pyramid_width=8, head_depth=1).fewest_weights
        2232
        >>> NetworkConfig(num_classes=1, pyramid_width=8, head_depth=1, separable=True).fewest_weights
        248
        """
        width = self.pyramid_width if self.tf2 is None else self.tf2.head_width
        towers = 1 if (self.shared_tower if self.tf2 is None else self.tf2.shared_tower) else 2
        convolutions = towers * self.head_depth * min(width, self.pyramid_width)
        predictions = self.anchors.per_cell * (self.num_classes + 4)
        kernel = 1 if self.separable else 3 * 3
        return kernel * min(width, self.pyramid_width) * (convolutions + predictions)

    @property
    def stride(self) -> int:
        """The multiple, in image pixels, that every image is padded to."""
        return self.downsampling * 2 ** max(self.anchors.max_level, 5)
