"""TensorFlow and Keras, started quietly, as values of unknown type.

Neither has type stubs, and what pyright infers from Keras's sources (an operation may return None, an initializer must be a
str) is wrong for every call. Naming them unknown once keeps strict checking useful for all that surrounds them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _quiet_start() -> Generator[None]:
    """Hold back what TensorFlow's C++ writes to standard error while it is imported, unless the import fails.

    On a computer without a GPU it reports at every start, before any setting of ours is read, that it found none.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if "tensorflow" in sys.modules:
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        real = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(real, held.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)


with _quiet_start():
    import keras as _keras
    import keras.layers as _layers
    import keras.ops as _ops
    import tensorflow as _tensorflow

keras: Any = _keras
layers: Any = _layers
ops: Any = _ops
tf: Any = _tensorflow
