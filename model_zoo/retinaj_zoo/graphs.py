"""The detection graph in the three weight formats of a package: one input `image`, one output `detections` [batch, K, 6].

All three are traced from the same function, `retinaj.network.detection.detections`, with decoding and NMS inside.
"""

from __future__ import annotations

import gc
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from retinaj.network.config import NetworkConfig
from retinaj.network.detection import detections
from retinaj.network.untyped import keras, tf
from retinaj_zoo.weight_formats import ONNX_OPSET

INPUT, OUTPUT, OVERLAP = "image", "detections", "overlap"


def detection_model(network: Any, config: NetworkConfig) -> Any:
    """A functional model of stock layers and `keras.ops` from normalised images to detections, at the model's overlap.

    Args:
        network: made by `build_network(config)`, with its weights.
        config: what it was built from.

    Returns:
        Input `image` float32 [batch, y, x, channel], normalised, any y and x; output `detections` float32 [batch, K, 6].
    """
    image: Any = keras.Input((None, None, config.channels), name=INPUT)
    found = detections(network, config, image, config.overlap)
    return keras.Model(image, keras.layers.Identity(name=OUTPUT)(found), name="retinaj")


def write_keras(model: Any, path: Path) -> None:
    """Write the model made by `detection_model` as `keras_v3` weights; `path` ends with .keras.

    It reloads with `keras.models.load_model(path)`, without custom objects and in safe mode.
    """
    model.save(path)


def write_onnx(network: Any, config: NetworkConfig, path: Path) -> None:
    """Write the graph as ONNX.

    `overlap`, the IoU above which NMS drops the lower-scored box, is an overridable initializer: a scalar float32 graph input
    with the model's value as its default. Consumers that do not know of it see one input, `image`; RetinaJ asks for
    any overlap.
    """
    import tf2onnx  # it imports TensorFlow, which we start quietly first

    signature = [_image_spec(config), tf.TensorSpec((), tf.float32, name=OVERLAP)]

    @tf.function(input_signature=signature)
    def graph(image: Any, overlap: Any) -> dict[str, Any]:
        return {OUTPUT: detections(network, config, image, overlap)}

    proto, _ = tf2onnx.convert.from_function(graph, input_signature=signature, opset=ONNX_OPSET)
    proto.graph.initializer.append(numpy_helper.from_array(np.array(config.overlap, np.float32), OVERLAP))
    _name_axes(proto.graph.input[0], ["batch", "y", "x"])
    _name_axes(proto.graph.output[0], ["batch"])
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())
    # tf2onnx's graphs are cycles that hold the weights many times over: 3 GB of a ResNet50, which nothing else frees in time.
    gc.collect()


def write_saved_model(model: Any, path: Path) -> None:
    """Write the model made by `detection_model` as a zip of a TensorFlow SavedModel, `saved_model.pb` at its root.

    The weights are constants in the graph: as variables they would be stored twice. The signature `serving_default` has the
    keys `image` and `detections`, which are the tensor names of the package, as consumers in Java look them up.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    spec = tf.TensorSpec((None, None, None, model.input_shape[-1]), tf.float32, name=INPUT)
    frozen = convert_variables_to_constants_v2(tf.function(model).get_concrete_function(spec))

    @tf.function(input_signature=[spec])
    def serve(image: Any) -> dict[str, Any]:
        return {OUTPUT: frozen(image)[0]}

    with TemporaryDirectory() as folder:
        tf.saved_model.save(tf.Module(), folder, signatures={"serving_default": serve})
        shutil.move(shutil.make_archive(f"{path}", "zip", folder), path)


def _image_spec(config: NetworkConfig) -> Any:
    return tf.TensorSpec((None, None, None, config.channels), tf.float32, name=INPUT)


def _name_axes(value: onnx.ValueInfoProto, names: list[str]) -> None:
    """Name the free axes of a graph input or output, for whoever inspects the file."""
    for axis, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
        axis.dim_param = name
