"""The verbs `open` and `detect`: a model, and its boxes on one plane of an image."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import xarray as xr

from retinaj.colours import class_colour
from retinaj.errors import RetinaJError
from retinaj.prediction.detector import DEFAULT_THRESHOLD, limit_words
from retinaj_bridge.models import Models, OpenedModel
from retinaj_bridge.recent_models import remember_model
from retinaj_bridge.server import Answer, Call, Verb
from retinaj_bridge.verbs.checking import number_of, path_of, text_of, words_of
from retinaj_bridge.wire import Fields

_PIXELS = {"uint8": "<u1", "uint16": "<u2", "int16": "<i2", "float32": "<f4"}


def open_verb(models: Models) -> Verb:
    """`open`: model -> what it is.

    Answer: name, classes, colours ("r,g,b" each), channels, floor (of scores), overlap, limit (boxes a plane), and identity,
    which changes when the model on disk does.
    """

    def answer(fields: Fields, call: Call) -> Answer:
        path = path_of(fields, "model", "The model")
        call.report(-1, f"opening {path.name}")
        return _described(_opened(models, path))

    return answer


def detect_verb(models: Models) -> Verb:
    """`detect`: one plane -> its boxes, highest score first.

    Request: model; identity, what `open` answered, if the model must still be the same; threshold; overlap (empty for the
    model's own); tiles, which must be auto; type, one of uint8, uint16, int16, float32; shape, "y,x" or "c,y,x"; pixels in that
    type and order. Answer: what `open` answers, and xyxy float64 [n, 4], score float64 [n], label int32 [n], full ("1" if there
    are as many as the model can give), limit_words.
    """

    def answer(fields: Fields, call: Call) -> Answer:
        path = path_of(fields, "model", "The model")
        threshold = number_of(fields, "threshold", None)
        overlap = number_of(fields, "overlap", None)
        words_of(fields, "tiles", ("auto",))
        plane = _plane(fields)
        opened = _opened(models, path)
        if text_of(fields, "identity") not in ("", opened.identity):
            raise RetinaJError(f"The model {path} was changed while it was in use: run the command again.")
        detector = opened.detector
        call.report(-1, "")  # the last chance to cancel for a while
        boxes = detector.detect(plane, threshold=DEFAULT_THRESHOLD if threshold is None else threshold, overlap=overlap)
        assert boxes.score is not None  # noqa: S101  (of a detection)
        return {
            **_described(opened),
            "xyxy": np.ascontiguousarray(boxes.xyxy, "<f8").tobytes(),
            "score": np.ascontiguousarray(boxes.score, "<f8").tobytes(),
            "label": np.ascontiguousarray(boxes.label, "<i4").tobytes(),
            "full": "1" if detector.is_full(boxes) else "0",
            "limit_words": limit_words(detector),
        }

    return answer


def _opened(models: Models, path: Path) -> OpenedModel:
    opened = models.opened(path)
    remember_model(opened.path, opened.detector.name)
    return opened


def _described(opened: OpenedModel) -> Answer:
    detector = opened.detector
    names = detector.class_names
    return {
        "name": detector.name,
        "classes": names,
        "colours": [",".join(map(str, class_colour(label))) for label in range(len(names))],
        "channels": str(detector.channels),
        "floor": repr(float(detector.score_floor)),
        "overlap": repr(float(detector.overlap)),
        "limit": str(detector.max_detections),
        "identity": opened.identity,
    }


def _plane(fields: Fields) -> xr.DataArray:
    kind, shape_text = text_of(fields, "type"), text_of(fields, "shape")
    if kind not in _PIXELS or not re.fullmatch(r"[1-9]\d{0,9}(,[1-9]\d{0,9}){1,2}", shape_text, re.ASCII):
        raise RetinaJError("The pixels that came from ImageJ are not an image.")
    shape = [int(size) for size in shape_text.split(",")]
    dtype, pixels = np.dtype(_PIXELS[kind]), fields.get("pixels", b"")
    if len(pixels) != math.prod(shape) * dtype.itemsize:
        raise RetinaJError("The pixels that came from ImageJ are not all there.")
    array = np.frombuffer(pixels, dtype).reshape(shape)
    dims = ("c", "y", "x")[-len(shape) :]
    # xarray imports Dask and SciPy to find out whether an array is Dask's, half a second for who waits for the first boxes.
    return xr.DataArray(xr.Variable(dims, array, fastpath=True), dims=dims)
