"""One page of example images with their boxes, as a picture: for a talk, a thesis, or a colleague."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from PIL import Image

from retinaj.colours import class_colours
from retinaj.describing.brightness import read_plane
from retinaj.describing.examples import Example
from retinaj.picture_page import Cell, PageLook, draw_page
from retinaj.prediction.overlay import draw_boxes, to_rgb

_LOOK = PageLook(cell=720, gap=24, columns=3, title=24, note=18, legend=22)


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
    cells: list[Cell] = []
    for example in examples:
        sample = example.sample
        picture = draw_boxes(to_rgb(read_plane(sample)), sample.boxes, legend=False, colours=colours)
        cells.append(Cell(picture, example.title, sample.name))
    counts = Counter(name for example in examples for name in example.sample.boxes.names)
    return draw_page(cells, {name: colours[name] for name, _ in counts.most_common()}, _LOOK)
