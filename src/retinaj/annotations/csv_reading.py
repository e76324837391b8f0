"""Reading tables of boxes (CSV): a row per object, of one image or of many."""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import TextIO

import numpy as np

from retinaj.annotations.annotation import NO_DETAILS, Annotation, ObjectDetails, clean_name
from retinaj.annotations.collecting import ObjectCollector, number, share
from retinaj.annotations.csv_columns import OWN_NAMES, Columns, find_columns
from retinaj.annotations.format import ImageSizes, Reading
from retinaj.annotations.imagej_roi import DEFAULT_CLASS, parse_name
from retinaj.annotations.text_files import first_lines, open_text
from retinaj.colours import RGB
from retinaj.errors import RetinaJError
from retinaj.images import is_image_name

MAX_FILE_BYTES = 256 * 1024**2
MAX_IMAGES = 250_000  # in one table

_TOLERANCE = 0.01  # by which shares may go beyond 0..1
_SEPARATORS = ("\t", ";", ",")
_WHAT = "a table of boxes (CSV)"
_FLAGS = ("difficult", "truncated", "occluded", "crowd")
_SUMMARY = ("Mean", "SD", "Min", "Max")  # rows that ImageJ's Summarize adds


def read_table(path: Path, reading: Reading) -> list[Annotation]:
    """Read one table.

    Args:
        path: a text file with one object a row. Cells are separated by tabs, semicolons or commas, whichever the first line
            has most of; where it is not the comma, the comma is also a decimal point. The first line names the columns, in one
            of many usual ways (`csv_columns`), or it is keras-retinanet's table without names.
        reading: `columns` tells which column is what, `images` gives the sizes that coordinates in shares need.

    Returns:
        One Annotation per image in the order of the table, or one with the file's own name if no column names the image.
        Coordinates are taken for shares of the image's size if all lie in 0..1 and not all are whole; those of RetinaJ's and
        ImageJ's own tables never are. Positions in a stack count from 1, unless a 0 is among them. Rows that cannot be read
        are in `faults`; a row with an image and nothing else is an image without objects.

    Raises:
        RetinaJError: if the file is missing, too large, not text or not such a table.
    """
    with open_text(path, _WHAT, MAX_FILE_BYTES, else_latin=True) as stream, _plain_errors(path):
        rows, separator = _rows(stream)
        header = next(rows, ("", []))[1]
        columns = find_columns([cell.strip() for cell in header], reading.columns, str(path))
        table = _Table(path, columns, decimal_comma=separator != ",")
        if not columns.named:
            table.add("line 1", header)
        for place, cells in rows:
            table.add(place, cells)
    return list(table.annotations(reading))


def first_row(path: Path) -> list[str]:
    """The cells of a table's first line, from the first few kilobytes of the file; none if it is not text."""
    lines = first_lines(path, 2)
    try:
        rows, _ = _rows(io.StringIO("\n".join(lines)))
        return [cell.strip() for cell in next(rows, ("", []))[1]]
    except csv.Error:
        return []


@contextmanager
def _plain_errors(path: Path) -> Generator[None]:
    try:
        yield
    except csv.Error as error:
        raise RetinaJError(f"{path} is not {_WHAT}: {error}. Is a quotation mark not closed?") from error


def _rows(stream: TextIO) -> tuple[Iterator[tuple[str, list[str]]], str]:
    """(place, cells) of each row that is not blank, and the separator."""
    first = stream.readline(2**16)
    if first[:4].lower() == "sep=" and first[4:5] in _SEPARATORS and not first[5:].strip():  # Excel's own first line
        separator, skipped = first[4], 1
    else:
        separator, skipped = max(_SEPARATORS, key=first.count), 0
        stream.seek(0)
    reader = csv.reader(stream, delimiter=separator)

    def rows() -> Iterator[tuple[str, list[str]]]:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield f"line {reader.line_num + skipped}", cells

    return rows(), separator


