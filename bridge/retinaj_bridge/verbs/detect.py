"""The verbs `open` and `detect`: a model, and its boxes on one plane of an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from retinaj.colours import class_colour
from retinaj.errors import RetinaJError
from retinaj.prediction.detector import Detector, limit_words
from retinaj_bridge.models import Models
from retinaj_bridge.server import Answer, Call, Verb
from retinaj_bridge.wire import Fields

_PIXELS = {"uint8": "<u1", "uint16": "<u2", "int16": "<i2", "float32": "<f4"}


def open_verb(models: Models) -> Verb:
    """`open`: model -> name, classes, colours ("r,g,b" each), channels, floor (of scores), overlap, limit (boxes a plane)."""

    def answer(fields: Fields, call: Call) -> Answer:
        path = _path(fields)
        call.report(-1, f"opening {path.name}")
        return _described(models.open(path))

    return answer


def detect_verb(models: Models) -> Verb:
    """`detect`: one plane -> its boxes, highest score first.

    Request: model; threshold; overlap (empty for the model's own); type, one of uint8, uint16, int16, float32; shape,
    "y,x" or "c,y,x"; pixels in that type and order. Answer: what `open` answers, and xyxy float64 [n, 4], score float64 [n],
    label int32 [n], full ("1" if there are as many as the model can give), limit_words.
    """

    def answer(fields: Fields, call: Call) -> Answer:
        detector = models.open(_path(fields))
        plane = _plane(fields)
        overlap = fields.get("overlap", b"").decode()
        boxes = detector.detect(plane, threshold=float(fields["threshold"]), overlap=float(overlap) if overlap else None)
        call.report(1.0, "")
        assert boxes.score is not None  # noqa: S101  (of a detection)
        return {
            **_described(detector),
            "xyxy": np.ascontiguousarray(boxes.xyxy, "<f8").tobytes(),
            "score": np.ascontiguousarray(boxes.score, "<f8").tobytes(),
            "label": np.ascontiguousarray(boxes.label, "<i4").tobytes(),
            "full": "1" if detector.is_full(boxes) else "0",
            "limit_words": limit_words(detector),
        }

    return answer


def _path(fields: Fields) -> Path:
    return Path(fields.get("model", b"").decode()).expanduser()


def _described(detector: Detector) -> Answer:
    names = detector.class_names
    return {
        "name": detector.name,
        "classes": names,
        "colours": [",".join(map(str, class_colour(label))) for label in range(len(names))],
        "channels": str(detector.channels),
        "floor": repr(float(detector.score_floor)),
        "overlap": repr(float(detector.overlap)),
        "limit": str(detector.max_detections),
    }


def _plane(fields: Fields) -> xr.DataArray:
    kind, pixels = fields.get("type", b"").decode(), fields.get("pixels", b"")
    shape = tuple(int(size) for size in fields.get("shape", b"").decode().split(","))
    if kind not in _PIXELS or len(shape) not in (2, 3) or min(shape) < 1:
        raise RetinaJError("The pixels that came from ImageJ are not an image.")
    dtype = np.dtype(_PIXELS[kind])
    if len(pixels) != int(np.prod(shape, dtype=np.int64)) * dtype.itemsize:
        raise RetinaJError("The pixels that came from ImageJ are not all there.")
    array = np.frombuffer(pixels, dtype).reshape(shape)
    return xr.DataArray(array, dims=("c", "y", "x")[-len(shape) :])
