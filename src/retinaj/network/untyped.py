"""Keras as values of unknown type.

Keras has no type stubs, and what pyright infers from its sources (an operation may return None, an initializer must be a
str) is wrong for every call. Naming it unknown once keeps strict checking useful for all that surrounds it.
"""

from __future__ import annotations

from typing import Any

import keras as _keras
import keras.layers as _layers
import keras.ops as _ops

keras: Any = _keras
layers: Any = _layers
ops: Any = _ops
