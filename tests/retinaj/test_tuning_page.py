"""The page of a study, and its conclusion in words."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from defusedxml.ElementTree import fromstring

from retinaj.report.tuning import write_study_page
from retinaj.training.run_folder import UsedImages
from retinaj.training.settings import TrainingSettings
from retinaj.tuning.conclusion import conclusion
from retinaj.tuning.plan import StudyPlan
from retinaj.tuning.results import CurvePoint, State, StudyResults, TrialNotes, TrialResult
from retinaj.tuning.space import SPACE, Value

SETTINGS = TrainingSettings(preset="laptop", minutes=10, pyramid_width=64)
DEFAULTS: dict[str, Value] = {each.name: each.default(SETTINGS) for each in SPACE}
COMMAND = "retinaj train 'my <images>' annotations --output MODEL --batch-size 8"


def trial(number: int, state: State, ap: float, *, epochs: int = 10, reason: str = "", **values: Value) -> TrialResult:
    points = tuple(CurvePoint(epoch=at, seconds=60.0 * at, ap=ap * at / epochs) for at in range(1, epochs + 1))
    notes = TrialNotes(curve=points, epochs=10, seconds=620, ap50=ap if state == "finished" else None, reason=reason)
    return TrialResult(number, state, {**DEFAULTS, **values}, notes.ap, notes)


@pytest.fixture
def results() -> StudyResults:
    plan = StudyPlan(
        name="Tom & <Jerry>",
        identity="0" * 32,
        retinaj="0.1.0",
        started="2026-01-02T03:04:05+00:00",
        images="my <images>",
        annotations="annotations",
        used=UsedImages(training=("a", "b"), validation=("c",), boxes_sha256="0" * 64),
        settings=SETTINGS,
        searched=tuple(each.name for each in SPACE),
        trials=8,
    )
    trials = (
        trial(1, "finished", 0.5),
        trial(2, "finished", 0.62, batch_size=8, class_loss="quality", learning_rate=0.00123),
        trial(3, "stopped early", 0.2, epochs=5, mosaic=0.5, pyramid_width=32),
        trial(4, "failed", 0.1, epochs=1, reason="The loss <script>became</script> nan.", scale=2.0),
        trial(5, "finished", 0.55, contrast=0.7, box_weight=5.0),
        trial(6, "unfinished", 0.3, epochs=4, mosaic=0.8),
    )
    return StudyResults(plan, trials)


def page_of(results: StudyResults, tmp_path: Path, *, has_model: bool = True) -> str:
    path = tmp_path / "report.html"
    write_study_page(path, results, COMMAND, has_model=has_model)
    return path.read_text(encoding="utf-8")


def test_the_page_says_what_came_of_all_trials(results: StudyResults, tmp_path: Path) -> None:
    page = page_of(results, tmp_path)
    for words in (
        "<h1>Tom &amp; &lt;Jerry&gt;</h1>", "<b>0.620</b>", "<b>+0.120</b>", "with the defaults (0.500)", "<b>5 of 8</b>",
        "3 finished, 1 stopped early, 1 failed", "<b>1 h 2 min</b>", "about 10 minutes for each trial",
        "stopped early, 50 % done", "unfinished, 40 % done", "The loss &lt;script&gt;became&lt;/script&gt; nan.",
        "retinaj train &#39;my &lt;images&gt;&#39; annotations", "from 12 finished trials on; there are 3",
        "in the folder “model” beside this page",
    ):  # fmt: skip
        assert words in page, words
    rows = re.findall(r"<tr[^>]*><td>(\d+)", page.partition("<h2>All trials</h2>")[2])
    assert rows == ["2", "5", "1", "6", "3", "4"]
    changed = page.partition("<th style")[2].partition("</table>")[0]
    assert re.findall(r"<td>([a-z -]+)</td><td>(\S+)</td><td><b>(\S+)</b>", changed) == [
        ("learning-rate", "0.001", "0.00123"), ("batch-size", "4", "8"), ("class-loss", "focal", "quality"),
    ]  # fmt: skip
    for each in SPACE:
        assert f"<b>{each.option}</b>" in page
        assert each.reason in page.replace("&#39;", "'")


def test_the_page_needs_nothing_but_itself(results: StudyResults, tmp_path: Path) -> None:
    page = page_of(replace(results, importance={each.name: 1 / len(SPACE) for each in SPACE}), tmp_path)
    assert "<script" not in page
    assert not re.findall(r"(?:href|src)=\"(?!#|data:)", page)
    figures = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(figures) == 2 + len(SPACE) + 1
    ids: list[str] = []
    for figure in figures:
        fromstring(figure)
        ids += re.findall(r' id="([^"]+)"', figure)
    assert len(set(ids)) == len(ids)
    assert "PED-ANOVA" in page


def test_a_page_without_a_finished_trial(results: StudyResults, tmp_path: Path) -> None:
    page = page_of(replace(results, trials=()), tmp_path, has_model=False)
    assert "No trial has finished so far" in page
    assert "<b>–</b>" in page
    assert "To train longer" not in page
    page = page_of(replace(results, trials=results.trials[3:4]), tmp_path, has_model=False)
    assert "1 failed" in page
    assert "beside this page" not in page


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ((0, 1), "That is 0.120 more than with the defaults (0.500). About 0.01 of it may be chance"),
        ((0,), "No other settings were better than the defaults."),
        ((1, 4), "The trial with the defaults did not finish"),
        ((3,), "No trial has finished"),
    ],
)
def test_the_conclusion(results: StudyResults, chosen: tuple[int, ...], words: str) -> None:
    assert words in conclusion(replace(results, trials=tuple(results.trials[index] for index in chosen)))


def test_a_small_gain_is_called_chance(results: StudyResults) -> None:
    trials = (results.trials[0], trial(2, "finished", 0.505, batch_size=8))
    assert "So little may be chance" in conclusion(replace(results, trials=trials))


def test_of_equal_trials_the_first_is_the_best(results: StudyResults) -> None:
    equal = replace(results, trials=(results.trials[0], trial(2, "finished", 0.5, batch_size=8)))
    assert equal.best is results.trials[0]
    assert equal.best_values() == {}
