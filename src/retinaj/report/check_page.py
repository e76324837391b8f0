"""The page about a data set: what is wrong with it, with pictures of the places."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from markupsafe import Markup, escape

from retinaj.checking.findings import CHECKS, Check, Finding, Grade
from retinaj.checking.run import CheckResult
from retinaj.checking.summary import totals
from retinaj.images.plane_choice import PlaneChoice
from retinaj.report.check_pictures import CloseUp, close_ups
from retinaj.report.templates import environment

_PICTURES = 6  # of each check
_LISTED = 200  # of each check; the JSON has all


@dataclass(frozen=True)
class _Section:
    """One check and what it found."""

    key: str
    check: Check
    findings: list[Finding]
    pictures: list[tuple[Finding, list[CloseUp]]]

    @property
    def in_pairs(self) -> bool:
        """Whether two pictures belong together."""
        return any(len(views) > 1 for _, views in self.pictures)

    @property
    def advice(self) -> Markup:
        """What to do, with names of options set apart."""
        return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", str(escape(self.check.advice))))  # noqa: S704  (escaped before)

    @property
    def listed(self) -> list[Finding]:
        """The findings that the page lists."""
        return self.findings[:_LISTED]


def check_page(result: CheckResult) -> str:
    """A page of HTML that needs nothing but itself: counts, then each check with advice, places and small pictures."""
    sections = [_section(check, result.of(check), result.planes) for check in result.counts()]
    values = {
        "folder": result.images.resolve().name,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": version("retinaj"),
        "images": str(result.images),
        "annotations": [str(source.path) for source in result.sources],
        "sections": sections,
        "graded": {str(grade): count for grade, count in result.graded().items()},
        "grades": [str(grade) for grade in Grade],
        "sentences": totals(result),
    }
    return environment().get_template("check.html").render(values)


def _section(check: str, findings: list[Finding], planes: PlaneChoice) -> _Section:
    pictures: list[tuple[Finding, list[CloseUp]]] = []
    for finding in findings[: 2 * _PICTURES]:
        if len(pictures) < _PICTURES and (drawn := close_ups(finding, planes)):
            pictures.append((finding, drawn))
    return _Section(check, CHECKS[check], findings, pictures)
