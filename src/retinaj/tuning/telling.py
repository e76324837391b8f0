"""A study as the user watches it: what is searched, a line for each trial, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from statistics import fmean

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from retinaj.counting import counted
from retinaj.durations import duration
from retinaj.percents import percent
from retinaj.training.console import tell
from retinaj.tuning.conclusion import conclusion
from retinaj.tuning.plan import StudyPlan
from retinaj.tuning.results import StudyResults, TrialNotes, TrialResult
from retinaj.tuning.space import Values, described, value_text

_OVERTIME = 1.25  # times the minutes of a trial, which are planned with and never kept to exactly


def tell_plan(console: Console, plan: StudyPlan, results: StudyResults) -> None:
    """What will be done, and how long it will take at most."""
    if results.ended:
        tell(console, f"Going on with the study: {len(results.ended)} of {plan.trials} trials are done.")
    tell(console, f"Searching {counted(len(plan.parameters), 'setting')}; everything else is the same for all trials:")
    for each in plan.parameters:
        usual = value_text(each.default(plan.settings))
        tell(console, f"  {each.option}: {each.range(plan.settings).words} (default {usual})")
    minutes = plan.settings.minutes
    tell(
        console,
        f"{counted(results.left, 'trial')} of about {minutes:g} minute{'s' * (minutes != 1)} each: about "
        f"{duration(60 * minutes * results.left)}, and less where a trial is behind and is stopped early. Each is judged by "
        f"its AP@.5:.95 on the same {counted(len(plan.used.validation), 'validation image')}; the first has the defaults. "
        "Ctrl-C stops; the same command with --resume goes on.",
    )


@contextmanager
def watched_trial(
    console: Console, results: StudyResults, number: int, values: Values
) -> Generator[Callable[[TrialNotes], None]]:
    """A bar for a trial, on a terminal; yields what to call after each of its epochs."""
    plan = results.plan
    tries = described(plan.parameters, plan.settings, values)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        name = f"trial {number}/{plan.trials}: {tries}"
        task = bar.add_task(name, total=None)

        def after_epoch(notes: TrialNotes) -> None:
            ap = notes.ap or 0.0
            bar.update(task, total=notes.epochs, completed=notes.curve[-1].epoch, description=f"{name}; AP@.5:.95 {ap:.3f}")

        yield after_epoch


def tell_trial(console: Console, results: StudyResults, trial: TrialResult) -> None:
    """A trial is over."""
    plan, best, notes = results.plan, results.best, trial.notes
    tries = described(plan.parameters, plan.settings, trial.values)
    result = "" if trial.ap is None else f"  AP@.5:.95 {trial.ap:.3f}"
    if best is not None and best.number == trial.number and len(results.ended) > 1:
        result += " (best)"
    how = {
        "stopped early": f"  stopped after {percent(notes.share)}, behind",
        "failed": f"  failed: {notes.reason}",
    }
    parts = [f"{tries}{how.get(trial.state, '')}", duration(notes.seconds)]
    if best is not None and best.number != trial.number:
        parts.append(f"best {best.ap:.3f} (trial {best.number})")
    if results.left:
        parts.append(f"about {duration(seconds_left(results))} left")
    tell(console, f"trial {trial.number}/{plan.trials}{result}  {'; '.join(parts)}")
    if trial.number == 1 and notes.curve and notes.curve[-1].seconds > _OVERTIME * 60 * plan.settings.minutes:
        tell(
            console,
            f"Note: the {counted(notes.epochs, 'epoch')} of a trial take {duration(notes.curve[-1].seconds)}; fewer are not "
            "worth it, so that all trials take longer than asked for. A lower --windows-per-epoch makes shorter ones.",
        )


def seconds_left(results: StudyResults) -> float:
    """How long the other trials will take, by those that are over."""
    each = fmean(trial.notes.seconds for trial in results.ended) if results.ended else 60 * results.plan.settings.minutes
    return each * results.left


def tell_end(console: Console, results: StudyResults, command: str) -> None:
    """What was found, and the command that trains with it."""
    tell(console, conclusion(results))
    if results.best is None:
        return
    if pairs := results.best_values():
        table = Table("setting", "default", "best", box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
        for each in results.plan.parameters:
            if each.name in pairs:
                table.add_row(each.option, *map(value_text, pairs[each.name]))
        console.print(table)
    tell(console, "To train longer with these settings:")
    tell(console, f"  {command}")
