"""The page of a study of settings: what was tried, what came of it, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from markupsafe import Markup

from retinaj.durations import duration
from retinaj.files import write_text
from retinaj.percents import percent
from retinaj.report.templates import environment
from retinaj.report.tuning_figures import draw_curves, draw_importance, draw_parameter, draw_progress
from retinaj.tuning.conclusion import FEWEST_FOR_IMPORTANCE, conclusion
from retinaj.tuning.results import StudyResults, TrialResult
from retinaj.tuning.space import described, value_text


def write_study_page(path: Path, results: StudyResults, command: str, *, has_model: bool) -> None:
    """Write the page of a study as far as it has come.

    Figures and styles are inside the page; it loads nothing, runs no script, and prints.

    Args:
        path: the HTML file; it is written whole or not at all.
        results: what came of the trials.
        command: that trains with the best trial's settings.
        has_model: whether the best trial's model lies beside the page.
    """
    plan = results.plan
    page = (
        environment()
        .get_template("tuning.html")
        .render(
            title=plan.name,
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            version=version("retinaj"),
            plan=plan,
            results=results,
            time=duration(results.seconds),
            trial_time=f"{plan.settings.minutes:g} minute{'s' * (plan.settings.minutes != 1)}",
            sentence=conclusion(results),
            changes=[
                (each, *map(value_text, results.best_values()[each.name]))
                for each in plan.parameters
                if each.name in results.best_values()
            ],
            command=command,
            has_model=has_model,
            progress=_drawn(draw_progress(results)),
            curves=_drawn(draw_curves(results)),
            parameters=[
                (each, value_text(each.default(plan.settings)), _drawn(draw_parameter(results, each)))
                for each in plan.parameters
            ],
            importance=_drawn(draw_importance(results)),
            fewest_for_importance=FEWEST_FOR_IMPORTANCE,
            rows=[_row(results, trial) for trial in _sorted(results.trials)],
        )
    )
    write_text(path, page)


def _drawn(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704  (drawn by us from numbers and names of settings)


def _sorted(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """Finished ones first, by AP; then the others, by how far they came."""
    return sorted(trials, key=lambda each: (each.state != "finished", each.state == "failed", -(each.ap or 0.0), each.number))


def _row(results: StudyResults, trial: TrialResult) -> dict[str, object]:
    best, plan = results.best, results.plan
    values = trial.values
    state: str = trial.state
    if trial.state in ("stopped early", "unfinished"):
        state = f"{trial.state}, {percent(trial.notes.share)} done"
    elif trial.state == "failed":
        state = f"failed: {trial.notes.reason}"
    return {
        "number": trial.number,
        "ap": trial.ap,
        "ap50": trial.notes.ap50,
        "values": [value_text(values[each.name]) if each.name in values else "–" for each in plan.parameters],
        "different": [values.get(each.name) != each.default(plan.settings) for each in plan.parameters],
        "time": duration(trial.notes.seconds),
        "state": state,
        "best": best is not None and best.number == trial.number,
        "default": results.is_default(trial),
        "tries": described(plan.parameters, plan.settings, values),
    }
