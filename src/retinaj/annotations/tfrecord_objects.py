"""The objects of one record: classes by text or number, boxes as shares of the image's size, flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retinaj.annotations.annotation import ObjectDetails, clean_name
from retinaj.annotations.label_map import LabelMap
from retinaj.annotations.tf_example import Example
from retinaj.errors import RetinaJError

CORNERS = ("xmin", "ymin", "xmax", "ymax")

# Beyond this, values are not shares of the image but something else, mostly pixels.
_LARGEST_SHARE = 2.0


@dataclass(frozen=True)
class Objects:
    """The objects of one image.

    Attributes:
        shares: float32 [N, 4], (x_min, y_min, x_max, y_max) as shares of the image's width and height.
        names: the class of each.
        places: where each stands, for messages.
        details: flags of each, or empty if none has any.
        faults: those that could not be read, one sentence each.
        numbers: the API's number of each class, where the record has it.
    """

    shares: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    names: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    details: tuple[ObjectDetails, ...] = ()
    faults: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict[str, int])


def read_objects(example: Example, place: str, file: Path, classes: LabelMap | None) -> Objects:
    """The objects of one record.

    Args:
        example: the record.
        place: "record 3", for messages.
        file: what it is from, for errors.
        classes: the label map; without one, records must have the names of the classes.

    Raises:
        RetinaJError: if a feature is of the wrong type, or classes are only numbers and there is no label map.
    """
    columns = {name: example.floats(f"image/object/bbox/{name}") for name in CORNERS}
    texts, labels = example.texts("image/object/class/text"), example.integers("image/object/class/label")
    flags = {name: example.integers(f"image/object/{name}") for name in ("difficult", "truncated", "is_crowd", "group_of")}
    count = len(columns["xmin"])
    for name, values in columns.items():
        if len(values) != count:
            return Objects(faults=(f"{place} has {count} values of xmin and {len(values)} of {name}; expected as many.",))
    for name, values in {"class/text": texts, "class/label": labels, **flags}.items():
        if len(values) not in (0, count):
            return Objects(faults=(f"{place} has {count} boxes and {len(values)} values of {name}; expected one for each.",))
    if count and not texts and classes is None and labels:
        raise RetinaJError(f"{file} has only numbers for classes; put its label_map.pbtxt beside it or name it with --classes.")

    shares = np.stack(list(columns.values()), axis=1)
    faults: list[str] = []
    names: dict[int, str] = {}
    numbers: dict[str, int] = {}
    for at in range(count):
        try:
            _require_shares(f"{place}, object {at + 1}", shares[at])
            label = labels[at] if labels else None
            names[at] = _class_name(f"{place}, object {at + 1}", texts[at] if texts else "", label, classes)
            if label is not None:
                numbers.setdefault(names[at], label)
        except RetinaJError as error:
            faults.append(str(error))
    flagged = any(any(values) for values in flags.values())
    return Objects(
        shares[list(names)],
        tuple(names.values()),
        tuple(f"{place}, object {at + 1}" for at in names),
        tuple(_details(flags, at) for at in names) if flagged else (),
        tuple(faults),
        numbers,
    )


def pixels(shares: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Shares of an image's size as pixels.

    A share that is as close to a whole number of pixels as 32-bit floats allow becomes that number: boxes of whole pixels,
    which most are, come back as they were.

    Args:
        shares: float32 [N, 4], (x_min, y_min, x_max, y_max).
        size: (width, height) in pixels.

    Returns:
        float32 [N, 4], xyxy in pixels.

    >>> pixels(np.array([[1 / 3, 0.1, 2 / 3, 0.999]], np.float32), (640, 480)).round(3).tolist()
    [[213.333, 48.0, 426.667, 479.52]]
    """
    scale = np.array([*size, *size], np.float64)
    exact = shares.astype(np.float64) * scale
    whole = np.rint(exact)
    precision = np.spacing(np.abs(shares)).astype(np.float64) * scale
    return np.where(np.abs(exact - whole) <= precision, whole, exact).astype(np.float32)


def _require_shares(place: str, corners: NDArray[np.float32]) -> None:
    for name, value in zip(CORNERS, corners.tolist(), strict=True):
        if not 1 - _LARGEST_SHARE <= value <= _LARGEST_SHARE:
            raise RetinaJError(
                f"{place}: {name} is {value:g}; expected a share of the image's {'width' if name[0] == 'x' else 'height'}, "
                "from 0 to 1."
            )


def _class_name(place: str, text: str, label: int | None, classes: LabelMap | None) -> str:
    """The class by its text, as the API does, else by its number."""
    name = clean_name(text, place)
    if name:
        return name if classes is None else classes.aliases.get(name, name)
    if label is None:
        raise RetinaJError(f"{place} has no class; expected its name in class/text or its number in class/label.")
    if classes is None or label not in classes.names:
        known = "there is no label map" if classes is None else f"the label map has {list(classes.names)[:20]}"
        raise RetinaJError(f"{place} is of the class number {label}, but {known}.")
    return classes.names[label]


def _details(flags: Mapping[str, list[int]], at: int) -> ObjectDetails:
    difficult, truncated, crowd, group = (bool(values[at]) if values else False for values in flags.values())
    return ObjectDetails(difficult=difficult, truncated=truncated, crowd=crowd or group)
