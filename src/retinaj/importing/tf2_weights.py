"""Where each variable of an imported network stands in a checkpoint of the TF2 Object Detection API, and what becomes of it.

Box coding and the order of the anchors are taken care of once, in the weights of the last convolutions: the API orders a
cell's anchors by aspect ratio, then scale, ours by scale, then aspect ratio; it predicts (y, x, height, width) times four
factors, ours (x, y, width, height).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.errors import RetinaJError
from retinaj.importing.checkpoint import Checkpoint, SavedObjects, Stored
from retinaj.importing.pipeline import Pipeline
from retinaj.network.config import NetworkConfig
from retinaj.network.untyped import keras, layers

_FPN = "model/_feature_extractor/_fpn_features_generator"
_COARSE = "model/_feature_extractor/_coarse_feature_layers"
_BACKBONE = "model/_feature_extractor/classification_backbone"
_TOWERS = "model/_box_predictor/_base_tower_layers_for_heads"
_CLASSES = "class_predictions_with_background"
_CLASS_PREDICTION = f"model/_box_predictor/_prediction_heads/{_CLASSES}/_class_predictor_layers/0"
_BOX_PREDICTION = "model/_box_predictor/_box_prediction_head/_box_encoder_layers/0"
_TOP = 5  # the level at which the pyramid's merge begins
_NAMED = 5  # at most so many variables of a kind in a message

Change = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Place:
    """Where a variable of the network comes from.

    Attributes:
        path: of objects in the checkpoint.
        layer: the name that keras.applications gives the layer; "" for layers outside the backbone.
        shape: there.
        change: from there to the network's.
        optional: whether a BatchNorm was made without it; it is 1 then.
    """

    path: str
    layer: str
    shape: tuple[int, ...]
    change: Change
    optional: bool = False


def require_classes(objects: SavedObjects, pipeline: Pipeline) -> None:
    """Compare the one convolution of unbounded size with the number of classes, before anything is built.

    Raises:
        RetinaJError: if they do not agree.
    """
    config = pipeline.network
    stored = objects.find(f"{_CLASS_PREDICTION}/bias")
    if stored is None:
        raise RetinaJError(
            f"{objects.origin} lacks the variable {_CLASS_PREDICTION}/bias: it holds no model with a class head that the "
            "levels share, such as those of the detection zoo."
        )
    expected = (config.anchors.per_cell * (config.num_classes + pipeline.background),)
    if objects.shapes[stored.key] != expected:
        raise RetinaJError(
            f"{objects.origin}: the class head has {objects.shapes[stored.key]} outputs; pipeline.config says {expected}, for "
            f"{config.anchors.per_cell} anchors of a cell and {config.num_classes} classes"
            f"{' with background' * pipeline.background}. They do not belong together."
        )


def match_variables(objects: SavedObjects, pipeline: Pipeline, network: Any) -> dict[str, tuple[Place, Stored | None]]:
    """Find every variable of a network in a checkpoint.

    Args:
        objects: of the checkpoint.
        pipeline: of the pipeline.config that belongs to it.
        network: made by `build_network(pipeline.network)`.

    Returns:
        For each variable path of the network, its place and what is stored there; None for a scale that is 1.

    Raises:
        RetinaJError: if variables are missing, left over, of other shapes, or of other layers; naming them.
    """
    matched = {path: (place, objects.find(place.path)) for path, place in _places(pipeline, network)}
    found = [(place, stored) for place, stored in matched.values() if stored is not None]
    missing = [place.path for place, stored in matched.values() if stored is None and not place.optional]
    unused = objects.under("model") - {stored.key for _, stored in found}
    misshapen = [
        f"{place.path} has the shape {objects.shapes[stored.key]}, expected {place.shape}"
        for place, stored in found
        if objects.shapes[stored.key] != place.shape
    ]
    strange = [
        f"{place.path} was made as {stored.made_as!r}, expected {place.layer!r}"
        for place, stored in found
        if place.layer and stored.made_as and place.layer not in stored.made_as.split("/")
    ]
    surplus = sorted(key.partition("/.ATTRIBUTES")[0] for key in unused)
    kinds = (("it lacks", missing), ("it also has", surplus), ("", misshapen), ("", strange))
    wrong = [f"{what} {_shortly(which)}".strip() for what, which in kinds if which]
    if wrong:
        raise RetinaJError(f"{objects.origin} is not the model that pipeline.config describes: {'; '.join(wrong)}.")
    return matched


def imported_arrays(checkpoint: Checkpoint, pipeline: Pipeline, network: Any) -> dict[str, NDArray[np.float32]]:
    """The weights of a network out of a checkpoint, by variable path.

    Args and raises as `match_variables`; also if values are not numbers.
    """
    matched = match_variables(checkpoint.objects, pipeline, network)
    return {
        path: np.ones(place.shape, np.float32) if stored is None else place.change(checkpoint.read(stored.key))
        for path, (place, stored) in matched.items()
    }


def _shortly(lines: list[str]) -> str:
    more = f" and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
    return ", ".join(lines[:_NAMED]) + more


def _places(pipeline: Pipeline, network: Any) -> Iterator[tuple[str, Place]]:
    """(variable path, place) of every variable of the network."""
    config = pipeline.network
    homes = {name: (home, "pyramid") for name, home in _pyramid_homes(config)}
    homes |= {name: (home, "heads") for name, home in _tower_homes(config)}
    changes = {"class_head_prediction": _class_change(pipeline), "box_head_prediction": _box_change(pipeline)}
    homes |= {"class_head_prediction": (_CLASS_PREDICTION, "heads"), "box_head_prediction": (_BOX_PREDICTION, "heads")}
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            weighted = [inner for inner in layer.layers if inner.weights]
            for at, inner in enumerate(weighted):
                home = f"{_BACKBONE}/layer_with_weights-{at}"
                yield from _of_layer(inner, home, inner.name, scaled=pipeline.scaled["backbone"])
        elif layer.weights:
            home, part = homes[layer.name]
            background = pipeline.background and layer.name == "class_head_prediction"
            for path, place in _of_layer(layer, home, "", scaled=pipeline.scaled[part]):
                change = changes.get(layer.name)
                if change is None or place.path.endswith("/depthwise_kernel"):
                    yield path, place
                else:
                    last = place.shape[-1] + config.anchors.per_cell * background
                    yield path, Place(place.path, "", (*place.shape[:-1], last), change)


def _of_layer(layer: Any, home: str, name: str, *, scaled: bool) -> Iterator[tuple[str, Place]]:
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    for variable in layer.weights:
        kind = "depthwise_kernel" if depthwise and variable.name == "kernel" else variable.name
        optional = kind == "gamma" and not scaled
        yield variable.path, Place(f"{home}/{kind}", name, tuple(variable.shape), _unchanged, optional)


def _unchanged(array: NDArray[np.float32]) -> NDArray[np.float32]:
    return array


def _pyramid_homes(config: NetworkConfig) -> Iterator[tuple[str, str]]:
    """(name of our layer, objects in the checkpoint) of the pyramid: the API counts its levels from the top down."""
    yield f"lateral{_TOP}", f"{_FPN}/top_layers/0"
    for at, level in enumerate(range(_TOP - 1, config.anchors.min_level - 1, -1)):
        yield f"lateral{level}", f"{_FPN}/residual_blocks/{at}/0"
        yield f"pyramid{level}", f"{_FPN}/conv_layers/{at}/0"
        yield f"pyramid{level}_norm", f"{_FPN}/conv_layers/{at}/1"
    for at, level in enumerate(range(_TOP + 1, config.anchors.max_level + 1)):
        yield f"pyramid{level}", f"{_COARSE}/{at}/0"
        yield f"pyramid{level}_norm", f"{_COARSE}/{at}/1"


def _tower_homes(config: NetworkConfig) -> Iterator[tuple[str, str]]:
    """The same of the heads: for each level, a list of (convolution, BatchNorm, activation) for each step.

    The list of every level holds the same convolutions. A tower that both heads share stands under the boxes alone.
    """
    shared = config.tf2 is not None and config.tf2.shared_tower
    towers = {"tower": "box_encodings"} if shared else {"class_head": _CLASSES, "box_head": "box_encodings"}
    for name, head in towers.items():
        for step in range(config.head_depth):
            yield f"{name}_conv{step + 1}", f"{_TOWERS}/{head}/0/{3 * step}"
            for at, level in enumerate(config.anchors.levels):
                yield f"{name}{step + 1}_level{level}_norm", f"{_TOWERS}/{head}/{at}/{3 * step + 1}"


def _class_change(pipeline: Pipeline) -> Change:
    """From [..., anchors * (background and classes)] to [..., anchors * classes]."""
    return lambda array: _by_anchor(array, pipeline.network)[..., int(pipeline.background) :].reshape(*array.shape[:-1], -1)


def _box_change(pipeline: Pipeline) -> Change:
    """From [..., anchors * (y, x, height, width)] to [..., anchors * (x, y, width, height)], not multiplied."""
    order = [1, 0, 3, 2]
    scales = np.array(pipeline.box_scales, np.float32)[order]
    return lambda array: (_by_anchor(array, pipeline.network)[..., order] / scales).reshape(array.shape)


def _by_anchor(array: NDArray[np.float32], config: NetworkConfig) -> NDArray[np.float32]:
    """[..., anchors * values] of the API as [..., anchors, values] in our order of anchors."""
    anchors = config.anchors
    split = array.reshape(*array.shape[:-1], len(anchors.aspect_ratios), len(anchors.scales), -1)
    return split.swapaxes(-3, -2).reshape(*array.shape[:-1], anchors.per_cell, -1)
