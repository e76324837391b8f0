"""How figures of reports are drawn: as SVG that takes the colours and the font of the page it is put into."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from retinaj.colours import class_colour, hex_colour

# Stand for the page's own colours while Matplotlib draws: unlikely enough to be replaced in its output.
TEXT, _LINE = "#010203", "#040506"
BLUE, ORANGE = hex_colour(class_colour(6)), hex_colour(class_colour(3))
PANEL = (4.4, 3.1)  # inches


@contextmanager
def figure_for(name: str, size: tuple[float, float] = PANEL) -> Generator[tuple[Figure, Callable[[str], str]]]:
    """A figure, and the function that turns it into SVG with a description for screen readers."""
    style: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text, in the page's font
        "svg.hashsalt": name,  # the same figure gives the same ids, two figures in a page never share one
        "font.size": 9.5,
        "text.color": TEXT,
        "axes.labelcolor": TEXT,
        "axes.edgecolor": TEXT,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": _LINE,
        "grid.linewidth": 0.6,
        "xtick.color": TEXT,
        "ytick.color": TEXT,
        "lines.linewidth": 1.8,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=size)
        yield figure, lambda description: _svg(figure, description)


def axes_of(figure: Figure, x: str, y: str) -> Axes:
    """Axes with these labels, over the whole figure."""
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y)
    axes.set_axisbelow(True)
    return axes


def _svg(figure: Figure, description: str) -> str:
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace("<svg", f'<svg class="figure" role="img" aria-label="{_attribute(description)}"', 1)
    # Names of groups would be there once per figure; only what is referred to needs one, and has one that is its own.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    # Matplotlib's list of fonts would replace the page's font.
    svg = re.sub(r"font: ([^;\"]*?px) [^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    return svg.replace(TEXT, "currentColor").replace(_LINE, "var(--line)")


def plain(name: str) -> str:
    """A class name as it is: Matplotlib takes $...$ as a formula, and hides labels that begin with an underscore."""
    name = name.replace("$", r"\$")
    return f"\u200b{name}" if name.startswith("_") else name


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
