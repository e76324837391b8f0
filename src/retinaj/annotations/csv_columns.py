"""Which column of a table is what: by the names that tools and people give to columns, or as told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from retinaj.errors import RetinaJError

# The usual names of each column, in small letters without blanks and signs; an earlier one is preferred.
# Among them are those of ImageJ's Results and ROI list, CellProfiler, scikit-image (bbox-0: first row), Open Images, the TF
# Object Detection API's tables, QuPath and pandas' own index names.
USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "image": (
        "image", "imagename", "imagefile", "imagefilename", "filename", "file", "imagepath", "filepath", "path", "img",
        "imgname", "imageid", "source",
    ),
    "x_min": ("xmin", "x1", "bx", "left", "minx", "xleft", "bboxxmin", "bboxx1", "bboxleft", "bboxx", "bbox1",
              "areashapeboundingboxminimumx", "boundingboxminimumx", "x0", "x"),
    "y_min": ("ymin", "y1", "by", "top", "miny", "ytop", "bboxymin", "bboxy1", "bboxtop", "bboxy", "bbox0",
              "areashapeboundingboxminimumy", "boundingboxminimumy", "y0", "y"),
    "x_max": ("xmax", "x2", "right", "maxx", "xright", "bboxxmax", "bboxx2", "bboxright", "bbox3",
              "areashapeboundingboxmaximumx", "boundingboxmaximumx"),
    "y_max": ("ymax", "y2", "bottom", "maxy", "ybottom", "bboxymax", "bboxy2", "bboxbottom", "bbox2",
              "areashapeboundingboxmaximumy", "boundingboxmaximumy"),
    "width": ("width", "w", "bw", "boxwidth", "bboxwidth", "bboxw"),
    "height": ("height", "h", "bh", "boxheight", "bboxheight", "bboxh"),
    "x_center": ("xcenter", "xcentre", "cx", "xc", "centerx", "centrex"),
    "y_center": ("ycenter", "ycentre", "cy", "yc", "centery", "centrey"),
    "label": ("class", "classname", "label", "labelname", "category", "categoryname", "objectclass", "celltype", "type",
              "species", "name", "classid", "categoryid"),
    "score": ("score", "confidence", "conf", "probability", "prob"),
    "t": ("t", "frame", "time", "timepoint"),
    "c": ("c", "ch", "channel"),
    "z": ("z", "slice"),
    "image_width": ("imagewidth", "imgwidth"),
    "image_height": ("imageheight", "imgheight"),
    "difficult": ("difficult",),
    "truncated": ("truncated", "istruncated"),
    "occluded": ("occluded", "isoccluded"),
    "crowd": ("crowd", "iscrowd", "isgroupof"),
}  # fmt: skip

# Further columns of our own tables only: elsewhere these names may mean anything.
OWN_NAMES = ("name", "group", "colour")

CORNERS = ("x_min", "y_min", "x_max", "y_max")
UNITS = ("pixels", "shares")
_KEYS = (*USUAL_NAMES, "units")
_Shape = Literal["corners", "corner and size", "centre and size"]
_SHAPES: Mapping[_Shape, tuple[str, ...]] = {
    "corners": CORNERS,
    "corner and size": ("x_min", "y_min", "width", "height"),
    "centre and size": ("x_center", "y_center", "width", "height"),
}
_UNIT = re.compile(r"[(\[]\s*([^)\]]*?)\s*[)\]]\s*$")
_LENGTHS = ("µm", "μm", "um", "micron", "microns", "nm", "mm", "cm", "inch", "in")  # micro sign, and the Greek letter
# keras-retinanet's tables have no line of names: image, x1, y1, x2, y2, class; without an object, all but the first are empty.
_WITHOUT_NAMES = ("image", *CORNERS, "label")


@dataclass(frozen=True)
class Columns:
    """Where a table has what.

    Attributes:
        at: position of the column of each kind: keys of USUAL_NAMES, and of OWN_NAMES in our own tables.
        shape: what the coordinates are.
        imagej: whether it is ImageJ's Results table, whose "Label" names the image.
        roi_list: whether it is the list of ImageJ's ROI Manager, whose "Name" has the class.
        units: what the coordinates count in, or None if only the numbers tell.
        named: whether the first line has the names of the columns.
    """

    at: Mapping[str, int]
    shape: _Shape
    imagej: bool = False
    roi_list: bool = False
    units: str | None = None
    named: bool = True

    @property
    def keys(self) -> tuple[str, str, str, str]:
        """The kinds of the four columns that give the box."""
        a, b, c, d = _SHAPES[self.shape]
        return a, b, c, d


def find_columns(header: Sequence[str], told: Mapping[str, str], where: str) -> Columns:
    """Find the columns by the first line of a table.

    Args:
        header: its cells.
        told: for some of the keys of USUAL_NAMES the name of the column; "units" may be "pixels" or "shares".
        where: the file, for errors.

    Raises:
        RetinaJError: if `told` has another key or names a column that is not there, two columns of one name are meant, a
            coordinate is in another unit than pixels, or there are not enough coordinates for a box.
    """
    if not any(header):
        raise RetinaJError(f"{where} is empty; expected a table of boxes whose first line names the columns.")
    _check(told, header, where)
    units = told.get("units")
    if not told and _has_no_names(header):
        return Columns({key: at for at, key in enumerate(_WITHOUT_NAMES)}, "corners", named=False)
    plain = [_plain(name) for name in header]
    own = _is_own(header)
    roi_list = {"name", "type", "points", "x", "y", "width"} <= set(plain)
    imagej = not roi_list and {"bx", "by"} <= set(plain)
    at: dict[str, int] = {}
    for key, usual in USUAL_NAMES.items():
        if imagej and key in ("image", "label"):
            usual = ("label",) if key == "image" else tuple(name for name in usual if name not in ("label", "name", "type"))
        elif roi_list and key == "label":
            usual = ("name",)
        if key in told:
            at[key] = list(header).index(told[key])
            continue
        for name in usual:
            if name in plain and plain.index(name) not in at.values():
                if plain.count(name) > 1:
                    raise RetinaJError(f"{where} has two columns {header[plain.index(name)]!r}; rename one of them.")
                at[key] = plain.index(name)
                break
    if own:
        at |= {key: list(header).index(key) for key in OWN_NAMES if key in header}
    shape = _shape(at, told, header, where)
    for key in _SHAPES[shape]:
        unit = _UNIT.search(header[at[key]])
        if unit and unit[1].lower() in _LENGTHS:
            raise RetinaJError(f"{where}: the column {header[at[key]]!r} is in {unit[1]!r}; expected pixels.")
        if unit and unit[1].lower() in ("px", "pixel", "pixels"):
            units = units or "pixels"
    return Columns(at, shape, imagej, roi_list, units or ("pixels" if own or imagej or roi_list else None))


def is_table(cells: Sequence[str]) -> bool:
    """Whether the first line of a text file is that of a table with boxes."""
    try:
        find_columns(cells, {}, "")
    except RetinaJError:
        return False
    return True


def _shape(at: Mapping[str, int], told: Mapping[str, str], header: Sequence[str], where: str) -> _Shape:
    found: list[_Shape] = [name for name in _SHAPES if all(key in at for key in _SHAPES[name])]
    if not found:
        names = ", ".join(repr(name.strip()[:40]) for name in header[:20])
        raise RetinaJError(
            f"{where} has the columns {names}; expected x_min, y_min, x_max, y_max, or x, y, width, height, or x_center, "
            'y_center, width, height. If they are called otherwise, say so: --columns "x_min=left edge, y_min=upper edge".'
        )
    # What the user named decides, then the order above; ImageJ's Results always have the size.
    return max(found, key=lambda name: (sum(key in told for key in _SHAPES[name]), -found.index(name)))


def _check(told: Mapping[str, str], header: Sequence[str], where: str) -> None:
    for key, name in told.items():
        if key not in _KEYS:
            raise RetinaJError(f"--columns has {key!r}; expected one of {', '.join(_KEYS)}.")
        if key == "units" and name not in UNITS:
            raise RetinaJError(f"--columns has units={name!r}; expected {' or '.join(UNITS)}.")
        if key != "units" and Counter(header)[name] != 1:
            names = ", ".join(repr(each[:40]) for each in header[:20])
            raise RetinaJError(f"{where} has {Counter(header)[name] or 'no'} column {name!r}, but {names}; see --columns.")


def _is_own(header: Sequence[str]) -> bool:
    """Whether RetinaJ wrote the table, here or in `retinaj predict`."""
    start = header.index("x_min") if "x_min" in header else -1
    return tuple(header[start : start + 4]) == CORNERS and "class" in header[start + 4 : start + 6]


def _has_no_names(cells: Sequence[str]) -> bool:
    if len(cells) != len(_WITHOUT_NAMES) or not cells[0].strip():
        return False
    numbers = cells[1:5]
    if not any(cell.strip() for cell in cells[1:]):
        return True
    return all(re.fullmatch(r"\s*-?[0-9]{1,9}(\.[0-9]{1,9})?\s*", cell) for cell in numbers)


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", _UNIT.sub("", name.strip().casefold()))