class _Table:
    """The objects of a table, by image, as its rows are added."""

    def __init__(self, path: Path, columns: Columns, *, decimal_comma: bool) -> None:
        self._path = path
        self._columns = columns
        self._at = columns.at
        self._decimal_comma = decimal_comma
        self._detailed = not columns.at.keys().isdisjoint((*_FLAGS, *OWN_NAMES))
        self._classes: dict[str, str] = {}  # the name of each class by the text of the cell
        self._images: dict[str, ObjectCollector] = {} if "image" in columns.at else {"": ObjectCollector(path)}
        self._nowhere = ObjectCollector(path)  # for the faults of rows whose image is not known
        self._sizes: dict[str, tuple[int, int]] = {}
        self._box_sizes = True  # whether the columns width and height are those of the boxes beside their corners
        self._lowest, self._highest, self._whole = np.inf, -np.inf, True
        self._first_plane = [np.inf, np.inf, np.inf]
        self._summaries = 0

    def add(self, place: str, cells: Sequence[str]) -> None:
        """Add one row."""
        image = self._cell(cells, "image").strip()
        if len(self._images) > MAX_IMAGES:
            raise RetinaJError(f"{self._path} has more than {MAX_IMAGES:,} images; divide it.")
        if self._columns.imagej:
            image = image.split(":", 1)[0]  # behind it ImageJ puts the ROI's name and the slice's label
            if image in _SUMMARY:
                self._summaries += 1
                return
        objects = self._images.get(image, self._nowhere)
        try:
            if objects is self._nowhere:
                objects = self._new_image(place, image)
            self._add(objects, image, place, cells)
        except RetinaJError as error:
            objects.fault(str(error))

    def _new_image(self, place: str, image: str) -> ObjectCollector:
        if not clean_name(image, f"{place}: the image"):
            raise RetinaJError(f"{place} names no image.")
        return self._images.setdefault(image, ObjectCollector(self._path))

    def _add(self, objects: ObjectCollector, image: str, place: str, cells: Sequence[str]) -> None:
        texts = [self._cell(cells, key) for key in self._columns.keys]
        name = self._cell(cells, "label")
        if image not in self._sizes:
            self._note_size(image, cells)
        if not any(map(str.strip, texts)) and not name.strip() and "image" in self._at:
            return  # an image without objects
        a, b, c, d = (self._number(text, f"{place}: {key}") for key, text in zip(self._columns.keys, texts, strict=True))
        corners = _corners(self._columns.shape, a, b, c, d)
        if self._columns.shape == "corners" and self._box_sizes:
            self._box_sizes = self._has_box_size(cells, corners)
        text = self._cell(cells, "score")
        score = share(self._decimal(text), f"{place}: the score") if text.strip() else None
        if "label" not in self._at:
            name = DEFAULT_CLASS
        elif self._columns.roi_list:
            name, score = parse_name(name)
        name = self._classes.get(name) or self._class(place, name)
        plane = self._plane(place, cells)
        details = self._details(place, cells) if self._detailed else NO_DETAILS
        objects.add(place, name, corners, score=score, details=details)
        objects.planes.extend(plane)
        self._lowest, self._highest = min(self._lowest, *corners), max(self._highest, *corners)
        self._whole = self._whole and all(value % 1 == 0 for value in corners)

    def annotations(self, reading: Reading) -> Iterator[Annotation]:
        """What was added, an Annotation per image."""
        names = tuple(sorted({name for objects in self._images.values() for name in objects.names}))
        in_shares = self._columns.units == "shares" or (
            self._columns.units is None and self._lowest >= -_TOLERANCE and self._highest <= 1 + _TOLERANCE and not self._whole
        )
        sizes = ImageSizes(reading.images, "its coordinates are shares of the images' sizes")
        self._add_notes()
        if self._nowhere.faults:
            if self._images:
                next(iter(self._images.values())).faults[:0] = self._nowhere.faults
            else:
                self._images[""] = self._nowhere
        known_sizes = self._sizes if "image_width" in self._at or not self._box_sizes else {}
        for image, objects in self._images.items():
            listed = is_image_name(PureWindowsPath(image).name)  # knows both kinds of slashes
            stem = None if listed else image or self._path.stem
            size = known_sizes.get(image)
            if size is None and in_shares and len(objects):
                try:
                    size = sizes.size(image, stem, self._path)
                except RetinaJError as error:
                    if reading.images is None:
                        raise
                    objects.forget(str(error).removeprefix(f"{self._path}: "))
            made = objects.annotation(image, names, stem=stem, size=size, in_shares=in_shares)
            yield replace(made, boxes=replace(made.boxes, plane=self._planes(objects)))

    def _add_notes(self) -> None:
        objects = next(iter(self._images.values()), None)
        if objects is None:
            return
        if "label" not in self._at:
            objects.notes.append(f"has no column of classes: all objects are of the class {DEFAULT_CLASS!r}")
        if self._summaries:
            objects.notes.append(f"{self._summaries} rows with ImageJ's Mean, SD, Min and Max are no objects and left out")
        if self._columns.imagej and not self._whole:
            objects.notes.append(
                "ImageJ gives BX, BY, Width and Height in the unit of the image's scale; they are taken for pixels. If the "
                "image had a scale, remove it (Analyze > Set Scale...) and measure again, or save the ROIs instead"
            )

    def _note_size(self, image: str, cells: Sequence[str]) -> None:
        """Keep the image's size, if a column gives it."""
        keys = ("image_width", "image_height")
        if "image_width" not in self._at:
            if self._columns.shape != "corners":
                return
            keys = ("width", "height")  # of the image, or of the box: `_has_box_size` finds out
        texts = [self._cell(cells, key).strip() for key in keys]
        if all(text.isdecimal() and 0 < len(text) < 10 and int(text) for text in texts):
            self._sizes[image] = int(texts[0]), int(texts[1])

    def _has_box_size(self, cells: Sequence[str], corners: Sequence[float]) -> bool:
        if "image_width" in self._at or "width" not in self._at or "height" not in self._at:
            return False
        texts = [self._cell(cells, key) for key in ("width", "height")]
        extents = corners[2] - corners[0], corners[3] - corners[1]
        return all(
            text.strip() and abs(self._number(text, "") - extent) <= 1 for text, extent in zip(texts, extents, strict=True)
        )

    def _details(self, place: str, cells: Sequence[str]) -> ObjectDetails:
        flags = {key: self._cell(cells, key).strip().lower() in ("1", "true", "yes") for key in _FLAGS if key in self._at}
        name, group, colour = (self._cell(cells, key).strip() for key in ("name", "group", "colour"))
        if not (any(flags.values()) or name or group or colour):
            return NO_DETAILS
        details = ObjectDetails(
            name=clean_name(name, place),
            group=_whole(place, "group", group) if group else None,
            colour=_colour(place, colour) if colour else None,
        )
        return replace(details, **flags)

    def _class(self, place: str, text: str) -> str:
        name = clean_name(text, place)
        if not name:
            raise RetinaJError(f"{place} has no class in the column of classes.")
        self._classes[text] = name
        return name

    def _plane(self, place: str, cells: Sequence[str]) -> tuple[int, ...]:
        """(t, c, z) as in the table, -1 where nothing is said; empty if it says nothing at all."""
        if not self._at.keys() & {"t", "c", "z"}:
            return ()
        texts = [self._cell(cells, key).strip() for key in ("t", "c", "z")]
        if not any(texts):
            return ()
        plane = tuple(_whole(place, key, text) if text else -1 for key, text in zip(("t", "c", "z"), texts, strict=True))
        self._first_plane = [min(low, at) if at >= 0 else low for low, at in zip(self._first_plane, plane, strict=True)]
        return plane

    def _planes(self, objects: ObjectCollector) -> np.ndarray[tuple[int, int], np.dtype[np.int32]] | None:
        if not len(objects) or len(objects.planes) != 3 * len(objects):
            return None
        # ImageJ's lists count from 1 and have 0 for "all".
        from_one = [self._columns.roi_list or low > 0 for low in self._first_plane]
        planes = np.frombuffer(objects.planes, np.int32).reshape(-1, 3) - np.array(from_one, np.int32)
        return np.maximum(planes, 0).astype(np.int32)

    def _cell(self, cells: Sequence[str], key: str) -> str:
        at = self._at.get(key, -1)
        return cells[at] if 0 <= at < len(cells) else ""

    def _decimal(self, text: str) -> str:
        return text.replace(",", ".") if self._decimal_comma and text.count(",") == 1 else text

    def _number(self, text: str, what: str) -> float:
        return number(self._decimal(text), what)


def _corners(shape: str, a: float, b: float, c: float, d: float) -> tuple[float, float, float, float]:
    if shape == "corners":
        return a, b, c, d
    if shape == "corner and size":
        return a, b, a + c, b + d
    return a - c / 2, b - d / 2, a + c / 2, b + d / 2


def _whole(place: str, key: str, text: str) -> int:
    value = number(text, f"{place}: {key}")
    if value < 0 or value % 1:
        raise RetinaJError(f"{place}: {key} is {text[:40]!r}; expected a whole number from 0.")
    return int(value)


def _colour(place: str, text: str) -> RGB:
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError as error:
        raise RetinaJError(f"{place}: the colour is {text[:40]!r}; expected one such as #e69f00.") from error
    return red, green, blue
