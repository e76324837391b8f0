"""The figures of the page of a study of settings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from retinaj.report.drawing import BLUE, ORANGE, TEXT, axes_of, figure_for
from retinaj.tuning.results import StudyResults, TrialResult
from retinaj.tuning.space import Choices, Parameter, value_text

_AP = "AP@.5:.95, validation"
_SMALL = (3.1, 2.3)  # inches
_FAINT = 0.35
_STEP = 0.12  # between dots of the same choice, of the distance between two choices
_MOST_BESIDE = 5
_NARROWEST = 0.02  # of AP


def draw_progress(results: StudyResults) -> str:
    """AP of each trial over the time of the study, and the best of the finished ones so far."""
    with figure_for("study-progress", (6.4, 3.1)) as (figure, finish):
        axes = axes_of(figure, "Hours of training", _AP)
        ends = list(accumulate(each.notes.seconds / 3600 for each in results.trials))
        points = list(zip(ends, results.trials, strict=True))
        _dots(axes, [(end, each) for end, each in points if each.ap is not None], results)
        done = [(end, each.ap or 0.0) for end, each in points if each.state == "finished"]
        if done:
            hours, aps = zip(*done, strict=True)
            best = list(accumulate(aps, max))
            last = max(ends)
            axes.plot([*hours, last], [*best, best[-1]], drawstyle="steps-post", color=BLUE, label="best so far", zorder=1)
        axes.set_xlim(0, 1.04 * max([*ends, 1e-3]))
        _legend(axes)
        return finish("AP of each trial over the time of the study, with the best so far")


def draw_curves(results: StudyResults) -> str:
    """AP after each epoch of each trial; those that were stopped are faint."""
    with figure_for("study-curves", (6.4, 3.1)) as (figure, finish):
        axes = axes_of(figure, "Share of the trial's epochs, %", _AP)
        named: set[str] = set()
        for each in results.trials:
            points = each.notes.curve
            if not points:
                continue
            kind, colour, width, order = _kind(each, results)
            faint = each.state != "finished"
            epochs = max(each.notes.epochs, 1)
            axes.plot(
                [100 * point.epoch / epochs for point in points],
                [point.ap for point in points],
                color=colour,
                linewidth=width,
                alpha=_FAINT if faint or width < 1.5 else 1.0,
                linestyle="--" if faint else "-",
                marker="o" if len(points) == 1 else "",
                markersize=3,
                label=None if kind in named else kind,
                zorder=order,
            )
            named.add(kind)
        axes.set_xlim(0, 101)
        _legend(axes)
        return finish("AP after each epoch of each trial")


def draw_parameter(results: StudyResults, parameter: Parameter) -> str:
    """AP over the values of one setting, a dot for each trial."""
    where = parameter.range(results.plan.settings)
    with figure_for(f"study-{parameter.name}", _SMALL) as (figure, finish):
        axes = axes_of(figure, parameter.option, "AP@.5:.95")
        shown = [each for each in results.trials if each.ap is not None and parameter.name in each.values]
        if isinstance(where, Choices):
            places = _beside_each_other([where.values.index(each.values[parameter.name]) for each in shown])
            axes.set_xticks(range(len(where.values)), [value_text(value) for value in where.values])
            axes.set_xlim(-0.5, len(where.values) - 0.5)
            axes.grid(visible=False, axis="x")
        else:
            places = [float(each.values[parameter.name]) for each in shown]
            if where.logarithmic:
                axes.set_xscale("log")
                axes.set_xlim(where.low / 1.15, where.high * 1.15)
                axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axes.xaxis.set_minor_formatter(NullFormatter())
            else:
                margin = 0.05 * (where.high - where.low)
                axes.set_xlim(where.low - margin, where.high + margin)
        # Those that were stopped would have become better: they stand at the lower edge, and do not press others together.
        lowest, highest = _range([each.ap or 0.0 for each in results.having("finished")] or [each.ap or 0.0 for each in shown])
        _dots(axes, list(zip(places, shown, strict=True)), results, floor=lowest)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_ylim(lowest - 0.06 * (highest - lowest), highest)
        return finish(f"AP of each trial over its {parameter.option}")


def draw_importance(results: StudyResults) -> str:
    """A bar for each setting; "" where too few trials have finished to tell."""
    if results.importance is None:
        return ""
    shares = {each.option: results.importance.get(each.name, 0.0) for each in results.plan.parameters}
    shares = dict(sorted(shares.items(), key=lambda item: -item[1]))
    with figure_for("study-importance", (4.4, 0.7 + 0.27 * len(shares))) as (figure, finish):
        axes = axes_of(figure, "Share, %", "")
        bars = axes.barh(list(shares), [100 * share for share in shares.values()], color=BLUE, height=0.65)
        axes.bar_label(bars, [f"{100 * share:.0f}" for share in shares.values()], padding=3)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 115 * max([*shares.values(), 0.01]))
        return finish("How much each setting tells the best trials from all")


def _kind(trial: TrialResult, results: StudyResults) -> tuple[str, str, float, int]:
    """(its name in the legend, colour, width of its line, order) of a trial in all figures."""
    if results.best is not None and trial.number == results.best.number:
        return "best", ORANGE, 2.2, 5
    if results.is_default(trial):
        return "defaults", BLUE, 2.2, 4
    if trial.state == "finished":
        return "finished", TEXT, 1.0, 3
    return "stopped, failed or unfinished", TEXT, 0.9, 2


def _range(aps: Sequence[float]) -> tuple[float, float]:
    """Bounds a little wider than these, and never so narrow that chance looks like a trend."""
    if not aps:
        return 0.0, 1.0
    middle, half = (max(aps) + min(aps)) / 2, max((max(aps) - min(aps)) / 2, _NARROWEST / 2)
    return middle - 1.15 * half, middle + 1.15 * half


def _dots(axes: Axes, points: Sequence[tuple[float, TrialResult]], results: StudyResults, floor: float = 0.0) -> None:
    """A dot for each trial; all figures have the same kinds."""
    groups: dict[str, list[tuple[float, TrialResult]]] = {}
    for place, trial in points:
        groups.setdefault(_kind(trial, results)[0], []).append((place, trial))
    for kind, members in groups.items():
        _, colour, _, order = _kind(members[0][1], results)
        open_ring = kind.startswith("stopped")
        axes.plot(
            [place for place, _ in members],
            [max(trial.ap or 0.0, floor) for _, trial in members],
            linestyle="",
            marker={"best": "*", "defaults": "D"}.get(kind, "o"),
            markersize={"best": 11, "defaults": 6}.get(kind, 4.5),
            color=colour,
            markerfacecolor="none" if open_ring else colour,
            markeredgewidth=0.8 if open_ring else 0,
            alpha=0.6 if kind == "finished" or open_ring else 1.0,
            label=kind,
            zorder=order,
        )


def _legend(axes: Axes) -> None:
    if axes.lines:
        axes.legend(loc="best", fontsize=8.5)


def _beside_each_other(places: Sequence[int]) -> list[float]:
    """Dots of the same choice a little apart, in the order of the trials.

    >>> [round(place, 2) for place in _beside_each_other([0, 1, 0])]
    [-0.06, 1.0, 0.06]
    """
    shifted = np.zeros(len(places))
    for choice in set(places):
        own = [index for index, place in enumerate(places) if place == choice]
        columns = min(len(own), _MOST_BESIDE)
        for rank, index in enumerate(own):
            shifted[index] = choice + _STEP * (rank % columns - (columns - 1) / 2)
    return [float(place) for place in shifted]
