"""tf.train.Example: named lists of bytes, floats or whole numbers, read with a check of their types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from retinaj.annotations.tf_messages import example_class
from retinaj.errors import RetinaJError

MAX_VALUES = 100_000  # in one list: objects in one image

_KINDS = {"bytes_list": "texts or bytes", "float_list": "numbers", "int64_list": "whole numbers"}


class Example:
    """The features of one record. A feature that is not there is the same as an empty one, as for TensorFlow."""

    def __init__(self, data: bytes, where: str) -> None:
        """Parse a record.

        Args:
            data: the serialized tf.train.Example.
            where: the file and the number of the record, for errors.

        Raises:
            RetinaJError: if it is not one.
        """
        message = example_class()()
        try:
            message.ParseFromString(data)
        except DecodeError as error:
            raise RetinaJError(
                f"{where} is not a tf.train.Example; expected records as the TF2 Object Detection API reads them."
            ) from error
        self._features: Any = message.features.feature
        self._where = where

    def names(self) -> list[str]:
        """The names of its features, sorted."""
        return sorted(self._features)

    def floats(self, name: str) -> NDArray[np.float32]:
        """float32 [N]; the API takes no whole numbers here."""
        return np.asarray(self._values(name, "float_list"), np.float32)

    def integers(self, name: str) -> list[int]:
        """Whole numbers of up to 64 bits."""
        return list(self._values(name, "int64_list"))

    def contents(self, name: str) -> list[bytes]:
        """Bytes, such as images."""
        return list(self._values(name, "bytes_list"))

    def texts(self, name: str) -> list[str]:
        """Texts, stored as UTF-8."""
        try:
            return [content.decode() for content in self._values(name, "bytes_list")]
        except UnicodeDecodeError as error:
            raise RetinaJError(f"{self._where}: {name} is not UTF-8 text.") from error

    def _values(self, name: str, kind: str) -> Sequence[Any]:
        if name not in self._features:
            return ()
        feature = self._features[name]
        stored: str = feature.WhichOneof("kind") or kind
        values: Sequence[Any] = getattr(feature, stored).value
        if values and stored != kind:
            raise RetinaJError(f"{self._where}: {name} is stored as {_KINDS[stored]}; expected {_KINDS[kind]}.")
        if len(values) > MAX_VALUES:
            raise RetinaJError(
                f"{self._where}: {name} has {len(values):,} values; RetinaJ reads up to {MAX_VALUES:,} for one image."
            )
        return values


def encode(
    *,
    contents: Mapping[str, Sequence[bytes]] | None = None,
    integers: Mapping[str, Sequence[int]] | None = None,
    floats: Mapping[str, NDArray[np.float32]] | None = None,
) -> bytes:
    """A serialized tf.train.Example; the same features give the same bytes.

    An empty feature keeps its type too: TensorFlow refuses a record in which it is another than expected.

    >>> Example(encode(contents={"image/format": [b"png"]}, integers={"image/height": [480]}), "record 1").texts("image/format")
    ['png']
    """
    message = example_class()()
    for kind, features in (("bytes_list", contents), ("int64_list", integers), ("float_list", floats)):
        for name, values in (features or {}).items():
            stored = getattr(message.features.feature[name], kind)
            stored.SetInParent()
            stored.value.extend(values.tolist() if isinstance(values, np.ndarray) else values)
    return message.SerializeToString(deterministic=True)
