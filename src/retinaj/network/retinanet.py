"""RetinaNet: backbone, feature pyramid and heads put together (Lin et al. 2017, "Focal Loss for Dense Object Detection")."""

from __future__ import annotations

from typing import Any

from retinaj.network.backbones import backbone_features
from retinaj.network.config import NetworkConfig
from retinaj.network.feature_pyramid import feature_pyramid
from retinaj.network.heads import head_tower, predictions
from retinaj.network.tf2_layout import tf2_outputs
from retinaj.network.untyped import keras, layers


def build_network(config: NetworkConfig, *, imagenet_weights: bool = False) -> Any:
    """The network without anchors, decoding or NMS: what is trained and saved.

    Args:
        config: what to build.
        imagenet_weights: start the backbone from ImageNet weights instead of random ones.

    Returns:
        A functional keras.Model of stock layers. Input: float32 [batch, y, x, channel], normalised and downsampled, y and
        x multiples of `config.stride / config.downsampling`. Output: {"class_logits": [one per level], "box_deltas":
        [one per level]}, float32 [batch, h, w, anchors * num_classes] and [batch, h, w, anchors * 4].

    Raises:
        RetinaJError: if ImageNet weights are asked for and cannot be had.
    """
    image: Any = keras.Input((None, None, config.channels), name="image")
    if config.tf2 is not None:
        return keras.Model(image, tf2_outputs(config, config.tf2, image), name="retinanet")
    features = backbone_features(config.backbone, image, norm=config.norm, imagenet_weights=imagenet_weights)
    pyramid = feature_pyramid(features, config.anchors.levels, config.pyramid_width, separable=config.separable)
    anchors = config.anchors.per_cell
    if config.shared_tower:
        class_maps = box_maps = head_tower("head", pyramid, config)
    else:
        class_maps, box_maps = (head_tower(name, pyramid, config) for name in ("class_head", "box_head"))
    return keras.Model(
        image,
        {
            "class_logits": predictions("class_head", class_maps, config, anchors * config.num_classes, config.prior),
            "box_deltas": predictions("box_head", box_maps, config, anchors * 4),
        },
        name="retinanet",
    )


def flatten_levels(maps: list[Any], values: int) -> Any:
    """One output of the network, all levels in one list of anchors.

    Args:
        maps: [batch, h, w, anchors * values] of each level.
        values: values of an anchor: the number of classes, or 4.

    Returns:
        [batch, A, values], in the order of `anchor_grid`.
    """
    flat = [layers.Reshape((-1, values))(level) for level in maps]
    return flat[0] if len(flat) == 1 else layers.Concatenate(axis=1)(flat)
