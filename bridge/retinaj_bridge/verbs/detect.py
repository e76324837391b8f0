"""The verbs `open` and `detect`: a model, and its boxes on one plane of an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from retinaj.colours import class_colour
from retinaj.errors import RetinaJError
from retinaj.prediction.detector import DEFAULT_THRESHOLD, limit_words
from retinaj.prediction.tiles import find_objects
from retinaj.prediction.tiling import parse_tiles
from retinaj_bridge.models import Models, OpenedModel
from retinaj_bridge.recent_models import remember_model
from retinaj_bridge.server import Answer, Call, Verb
from retinaj_bridge.verbs.checking import flag_of, number_of, path_of, text_of
from retinaj_bridge.verbs.pixels import plane_of
from retinaj_bridge.wire import Fields

# How a user of the plugin asks for smaller tiles.
TILES_IN_IMAGEJ = "Tiles in the dialog, or tiles=800 in a macro"


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
    model's own); tiles, which is auto, none or the side of a tile in pixels; trial, "1" for a model that shall not be
    remembered; and the pixels, see `plane_of`. Reports the tiles that are done. Answer: what `open` answers, and xyxy float64
    [n, 4], score float64 [n], label int32 [n], full ("1" if objects may be missing because the model could not give more
    boxes), limit_words.
    """

    def answer(fields: Fields, call: Call) -> Answer:
        path = path_of(fields, "model", "The model")
        threshold = number_of(fields, "threshold", None)
        overlap = number_of(fields, "overlap", None)
        tiles = parse_tiles(text_of(fields, "tiles") or "auto")
        plane = plane_of(fields)
        opened = _opened(models, path, remembered=not flag_of(fields, "trial"))
        if text_of(fields, "identity") not in ("", opened.identity):
            raise RetinaJError(f"The model {path} was changed while it was in use: run the command again.")
        detector = opened.detector
        threshold = DEFAULT_THRESHOLD if threshold is None else threshold

        def progress(done: int, total: int) -> None:
            call.report(done / total, f"tile {min(done + 1, total)} of {total}" if total > 1 else "")

        found = find_objects(detector, plane, tiles=tiles, threshold=threshold, overlap=overlap, progress=progress)
        boxes = found.boxes
        assert boxes.score is not None  # noqa: S101  (of a detection)
        return {
            **_described(opened),
            "xyxy": np.ascontiguousarray(boxes.xyxy, "<f8").tobytes(),
            "score": np.ascontiguousarray(boxes.score, "<f8").tobytes(),
            "label": np.ascontiguousarray(boxes.label, "<i4").tobytes(),
            "full": "1" if found.is_full(threshold) else "0",
            "limit_words": limit_words(detector, TILES_IN_IMAGEJ),
        }

    return answer


def _opened(models: Models, path: Path, *, remembered: bool = True) -> OpenedModel:
    opened = models.opened(path)
    if remembered:
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
