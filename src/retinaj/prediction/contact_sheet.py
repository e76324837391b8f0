"""The results of a folder at a glance: a thumbnail of each image with its boxes, on as few pages as it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from retinaj.boxes import Boxes
from retinaj.colours import class_colours
from retinaj.counting import counted
from retinaj.errors import RetinaJError
from retinaj.files import atomic_path
from retinaj.picture_page import Cell, PageLook, draw_page
from retinaj.prediction.overlay import busiest_plane

CONTACT_SHEET = "contact_sheet.png"

_LOOK = PageLook(cell=300, gap=16, columns=6, title=15, note=13, legend=17)
_PER_PAGE = 48
_MOST_PAGES = 20
# Thinner frames for boxes that would otherwise be all frame.
_THIN_BELOW = 12  # pixels of the thumbnail


@dataclass(frozen=True)
class Thumbnail:
    """One image's results.

    Attributes:
        name: of the image file.
        size: (width, height) of the image in pixels.
        overlay: its overlay picture, which has a legend below the image.
        boxes: what was found on it; with planes if it is a stack, of which the overlay shows the one with most boxes.
    """

    name: str
    size: tuple[int, int]
    overlay: Path
    boxes: Boxes


def write_contact_sheet(
    folder: Path,
    count: int,
    thumbnail: Callable[[int], Thumbnail],
    class_names: Sequence[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write contact_sheet.png and, for more than 48 images, contact_sheet_2.png and so on, replacing earlier ones.

    Of more than 960 images, 960 are shown, spread evenly; the pages say so.

    Args:
        folder: where to.
        count: how many images there are; without any, nothing is written.
        thumbnail: what to show of the image at an index; asked for one after the other, so that memory holds one page at most.
        class_names: of the model.
        progress: called as progress(thumbnails done, thumbnails in all) after each.

    Returns:
        The pages.

    Raises:
        RetinaJError: if an overlay picture cannot be read, or as `thumbnail`.
    """
    shown = min(count, _PER_PAGE * _MOST_PAGES)
    chosen = [at * count // shown for at in range(shown)]
    pages = [chosen[at : at + _PER_PAGE] for at in range(0, shown, _PER_PAGE)]
    colours = class_colours(class_names)
    written: list[Path] = []
    for number, page in enumerate(pages, 1):
        cells: list[Cell] = []
        counts = Counter[str]()
        for done, at in enumerate(page, 1 + _PER_PAGE * (number - 1)):
            each = thumbnail(at)
            counts.update(each.boxes.names)
            cells.append(_cell(each))
            if progress is not None:
                progress(done, shown)
        few = counted(count, "image") if shown == count else f"{shown:,} of {count:,} images"
        heading = few if len(pages) == 1 else f"{few}, page {number} of {len(pages)}"
        legend = {name: colours[name] for name, _ in counts.most_common()}
        path = folder / (CONTACT_SHEET if number == 1 else f"{Path(CONTACT_SHEET).stem}_{number}.png")
        with atomic_path(path) as temporary:
            draw_page(cells, legend, _LOOK, heading=heading).save(temporary, "PNG")
        written.append(path)
    return written


def _cell(thumbnail: Thumbnail) -> Cell:
    counts = Counter(thumbnail.boxes.names)
    plane = thumbnail.boxes
    note = ", ".join(f"{number:,} {name}" for name, number in counts.most_common()) or "nothing"
    if plane.plane is not None and len(plane):
        (t, z), plane = busiest_plane(plane)
        note = f"{note}; shown: t {t + 1}, z {z + 1}"
    return Cell(_picture(thumbnail, plane), thumbnail.name, note)


def _picture(thumbnail: Thumbnail, boxes: Boxes) -> Image.Image:
    """The overlay at the size of a thumbnail, with frames drawn anew: reduced, those of a large image would vanish."""
    width, height = thumbnail.size
    try:
        with Image.open(thumbnail.overlay, formats=["PNG"]) as overlay:
            bottom = min(overlay.height, round(height * overlay.width / width))
            scale = min(_LOOK.cell / width, 2 * _LOOK.cell / height)
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            picture = overlay.convert("RGB").resize(size, Image.Resampling.BOX, box=(0, 0, overlay.width, bottom))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise RetinaJError(f"{thumbnail.overlay} cannot be read for the contact sheet: {error}.") from error
    draw = ImageDraw.Draw(picture)
    colours = class_colours(boxes.class_names)
    for corners, name in zip((boxes.xyxy * scale).tolist(), boxes.names, strict=True):
        x_min, y_min, x_max, y_max = corners
        line = 1 if min(x_max - x_min, y_max - y_min) < _THIN_BELOW else 2
        draw.rectangle((x_min, y_min, max(x_min, x_max - 1), max(y_min, y_max - 1)), outline=colours[name], width=line)
    return picture
