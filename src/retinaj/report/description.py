"""The description of a data set: one HTML page that needs nothing but itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from markupsafe import Markup, escape

from retinaj.colours import class_colours, hex_colour
from retinaj.describing.brightness import read_plane
from retinaj.describing.description import Description, table_rows
from retinaj.describing.examples import Example
from retinaj.describing.objects import MERGED_IOU
from retinaj.describing.survey import Survey
from retinaj.files import write_text
from retinaj.prediction.overlay import to_rgb
from retinaj.report.description_figures import draw_all
from retinaj.report.examples import drawn_boxes, picture_address
from retinaj.report.templates import environment

_MOST_CLASSES = 100  # in the page's table
_MOST_SIZES = 6
_LONGEST_SIDE = 900  # of a picture in the page, in pixels


def write_description(path: Path, title: str, survey: Survey, examples: Sequence[Example]) -> None:
    """Write what is in a data set: hints, a table, figures, examples.

    Pictures and styles are inside the page; it loads nothing, runs no script, and prints.

    Args:
        path: the HTML file; it is written whole or not at all.
        title: above the page.
        survey: what was measured.
        examples: images to show with their boxes.

    Raises:
        RetinaJError: if an image cannot be read any more.
    """
    data = survey.description
    page = (
        environment()
        .get_template("description.html")
        .render(
            title=title,
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            version=version("retinaj"),
            data=data,
            rows=table_rows(data, _MOST_CLASSES),
            classes=data.classes[:_MOST_CLASSES],
            left_out=max(0, len(data.classes) - _MOST_CLASSES),
            colours={name: hex_colour(colour) for name, colour in class_colours(survey.dataset.class_names).items()},
            merged_iou=MERGED_IOU,
            facts=_facts(data),
            figures=[(Markup(svg), caption) for svg, caption in draw_all(survey)],  # noqa: S704  (drawn by us, text escaped)
            hints=[_with_code(hint) for hint in data.hints],
            examples=[_shown(example) for example in examples],
        )
    )
    write_text(path, page)


def _shown(example: Example) -> dict[str, object]:
    pixels, boxes = to_rgb(read_plane(example.sample)), example.sample.boxes
    return {
        "title": example.title,
        "name": example.sample.name,
        "url": picture_address(pixels, _LONGEST_SIDE),
        "size": (pixels.shape[1], pixels.shape[0]),
        "boxes": drawn_boxes(boxes, np.ones(len(boxes), np.bool_)),
    }


def _with_code(text: str) -> Markup:
    """What stands between backticks as code, the rest as it is."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  (escaped, right here)


def _facts(data: Description) -> list[tuple[str, str]]:
    """(name, value) pairs for people."""
    sizes = [
        f"{each.width} × {each.height}, {_channels(each.channels)}, {each.pixel_type}"
        + (f" ({each.images:,})" if len(data.sizes) > 1 else "")
        for each in data.sizes[:_MOST_SIZES]
    ]
    if len(data.sizes) > _MOST_SIZES:
        sizes.append(f"{len(data.sizes) - _MOST_SIZES} other kinds")
    anchors = data.anchors
    reduced = f", image averaged down by {anchors.downsampling}" if anchors.downsampling > 1 else ""
    return [
        ("Images", f"{data.images:,}, of which {data.empty_images:,} have no objects"),
        ("Sizes and pixel types", "; ".join(sizes)),
        (
            "Anchors for training",
            f"{anchors.per_cell} per cell from {anchors.base:g} strides, pyramid levels P{anchors.min_level} to "
            f"P{anchors.max_level}{reduced}: sides from {anchors.smallest:.0f} to {anchors.largest:.0f} pixels",
        ),
    ]


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"
