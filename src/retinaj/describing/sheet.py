"""One page of example images with their boxes, as a picture: for a talk, a thesis, or a colleague."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from retinaj.boxes import Boxes
from retinaj.colours import class_colours
from retinaj.describing.brightness import read_plane
from retinaj.describing.examples import Example
from retinaj.prediction.overlay import draw_boxes, to_rgb

_CELL = 720  # pixels
_GAP = 24
_CAPTION = 62
_COLUMNS = 3
_PAPER, _INK, _SOFT = (255, 255, 255), (28, 31, 35), (91, 99, 109)
_MOST_CLASSES = 12  # in the legend


def draw_sheet(examples: Sequence[Example], class_names: Sequence[str]) -> Image.Image:
    """The examples in rows of three, each with the reason why it was chosen, and a legend of the classes.

    Args:
        examples: one at least.
        class_names: of the data set.

    Returns:
        An RGB picture, 2,256 pixels wide (less for fewer than three examples).

    Raises:
        RetinaJError: if an image cannot be read.
    """
    colours = class_colours(class_names)
    cells = [_fit(draw_boxes(to_rgb(read_plane(e.sample)), e.sample.boxes, legend=False, colours=colours)) for e in examples]
    columns = min(_COLUMNS, len(cells))
    rows = [cells[at : at + columns] for at in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) + _CAPTION for row in rows]
    size = (columns * (_CELL + _GAP) + _GAP, sum(heights) + (len(rows) + 1) * _GAP + _CAPTION)
    page = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(page)
    top = _GAP
    for index, (row, height) in enumerate(zip(rows, heights, strict=True)):
        for column, cell in enumerate(row):
            left = _GAP + column * (_CELL + _GAP)
            example = examples[index * columns + column]
            page.paste(cell, (left, top))
            below = top + cell.height + 6
            _write(draw, (left, below), example.title, 24, _INK)
            _write(draw, (left, below + 29), example.sample.name, 18, _SOFT)
        top += height + _GAP
    _draw_legend(draw, top, size[0], [example.sample.boxes for example in examples], class_names)
    return page


def _fit(picture: Image.Image) -> Image.Image:
    scale = _CELL / picture.width
    size = (_CELL, max(1, round(picture.height * scale)))
    if size[1] > 2 * _CELL:  # a tall strip: as high as two cells, and narrower
        size = (max(1, round(picture.width * 2 * _CELL / picture.height)), 2 * _CELL)
    return picture.resize(size, Image.Resampling.LANCZOS)


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, colour: tuple[int, int, int]) -> None:
    """One line, cut where the cell ends."""
    font = ImageFont.load_default(size)
    whole = text
    while text and draw.textlength(f"{text}…" if text != whole else text, font=font) > _CELL:
        text = text[: -1 - len(text) // 20]
    draw.text(place, text if text == whole else f"{text}…", fill=colour, font=font)


def _draw_legend(draw: ImageDraw.ImageDraw, top: int, width: int, boxes: Sequence[Boxes], class_names: Sequence[str]) -> None:
    """The colours of the classes that are on the page, most boxes first, as far as one line has room."""
    counts = Counter(name for each in boxes for name in each.names)
    colours = class_colours(class_names)
    font = ImageFont.load_default(22)
    left = _GAP
    for name, _ in counts.most_common(_MOST_CLASSES):
        text = name if len(name) <= 40 else f"{name[:39]}…"
        end = left + 34 + round(draw.textlength(text, font=font))
        if end > width - _GAP:
            break
        draw.rectangle((left, top + 6, left + 20, top + 26), fill=colours[name])
        draw.text((left + 30, top + 3), text, fill=_INK, font=font)
        left = end + _GAP
