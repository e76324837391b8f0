"""The figures of the description of a data set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from retinaj.colours import class_colour, hex_colour
from retinaj.describing.brightness import Brightness
from retinaj.describing.description import ClassDescription, Description
from retinaj.describing.objects import MERGED_IOU, Objects
from retinaj.describing.survey import Survey
from retinaj.report.drawing import BLUE, ORANGE, PANEL, TEXT, axes_of, figure_for, plain

_MOST_BARS, _MOST_LINES = 12, 6  # classes in a figure
_MOST_DOTS = 2500
_CHANNEL_COLOURS = {"red": "#d55e00", "green": "#009e73", "blue": "#0072b2", "grey": TEXT}


def draw_all(survey: Survey) -> list[tuple[str, str]]:
    """(SVG, caption) of each figure that has something to show."""
    description, objects = survey.description, survey.objects
    shown = description.classes[:_MOST_BARS]
    labels = [survey.dataset.class_names.index(each.name) for each in shown]
    few, few_labels = shown[:_MOST_LINES], labels[:_MOST_LINES]
    most = "" if len(description.classes) <= len(few) else f" The {len(few)} classes with most objects are shown."
    bars = "" if len(description.classes) <= len(shown) else f" The {len(shown)} with most are shown."
    figures = [(_draw_classes(shown, labels), f"Objects of each class.{bars}")] if len(shown) > 1 else []
    figures += [
        (_draw_per_image(objects, description.images), "How many objects an image has."),
        (
            _draw_sizes(objects, few, few_labels),
            f"Width and height of the boxes, a dot for each{_dots(objects)}; squares lie on the line.{most}",
        ),
        (
            _draw_aspects(objects, few, few_labels),
            f"How long boxes are: 1 is as wide as high, 2 twice as wide as high, ½ twice as high as wide.{most}",
        ),
        (
            _draw_coverage(shown, description),
            "Share of the boxes that some anchor meets (IoU ≥ .5). What no anchor meets is hard to learn.",
        ),
    ]
    if (objects.neighbour > 0).any():
        figures.append(
            (
                _draw_crowding(objects, few, few_labels),
                f"How much objects overlap: share of the boxes whose nearest neighbour overlaps them more than so much. Right "
                f"of the line (IoU {MERGED_IOU:g}), of two detections of one class one is dropped.{most}",
            )
        )
    if survey.brightness:
        figures.append(
            (
                _draw_brightness(survey.brightness),
                "How bright the images are: the median pixel of each (line), and the values that 1 % of its pixels are below "
                "and above (band), each sorted by itself. A flat band means images that are alike.",
            )
        )
    return figures


def _dots(objects: Objects) -> str:
    count = len(objects.label)
    return f" of {_MOST_DOTS:,} out of {count:,}" if count > _MOST_DOTS else ""


def _draw_classes(shown: Sequence[ClassDescription], labels: Sequence[int]) -> str:
    with figure_for("description-classes", _height_for(len(shown))) as (figure, finish):
        axes = axes_of(figure, "Objects", "")
        bars = axes.barh(
            [plain(_short(each.name)) for each in shown],
            [each.objects for each in shown],
            color=[hex_colour(class_colour(label)) for label in labels],
            height=0.65,
        )
        axes.bar_label(bars, [f"{each.objects:,}" for each in shown], padding=3)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 1.18 * max(each.objects for each in shown))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        return finish("Objects of each class")


def _draw_per_image(objects: Objects, images: int) -> str:
    counts = objects.per_image(images)
    with figure_for("description-per-image") as (figure, finish):
        axes = axes_of(figure, "Objects in an image", "Images")
        step = max(1, -(-int(counts.max() + 1) // 30))
        axes.hist(counts, bins=np.arange(-0.5, counts.max() + step + 0.5, step).tolist(), color=BLUE, rwidth=0.9)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6, integer=True))
        return finish("Histogram of the number of objects in an image")


def _draw_sizes(objects: Objects, shown: Sequence[ClassDescription], labels: Sequence[int]) -> str:
    with figure_for("description-sizes") as (figure, finish):
        axes = axes_of(figure, "Width of the box, pixels", "Height of the box, pixels")
        every = np.unique(np.linspace(0, len(objects.label) - 1, min(len(objects.label), _MOST_DOTS)).round().astype(np.int64))
        for each, label in zip(shown, labels, strict=True):
            # Of a rare class all are drawn, within the same number of dots.
            own = np.flatnonzero(objects.label == label)
            own = own if len(own) <= _MOST_DOTS // (2 * len(shown)) else np.intersect1d(own, every)
            colour = hex_colour(class_colour(label))
            axes.plot(
                objects.width[own], objects.height[own], "o", color=colour, alpha=0.5, markersize=3, mew=0, label=_legend(each)
            )
        ends = [float(min(objects.width.min(), objects.height.min())), float(max(objects.width.max(), objects.height.max()))]
        axes.plot(ends, ends, color=TEXT, linewidth=0.8, zorder=0)
        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:g}"[0] in "25" else ""))
        axes.legend(loc="upper left", markerscale=2)
        return finish("Width and height of the boxes of each class")


def _draw_aspects(objects: Objects, shown: Sequence[ClassDescription], labels: Sequence[int]) -> str:
    with figure_for("description-aspects") as (figure, finish):
        axes = axes_of(figure, "Width / height of the box", "Share of the class's boxes")
        bins = np.exp2(np.linspace(-3, 3, 49))
        for each, label in zip(shown, labels, strict=True):
            own = objects.label == label
            aspect = np.clip(objects.width[own] / objects.height[own], bins[0], bins[-1])
            share = np.histogram(aspect, bins)[0] / own.sum()
            axes.stairs(share, bins, color=hex_colour(class_colour(label)), linewidth=1.8, label=_legend(each))
        axes.set_xscale("log", base=2)
        axes.set_xticks([1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8], ["⅛", "¼", "½", "1", "2", "4", "8"])
        axes.yaxis.set_major_formatter(FuncFormatter(_percents))
        axes.set_ylim(0, None)
        axes.legend(loc="upper left")
        return finish("Histogram of the boxes' width divided by their height, for each class")


def _draw_coverage(shown: Sequence[ClassDescription], description: Description) -> str:
    rows = [description.overall, *shown] if len(shown) > 1 else list(shown)
    with figure_for("description-coverage", _height_for(2 * len(rows))) as (figure, finish):
        axes = axes_of(figure, "Share of the boxes that an anchor meets", "")
        at = np.arange(len(rows))
        for offset, values, colour, label in (
            (-0.19, [each.covered for each in rows], BLUE, "anchors that retinaj train would choose"),
            (0.19, [each.covered_by_usual for each in rows], ORANGE, "usual anchors of a RetinaNet"),
        ):
            bars = axes.barh(at + offset, values, height=0.34, color=colour, label=label)
            axes.bar_label(bars, [f"{100 * value:.1f} %" for value in values], padding=3, fontsize=8)
        axes.set_yticks(at.tolist(), [plain(_short(each.name)) for each in rows])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 1.18)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], [_percents(value) for value in (0, 0.25, 0.5, 0.75, 1)])
        figure.legend(loc="outside upper left", fontsize=8.5)
        return finish("Share of the boxes of each class that the anchors cover")


def _draw_crowding(objects: Objects, shown: Sequence[ClassDescription], labels: Sequence[int]) -> str:
    with figure_for("description-crowding") as (figure, finish):
        axes = axes_of(figure, "Overlap with the nearest neighbour (IoU)", "Share of the class's boxes")
        thresholds = np.linspace(0, 1, 101)
        for each, label in zip(shown, labels, strict=True):
            own: NDArray[np.float32] = np.sort(objects.neighbour[(objects.label == label) & ~np.isnan(objects.neighbour)])
            above = 1 - np.searchsorted(own, thresholds, side="right") / max(len(own), 1)
            axes.plot(thresholds, above, color=hex_colour(class_colour(label)), label=_legend(each))
        axes.axvline(MERGED_IOU, color=TEXT, linewidth=0.8)
        axes.set(xlim=(0, 1), ylim=(0, None))
        axes.yaxis.set_major_formatter(FuncFormatter(_percents))
        axes.legend(loc="upper right")
        return finish("Share of boxes whose nearest neighbour overlaps them more than a threshold, for each class")


def _draw_brightness(measured: Sequence[Brightness]) -> str:
    with figure_for("description-brightness") as (figure, finish):
        axes = axes_of(figure, "Images, the darkest first", "Pixel value")
        names = list(dict.fromkeys(name for each in measured for name in each.channels))[:5]
        for index, name in enumerate(names):
            values = np.array(
                [
                    (each.low[at], each.median[at], each.high[at])
                    for each in measured
                    if name in each.channels
                    for at in [each.channels.index(name)]
                ]
            )
            low, median, high = np.sort(values, axis=0).T
            colour = _CHANNEL_COLOURS.get(name, hex_colour(class_colour(index)))
            place = np.arange(1, len(values) + 1)
            axes.fill_between(place, low, high, color=colour, alpha=0.18, linewidth=0, step="mid")
            axes.plot(place, median, color=colour, label=name, marker="o" if len(values) < 30 else "", markersize=3)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if len(names) > 1:
            axes.legend(loc="best")
        return finish("Range of pixel values of each image and channel")


def _percents(value: float, _: object = None) -> str:
    return f"{100 * value:g} %"


def _height_for(bars: int) -> tuple[float, float]:
    """Figures of bars are as high as the others, or higher where there are many."""
    return PANEL[0], max(PANEL[1], 0.9 + 0.24 * bars)


def _legend(each: ClassDescription) -> str:
    return plain(_short(each.name))


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"
