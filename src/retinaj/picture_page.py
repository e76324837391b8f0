"""Pictures with captions in rows on one page, and a legend of the classes below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from retinaj.colours import RGB
from retinaj.lettering import letters

_PAPER, _INK, _SOFT = (255, 255, 255), (28, 31, 35), (91, 99, 109)
_MOST_CLASSES = 12  # in the legend
_LONGEST_NAME = 40  # characters


@dataclass(frozen=True)
class Cell:
    """One picture.

    Attributes:
        picture: of any size.
        title: the first line below it.
        note: the second.
    """

    picture: Image.Image
    title: str
    note: str


@dataclass(frozen=True)
class PageLook:
    """How large everything is, in pixels.

    Attributes:
        cell: width of a picture; it is at most twice as high.
        gap: between pictures.
        columns: pictures side by side.
        title, note, legend: heights of letters.
    """

    cell: int
    gap: int
    columns: int
    title: int
    note: int
    legend: int

    @property
    def caption(self) -> int:
        """Height of the two lines below a picture."""
        return round((self.title + self.note) * 1.2) + 12


def draw_page(cells: Sequence[Cell], legend: Mapping[str, RGB], look: PageLook, *, heading: str = "") -> Image.Image:
    """The pictures in rows.

    Args:
        cells: one at least.
        legend: names of classes and their colours, the most important first: as many as fit into one line are shown.
        look: sizes.
        heading: a line above all.
    """
    fitted = [_fit(cell.picture, look.cell) for cell in cells]
    columns = min(look.columns, len(cells))
    rows = [fitted[at : at + columns] for at in range(0, len(fitted), columns)]
    heights = [max(picture.height for picture in row) + look.caption for row in rows]
    top = look.gap + (look.title * 2 if heading else 0)
    width = columns * (look.cell + look.gap) + look.gap
    page = Image.new("RGB", (width, top + sum(heights) + len(rows) * look.gap + look.caption), _PAPER)
    draw = ImageDraw.Draw(page)
    _write(draw, (look.gap, look.gap), heading, look.title, _INK, width - 2 * look.gap)
    for index, (row, height) in enumerate(zip(rows, heights, strict=True)):
        for column, picture in enumerate(row):
            left = look.gap + column * (look.cell + look.gap)
            cell = cells[index * columns + column]
            page.paste(picture, (left, top))
            below = top + picture.height + 6
            _write(draw, (left, below), cell.title, look.title, _INK, look.cell)
            _write(draw, (left, below + round(look.title * 1.2)), cell.note, look.note, _SOFT, look.cell)
        top += height + look.gap
    _draw_legend(draw, top, width, legend, look)
    return page


def _fit(picture: Image.Image, cell: int) -> Image.Image:
    size = (cell, max(1, round(picture.height * cell / picture.width)))
    if size[1] > 2 * cell:  # a tall strip: as high as two cells, and narrower
        size = (max(1, round(picture.width * 2 * cell / picture.height)), 2 * cell)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, colour: RGB, width: int) -> None:
    """One line, cut where `width` ends."""
    font = letters(size)
    whole = text
    while text and draw.textlength(f"{text}…" if text != whole else text, font=font) > width:
        text = text[: -1 - len(text) // 20]
    draw.text(place, text if text == whole else f"{text}…", fill=colour, font=font)


def _draw_legend(draw: ImageDraw.ImageDraw, top: int, width: int, legend: Mapping[str, RGB], look: PageLook) -> None:
    font = letters(look.legend)
    swatch = look.legend - 2
    left = look.gap
    for name, colour in list(legend.items())[:_MOST_CLASSES]:
        text = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        end = left + swatch + 14 + round(draw.textlength(text, font=font))
        if end > width - look.gap:
            break
        draw.rectangle((left, top + 6, left + swatch, top + 6 + swatch), fill=colour)
        draw.text((left + swatch + 10, top + 3), text, fill=_INK, font=font)
        left = end + look.gap
