"""The backbones of keras.applications, with their ImageNet weights where they are wanted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

from retinaj.errors import RetinaJError
from retinaj.network.light import BATCH_NORM_MOMENTUM
from retinaj.network.untyped import keras, layers, ops


@dataclass(frozen=True)
class Application:
    """A backbone of keras.applications.

    Attributes:
        builder: its name there.
        taps: the layers that give C2, C3, C4 and C5: the last at strides 4, 8, 16 and 32 whose names are the same in every
            process.
        input: what its ImageNet weights were trained on: "caffe" (BGR, 0..255, minus the mean), "unit" (-1..1) or "torch"
            (0..1, minus the mean, over the deviation).
        options: of its builder.
    """

    builder: str
    taps: tuple[str, str, str, str]
    input: Literal["caffe", "unit", "torch"]
    options: tuple[tuple[str, Any], ...] = ()


_BARE = (("include_preprocessing", False),)
APPLICATIONS: dict[str, Application] = {
    "resnet50": Application(
        "ResNet50", ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"), "caffe"
    ),
    "resnet101": Application(
        "ResNet101", ("conv2_block3_out", "conv3_block4_out", "conv4_block23_out", "conv5_block3_out"), "caffe"
    ),
    "resnet152": Application(
        "ResNet152", ("conv2_block3_out", "conv3_block8_out", "conv4_block36_out", "conv5_block3_out"), "caffe"
    ),
    "mobilenet_v1": Application(
        "MobileNet", ("conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu", "conv_pw_13_relu"), "unit"
    ),
    "mobilenet_v2": Application("MobileNetV2", ("block_2_add", "block_5_add", "block_12_add", "out_relu"), "unit"),
    "mobilenet_v3_small": Application(
        "MobileNetV3Small",
        ("expanded_conv_project_bn", "expanded_conv_2_add", "expanded_conv_7_add", "expanded_conv_10_add"),
        "unit",
        _BARE,
    ),
    "mobilenet_v3_large": Application(
        "MobileNetV3Large",
        ("expanded_conv_2_add", "expanded_conv_5_add", "expanded_conv_11_add", "expanded_conv_14_add"),
        "unit",
        _BARE,
    ),
    "densenet121": Application(
        "DenseNet121", ("conv2_block6_concat", "conv3_block12_concat", "conv4_block24_concat", "relu"), "torch"
    ),
    "efficientnet_v2_b0": Application(
        "EfficientNetV2B0", ("block2b_add", "block3b_add", "block5e_add", "top_activation"), "torch", _BARE
    ),
    "convnext_tiny": Application(
        "ConvNeXtTiny",
        (
            "convnext_tiny_stage_0_block_2_identity",
            "convnext_tiny_stage_1_block_2_identity",
            "convnext_tiny_stage_2_block_8_identity",
            "convnext_tiny_stage_3_block_2_identity",
        ),
        "torch",
        _BARE,
    ),
}
_IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
_IMAGENET_MEAN_RGB, _IMAGENET_DEVIATION_RGB = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def application_features(name: str, image: Any, *, imagenet_weights: bool) -> dict[int, Any]:
    """Apply a backbone of keras.applications to a symbolic image.

    Args:
        name: one of APPLICATIONS.
        image: KerasTensor [batch, y, x, channel], normalised to about -2..2.
        imagenet_weights: start from weights trained on ImageNet (downloaded once).

    Returns:
        {2: C2, 3: C3, 4: C4, 5: C5}, KerasTensors at strides 4, 8, 16 and 32.

    Raises:
        RetinaJError: if ImageNet weights cannot be fetched.
    """
    chosen = APPLICATIONS[name]
    weights = "imagenet" if imagenet_weights else None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`input_shape` is undefined or non-square")  # any size is what we want
            build = getattr(keras.applications, chosen.builder)
            options = dict(chosen.options)
            application = build(include_top=False, weights=weights, input_shape=(None, None, 3), **options)
    except Exception as error:
        if not imagenet_weights:
            raise
        raise RetinaJError(
            f"The ImageNet weights of {name} could not be fetched ({error}). They are downloaded once and need a network; "
            "without one, train from random weights."
        ) from error
    application = repeatable(application)
    for layer in application.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    taps = keras.Model(application.input, [application.get_layer(tap).output for tap in chosen.taps], name=name)
    return dict(zip((2, 3, 4, 5), taps(_as_imagenet(chosen, image)), strict=True))


def repeatable(application: Any) -> Any:
    """The same network without what a run or a model folder could not repeat.

    Dropout draws from a state of its own, so that a resumed run would not be the same run; augmentation does its work.
    ConvNeXt's scaling of each channel (Touvron et al. 2021, "LayerScale") is a layer outside Keras's public ones, and its
    weight has another name each time; a depthwise 1 x 1 convolution is the same thing.
    """
    if not any(type(layer).__name__ in ("Dropout", "LayerScale") for layer in application.layers):
        return application

    def clone(layer: Any) -> Any:
        if isinstance(layer, layers.Dropout):
            return layers.Activation("linear", name=layer.name)
        if type(layer).__name__ == "LayerScale":
            small = keras.initializers.Constant(layer.init_values)
            return layers.DepthwiseConv2D(1, use_bias=False, depthwise_initializer=small, name=layer.name)
        return type(layer).from_config(layer.get_config())

    cloned = keras.models.clone_model(application, clone_function=clone)
    for variable, value in zip(cloned.weights, application.get_weights(), strict=True):
        variable.assign(value.reshape(variable.shape))
    return cloned


def _as_imagenet(chosen: Application, image: Any) -> Any:
    """Our -2..2 (pixel / 64 - 2) as the input that the backbone was pretrained on."""
    channels = image.shape[-1]
    if channels == 1:
        image = layers.Concatenate(name="grey_to_rgb")([image, image, image])
    elif channels != 3:
        # Each colour begins as the mean of all channels, so that pretrained filters see a picture from the first step.
        mean = keras.initializers.Constant(1 / channels)
        image = layers.Conv2D(3, 1, kernel_initializer=mean, name="channels_to_rgb")(image)
    if chosen.input == "caffe":
        bgr = ops.flip(image, axis=-1)
        return layers.Rescaling(64.0, [128.0 - mean for mean in _IMAGENET_MEAN_BGR], name="to_caffe")(bgr)
    if chosen.input == "unit":
        return layers.Rescaling(64 / 127.5, 128 / 127.5 - 1, name="to_unit")(image)
    scale = [64 / 255 / deviation for deviation in _IMAGENET_DEVIATION_RGB]
    pairs = zip(_IMAGENET_MEAN_RGB, _IMAGENET_DEVIATION_RGB, strict=True)
    offset = [(128 / 255 - mean) / deviation for mean, deviation in pairs]
    return layers.Rescaling(scale, offset, name="to_torch")(image)
