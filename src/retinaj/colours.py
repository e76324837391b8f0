"""One colour per class, the same in overlays, ROI sets, the ROI Manager and reports."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import cache

RGB = tuple[int, int, int]

# Okabe and Ito's palette, told apart in every common colour blindness; without black, which no one sees on a
# dark field, and ordered so that the first three also differ most in lightness on stained and on fluorescent
# images.
_PALETTE: tuple[RGB, ...] = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (213, 94, 0),  # vermilion
    (204, 121, 167),  # reddish purple
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
)
_GOLDEN_RATIO = 0.618033988749895


def class_colour(label: int) -> RGB:
    """The colour (red, green, blue), each 0..255, of the class with this label.

    The first seven are Okabe and Ito's; others are spread over the colour circle.

    >>> class_colour(0), class_colour(1)
    ((230, 159, 0), (86, 180, 233))
    """
    if 0 <= label < len(_PALETTE):
        return _PALETTE[label]
    step = label - len(_PALETTE)
    red, green, blue = colorsys.hls_to_rgb((0.05 + step * _GOLDEN_RATIO) % 1, (0.45, 0.65, 0.55)[step % 3], 0.75)
    return round(red * 255), round(green * 255), round(blue * 255)


def class_colours(class_names: Sequence[str]) -> dict[str, RGB]:
    """The colour of each class by name, in the order of the labels.

    >>> class_colours(["RBC", "WBC"])
    {'RBC': (230, 159, 0), 'WBC': (86, 180, 233)}
    """
    return {name: class_colour(label) for label, name in enumerate(class_names)}


@cache
def all_class_colours() -> frozenset[RGB]:
    """The colours of the first thousand classes.

    >>> (230, 159, 0) in all_class_colours(), (1, 2, 3) in all_class_colours()
    (True, False)
    """
    return frozenset(map(class_colour, range(1000)))


def hex_colour(colour: RGB) -> str:
    """As HTML writes it.

    >>> hex_colour((230, 159, 0))
    '#e69f00'
    """
    return "#{:02x}{:02x}{:02x}".format(*colour)
