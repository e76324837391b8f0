"""Mixed precision: convolutions in bfloat16 where the hardware is fast at it, weights and losses in float32."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from retinaj.network.untyped import keras, tf

Precision = Literal["float32", "mixed_bfloat16"]
# Of NVIDIA's architectures, Ampere (8.0) is the first with bfloat16. float16 would need a scaled loss.
_FIRST_BFLOAT16 = (8, 0)


def has_gpu() -> bool:
    """Whether TensorFlow can use a GPU here."""
    return bool(tf.config.list_physical_devices("GPU"))


def best_precision() -> Precision:
    """What is fastest here: mixed on a GPU that computes in bfloat16, float32 on anything else."""
    gpus = tf.config.list_physical_devices("GPU")
    capable = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
    return "mixed_bfloat16" if capable and min(capable) >= _FIRST_BFLOAT16 else "float32"


@contextmanager
def precision(policy: Precision) -> Generator[None]:
    """Networks that are built in the block compute in this precision; their weights are float32 in either."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
