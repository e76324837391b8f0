"""The verbs `check annotations` and `annotate`: ROIs of ImageJ become annotations of a data set that models are trained on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import cast

import numpy as np

from retinaj.annotations.annotation import clean_name
from retinaj.annotations.imagej_names import RoiText, class_rule, group_of, read_properties
from retinaj.counting import counted
from retinaj.errors import RetinaJError
from retinaj.images.plane_choice import plane_suffix
from retinaj_bridge.growing_dataset import GrowingDataset, Kind, boxes_of
from retinaj_bridge.server import Answer, Call
from retinaj_bridge.verbs.checking import flag_of, path_of, text_of, words_of
from retinaj_bridge.verbs.pixels import plane_of
from retinaj_bridge.wire import Fields

_LONGEST_RULE = 200


def check_annotations(fields: Fields, call: Call) -> Answer:
    """`check annotations`: would these ROIs do? Nothing is written.

    Request: dataset, a folder that `annotate` made, or one to make; format, "voc" or "coco", empty for that of the data set;
    classes, where ROIs have their class: "name", "group" or "property:KEY"; names, groups (int32), properties: of the ROIs, the
    texts joined by zero characters. Answer: classes, a list of "CLASS: NUMBER"; format; images, how many the data set has.
    """
    dataset = _dataset(fields)
    counts = Counter(_classes(fields))
    return {
        "classes": [f"{name}: {number}" for name, number in counts.most_common()],
        "format": dataset.kind,
        "images": str(len(dataset.names())),
    }


def annotate(fields: Fields, call: Call) -> Answer:
    """`annotate`: one plane and its ROIs -> one image of a data set.

    Request: what `check annotations` takes, and xyxy, float64 [n, 4], the bounds of the ROIs; the plane, as for `detect`; title
    of the image; position and of, "t,z" from 1 and their numbers, empty for an image of one plane; replace, "1" to replace the
    boxes that the same pixels have in the data set. Answer: image, its file's name; outcome, "added", "replaced" or
    "unchanged"; objects; left_out, how many ROIs are no boxes on the image; images, how many the data set has now.
    """
    dataset = _dataset(fields)
    classes = _classes(fields)
    image = plane_of(fields)
    corners = _corners(fields, len(classes))
    boxes, left_out = boxes_of(corners, classes, image.sizes["x"], image.sizes["y"])
    if classes and not len(boxes):
        raise RetinaJError(
            f"None of the {counted(len(classes), 'ROI')} is a box on the image: they are outside of it, or points, or lines. "
            "Draw an outline around each object."
        )
    call.report(-1, f"writing to {dataset.folder.name}")
    title = text_of(fields, "title") or "image"
    try:
        added = dataset.add(image, boxes, title, suffix=_suffix(fields), replacing=flag_of(fields, "replace"))
    except OSError as error:
        raise RetinaJError(f"The data set {dataset.folder} cannot be written: {error.strerror or error}.") from error
    return {
        "image": added.name,
        "outcome": added.outcome,
        "objects": str(len(boxes)),
        "left_out": str(left_out),
        "images": str(len(dataset.names())),
    }


def _dataset(fields: Fields) -> GrowingDataset:
    folder = path_of(fields, "dataset", "The folder of the data set")
    kind = words_of(fields, "format", ("", "voc", "coco"))
    return GrowingDataset(folder, cast(Kind, kind) if kind else None)


def _classes(fields: Fields) -> list[str]:
    """The class of each ROI.

    Raises:
        RetinaJError: naming the first ROI that does not say its class.
    """
    chosen = text_of(fields, "classes") or "name"
    if not (chosen in ("name", "group") or chosen.startswith("property:")) or len(chosen) > _LONGEST_RULE:
        raise RetinaJError(f"classes is {chosen[:60]!r}; expected name, group or property:KEY.")
    rule = class_rule(chosen)
    names, properties = _texts(fields, "names"), _texts(fields, "properties")
    numbers = fields.get("groups", b"")
    if len(names) != len(properties) or len(numbers) != 4 * len(names):
        raise RetinaJError("The ROIs that came from ImageJ are not all there.")
    groups = np.frombuffer(numbers, "<i4").tolist()
    found: list[str] = []
    for number, (name, group, text) in enumerate(zip(names, groups, properties, strict=True), 1):
        where = f"ROI {number} ({name[:60]!r})"
        known = read_properties(text)
        try:
            found.append(clean_name(rule(RoiText(name, group_of(group, known), known)), where))
        except ValueError as error:
            raise RetinaJError(f"{where} {error}.") from error
    return found


def _texts(fields: Fields, name: str) -> list[str]:
    data = fields.get(name, b"")
    return [text.decode(errors="replace") for text in data.split(b"\0")] if data else _none_or_one(fields)


def _none_or_one(fields: Fields) -> list[str]:
    """Nothing joined and one empty text joined are the same bytes: the groups tell."""
    return [""] if len(fields.get("groups", b"")) == 4 else []


def _corners(fields: Fields, count: int) -> Sequence[Sequence[float]]:
    data = fields.get("xyxy", b"")
    if len(data) != count * 32:
        raise RetinaJError("The ROIs that came from ImageJ are not all there.")
    corners = np.frombuffer(data, "<f8").reshape(-1, 4)
    if not (np.abs(corners) < 1e7).all():  # neither is what is not a number
        raise RetinaJError("A ROI has a coordinate that is not a number of pixels.")
    return cast("Sequence[Sequence[float]]", corners)


def _suffix(fields: Fields) -> str:
    """What the name of one plane of several ends with, as everywhere in RetinaJ: _t1_z07."""
    pairs = [re.fullmatch(r"(\d{1,6}),(\d{1,6})", text_of(fields, name)) for name in ("position", "of")]
    if None in pairs:
        return ""
    (t, z), (frames, slices) = ([int(number) for number in pair.groups()] for pair in pairs if pair is not None)
    return plane_suffix((t - 1, z - 1), {"t": frames, "z": slices})
