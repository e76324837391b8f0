"""The protobuf messages of TensorFlow's records and of label maps, without TensorFlow, which takes seconds to import.

They are the same messages: field numbers and types as in tensorflow/core/example and object_detection/protos.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto


@cache
def example_class() -> Any:
    """The class of tf.train.Example: a map from the names of features to lists of bytes, floats or whole numbers."""
    file = descriptor_pb2.FileDescriptorProto(name="retinaj/example.proto", package="tensorflow", syntax="proto3")
    for name, kind in (("BytesList", _Field.TYPE_BYTES), ("FloatList", _Field.TYPE_FLOAT), ("Int64List", _Field.TYPE_INT64)):
        _add_field(file.message_type.add(name=name), "value", 1, kind, repeated=True)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, kind) in enumerate(
        (("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List")), 1
    ):
        _add_field(feature, name, number, f".tensorflow.{kind}").oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    _add_field(entry, "key", 1, _Field.TYPE_STRING)
    _add_field(entry, "value", 2, ".tensorflow.Feature")
    _add_field(features, "feature", 1, ".tensorflow.Features.FeatureEntry", repeated=True)
    _add_field(file.message_type.add(name="Example"), "features", 1, ".tensorflow.Features")
    return _message_class(file, "tensorflow.Example")


@cache
def label_map_class() -> Any:
    """The class of StringIntLabelMap, as far as it names classes: items of an id, a name and a name to display."""
    file = descriptor_pb2.FileDescriptorProto(
        name="retinaj/label_map.proto", package="object_detection.protos", syntax="proto2"
    )
    item = file.message_type.add(name="StringIntLabelMapItem")
    # The order in which they are written; text is read by name.
    _add_field(item, "id", 2, _Field.TYPE_INT32)
    _add_field(item, "name", 1, _Field.TYPE_STRING)
    _add_field(item, "display_name", 3, _Field.TYPE_STRING)
    label_map = file.message_type.add(name="StringIntLabelMap")
    _add_field(label_map, "item", 1, ".object_detection.protos.StringIntLabelMapItem", repeated=True)
    return _message_class(file, "object_detection.protos.StringIntLabelMap")


def _add_field(
    message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: Any, *, repeated: bool = False
) -> descriptor_pb2.FieldDescriptorProto:
    """Add a field of a scalar type, or of the message type that `kind` names."""
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    if isinstance(kind, str):
        return message.field.add(name=name, number=number, label=label, type=_Field.TYPE_MESSAGE, type_name=kind)
    return message.field.add(name=name, number=number, label=label, type=kind)


def _message_class(file: descriptor_pb2.FileDescriptorProto, name: str) -> Any:
    # A pool of our own: in the default one TensorFlow's definition would be there too, or come later and be refused.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
