"""Backbones: the image to feature maps C2..C5 at strides 4, 8, 16 and 32."""

from __future__ import annotations

import warnings
from typing import Any

from retinaj.errors import RetinaJError
from retinaj.network.config import BackboneName
from retinaj.network.untyped import keras, layers, ops

# The layers whose output is the last at strides 4, 8, 16 and 32 in keras.applications.
_TAPS: dict[str, tuple[str, str, str, str]] = {
    "resnet50": ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"),
    "mobilenet_v1": ("conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu", "conv_pw_13_relu"),
    "mobilenet_v2": ("block_2_add", "block_5_add", "block_12_add", "out_relu"),
}
# Running statistics must settle within a short training; the 0.99 to 0.999 of keras.applications suit ImageNet's length.
_BATCH_NORM_MOMENTUM = 0.9
_IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)


def backbone_features(name: BackboneName, image: Any, *, imagenet_weights: bool = False) -> dict[int, Any]:
    """Apply a backbone to a symbolic image.

    Args:
        name: which backbone.
        image: KerasTensor [batch, y, x, channel], normalised to about -2..2; sizes are multiples of 32 at run time.
        imagenet_weights: start from weights trained on ImageNet (keras.applications downloads them once).

    Returns:
        {2: C2, 3: C3, 4: C4, 5: C5}, KerasTensors at strides 4, 8, 16 and 32.

    Raises:
        RetinaJError: if ImageNet weights are asked for and there are none for it, or they cannot be fetched.
    """
    if name == "light":
        if imagenet_weights:
            raise RetinaJError("The backbone light has no ImageNet weights: train it from random weights, or choose another.")
        return _light(image)
    return _application(name, image, imagenet_weights)


def _light(image: Any) -> dict[int, Any]:
    """A residual net of 0.6 M weights with GroupNorm (Wu & He 2018), which needs no large batch and no pretraining."""
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(image)
    x = layers.GroupNormalization(8, name="stem_norm")(x)
    x = layers.Activation("relu", name="stem_relu")(x)
    features: dict[int, Any] = {}
    for level, (width, blocks) in enumerate(((32, 1), (64, 2), (96, 2), (128, 1)), start=2):
        for block in range(blocks):
            x = _residual_block(x, width, 2 if block == 0 else 1, f"stage{level}_block{block + 1}")
        features[level] = x
    return features


def _residual_block(x: Any, width: int, stride: int, name: str) -> Any:
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016)."""
    y = layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False, name=f"{name}_conv1")(x)
    y = layers.GroupNormalization(8, name=f"{name}_norm1")(y)
    y = layers.Activation("relu", name=f"{name}_relu1")(y)
    y = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}_conv2")(y)
    y = layers.GroupNormalization(8, name=f"{name}_norm2")(y)
    if stride != 1 or x.shape[-1] != width:
        x = layers.AveragePooling2D(stride, name=f"{name}_pool")(x) if stride != 1 else x
        x = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_shortcut")(x)
    return layers.Activation("relu", name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))


def _application(name: BackboneName, image: Any, imagenet_weights: bool) -> dict[int, Any]:
    build = {
        "resnet50": keras.applications.ResNet50,
        "mobilenet_v1": keras.applications.MobileNet,
        "mobilenet_v2": keras.applications.MobileNetV2,
    }[name]
    weights = "imagenet" if imagenet_weights else None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`input_shape` is undefined or non-square")  # any size is what we want
            application = build(include_top=False, weights=weights, input_shape=(None, None, 3), name=name)
    except Exception as error:
        if not imagenet_weights:
            raise
        raise RetinaJError(
            f"The ImageNet weights of {name} could not be fetched ({error}). They are downloaded once and need a network; "
            "without one, train from random weights."
        ) from error
    for layer in application.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = _BATCH_NORM_MOMENTUM
    taps = keras.Model(application.input, [application.get_layer(tap).output for tap in _TAPS[name]], name=name)
    return dict(zip((2, 3, 4, 5), taps(_as_imagenet(name, image)), strict=True))


def _as_imagenet(name: BackboneName, image: Any) -> Any:
    """Our -2..2 (pixel / 64 - 2) as the input that the backbone was pretrained on."""
    channels = image.shape[-1]
    if channels == 1:
        image = layers.Concatenate(name="grey_to_rgb")([image, image, image])
    elif channels != 3:
        image = layers.Conv2D(3, 1, name="channels_to_rgb")(image)
    if name == "resnet50":  # "caffe": BGR, 0..255, minus the mean
        bgr = ops.flip(image, axis=-1)
        return layers.Rescaling(64.0, [128.0 - mean for mean in _IMAGENET_MEAN_BGR], name="to_caffe")(bgr)
    return layers.Rescaling(64 / 127.5, 128 / 127.5 - 1, name="to_unit")(image)  # "tf": -1..1


def last_layer_of_stage(name: BackboneName, stage: int) -> str:
    """The layer of a backbone of keras.applications that gives C2, C3, C4 or C5."""
    return _TAPS[name][stage - 2]
