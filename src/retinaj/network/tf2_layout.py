"""RetinaNets as the TF2 Object Detection API lays them out: for weights that were trained there.

They differ from ours in what these functions do: backbones of keras.applications with other activations, BatchNorm constants
and, in ResNets, pooling; a feature pyramid with BatchNorm that grows upwards from its own P5; towers that may be shared by
both heads. Measured against the API itself by `benchmarks/tf2_api_checkpoints.py`.
"""

from __future__ import annotations

from typing import Any

from retinaj.network.applications import APPLICATIONS
from retinaj.network.config import NetworkConfig, Tf2Layers, Tf2Layout
from retinaj.network.heads import prior_bias
from retinaj.network.light import BATCH_NORM_MOMENTUM
from retinaj.network.untyped import keras, layers

_MEAN_RGB = (123.68, 116.779, 103.939)
# Where the API has separable convolutions, it narrows the end of MobileNet v1.
_NARROWED = {"conv_pw_12": 512, "conv_pw_13": 256}


def tf2_outputs(config: NetworkConfig, layout: Tf2Layout, image: Any) -> dict[str, list[Any]]:
    """Backbone, feature pyramid and heads on a symbolic image.

    Args:
        config: what to build.
        layout: its `tf2`.
        image: KerasTensor [batch, y, x, 3], RGB as pixel / 64 - 2; sizes are multiples of the coarsest stride at run time.

    Returns:
        As `retinaj.network.retinanet.build_network`: the maps of each level, with our order of anchors and our box coding.
    """
    features = tf2_features(config.backbone, layout, image)
    pyramid = tf2_pyramid(features, config.anchors.levels, config.pyramid_width, layout)
    convolution: Any = layers.SeparableConv2D if config.separable else layers.Conv2D
    classes = config.anchors.per_cell * config.num_classes
    class_head = convolution(
        classes, 3, padding="same", name="class_head_prediction", bias_initializer=prior_bias(config.prior)
    )
    box_head = convolution(config.anchors.per_cell * 4, 3, padding="same", name="box_head_prediction")
    if layout.shared_tower:
        tower = _tower("tower", pyramid, config, layout)
        return {"class_logits": [class_head(x) for x in tower], "box_deltas": [box_head(x) for x in tower]}
    return {
        "class_logits": [class_head(x) for x in _tower("class_head", pyramid, config, layout)],
        "box_deltas": [box_head(x) for x in _tower("box_head", pyramid, config, layout)],
    }


def tf2_features(name: str, layout: Tf2Layout, image: Any) -> dict[int, Any]:
    """Apply a backbone: {2: C2, 3: C3, 4: C4, 5: C5}, KerasTensors at strides 4, 8, 16 and 32."""
    chosen = APPLICATIONS[name]
    application = getattr(keras.applications, chosen.builder)(include_top=False, weights=None, input_shape=(None, None, 3))
    application = keras.models.clone_model(application, clone_function=lambda layer: _as_in_api(layer, name, layout))
    taps = keras.Model(application.input, [application.get_layer(tap).output for tap in chosen.taps], name=name)
    if chosen.input == "caffe":  # the API's ResNets see RGB, other than Keras's
        scaled = layers.Rescaling(64.0, [128.0 - mean for mean in _MEAN_RGB], name="to_api")(image)
    else:
        scaled = layers.Rescaling(64 / 127.5, 128 / 127.5 - 1, name="to_api")(image)
    return dict(zip((2, 3, 4, 5), taps(scaled), strict=True))


def tf2_pyramid(features: dict[int, Any], levels: range, width: int, layout: Tf2Layout) -> dict[int, Any]:
    """Merge backbone features from P5 down, each level from the smoothed one above it, and extend P5 upwards.

    Args and returns as `retinaj.network.feature_pyramid.feature_pyramid`; `levels` reach to 5 at least.
    """
    top = max(features)
    smooth: Any = layers.SeparableConv2D if layout.separable_pyramid else layers.Conv2D
    pyramid = {top: layers.Conv2D(width, 1, name=f"lateral{top}")(features[top])}
    for level in range(top - 1, min(levels) - 1, -1):
        lateral = layers.Conv2D(width, 1, name=f"lateral{level}")(features[level])
        coarser = layers.UpSampling2D(2, name=f"upsample{level + 1}")(pyramid[level + 1])
        merged = layers.Add(name=f"merge{level}")([lateral, coarser])
        x = smooth(width, 3, padding="same", use_bias=False, name=f"pyramid{level}")(merged)
        pyramid[level] = _normalized(x, layout.pyramid, f"pyramid{level}")
    for level in range(top + 1, max(levels) + 1):
        x = smooth(width, 3, strides=2, padding="same", use_bias=False, name=f"pyramid{level}")(pyramid[level - 1])
        pyramid[level] = _normalized(x, layout.pyramid, f"pyramid{level}")
    return {level: pyramid[level] for level in levels}


def _tower(name: str, pyramid: dict[int, Any], config: NetworkConfig, layout: Tf2Layout) -> list[Any]:
    """The convolutions before a prediction: shared by the levels, with BatchNorm of each level's own."""
    convolution: Any = layers.SeparableConv2D if config.separable else layers.Conv2D
    steps = range(1, config.head_depth + 1)
    shared = [convolution(layout.head_width, 3, padding="same", use_bias=False, name=f"{name}_conv{at}") for at in steps]
    maps: list[Any] = []
    for level, x in pyramid.items():
        for at, shared_convolution in enumerate(shared, 1):
            x = _normalized(shared_convolution(x), layout.heads, f"{name}{at}_level{level}")
        maps.append(x)
    return maps


def _normalized(x: Any, settings: Tf2Layers, name: str) -> Any:
    normalized = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=settings.epsilon, name=f"{name}_norm")(x)
    return layers.Activation(settings.activation, name=f"{name}_{settings.activation}")(normalized)


def _as_in_api(layer: Any, backbone: str, layout: Tf2Layout) -> Any:
    """A layer of keras.applications as the API overrides it.

    Explicit padding before strided convolutions stays: on even sizes, which ours are, it is what the API's gives.
    """
    settings = layer.get_config()
    if isinstance(layer, layers.BatchNormalization):
        settings |= {"epsilon": layout.backbone.epsilon, "momentum": BATCH_NORM_MOMENTUM}
    elif isinstance(layer, layers.Conv2D):
        settings["use_bias"] = False
        if backbone == "mobilenet_v1" and layout.separable_pyramid:
            settings["filters"] = _NARROWED.get(layer.name, settings["filters"])
    elif isinstance(layer, layers.ReLU) or settings.get("activation") == "relu":
        return layers.Activation(layout.backbone.activation, name=layer.name)
    elif layer.name == "pool1_pad":
        return layers.Activation("linear", name=layer.name)
    elif layer.name == "pool1_pool":
        settings["padding"] = "same"
    return type(layer).from_config(settings)
