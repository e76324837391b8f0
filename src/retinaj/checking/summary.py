"""The result of a check as JSON, for programs, and as a table, for the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from retinaj.checking.findings import CHECKS, Finding, Grade
from retinaj.checking.run import CheckResult
from retinaj.counting import counted

JSON_FORMAT, JSON_VERSION = "retinaj-check", 1
_EXAMPLES = 8  # of one check, on the terminal
_COLOURS = {Grade.ERROR: "red", Grade.WARNING: "yellow", Grade.NOTE: "cyan"}


def to_json(result: CheckResult) -> str:
    """Everything that was found, as JSON.

    The fields are: `format` ("retinaj-check") and `version` (1; it grows when a field changes its meaning or goes), `retinaj`
    (the version that wrote it), `images` and `annotations` (paths), `parts` (images of each), `boxes` (how many), `compared`
    (images read, pairs compared and all pairs; null if pixels were not compared), `grades` and `counts` (findings of each
    grade and of each check) and `findings`, errors first: `check` (a key of CHECKS), `grade`, `file`, `place`, `message`,
    `advice`, `image`, `boxes` ([x_min, y_min, x_max, y_max] in pixels of the image), `other_image`, `other_boxes`; paths that
    there are none are null.
    """
    compared = result.comparison
    content: dict[str, Any] = {
        "format": JSON_FORMAT,
        "version": JSON_VERSION,
        "retinaj": version("retinaj"),
        "images": str(result.images),
        "annotations": [str(source.path) for source in result.sources],
        "parts": dict(result.parts),
        "boxes": result.boxes,
        "compared": None
        if compared is None
        else {"images": compared.images, "pairs": compared.pairs, "all_pairs": compared.all_pairs},
        "grades": {str(grade): number for grade, number in result.graded().items()},
        "counts": result.counts(),
        "findings": [_as_json(each) for each in result.findings],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _as_json(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "grade": str(finding.grade),
        "file": str(finding.file),
        "place": finding.place,
        "message": finding.message,
        "advice": CHECKS[finding.check].advice,
        "image": None if finding.image is None else str(finding.image),
        "boxes": [list(box) for box in finding.boxes],
        "other_image": None if finding.other_image is None else str(finding.other_image),
        "other_boxes": [list(box) for box in finding.other_boxes],
    }


def table(result: CheckResult) -> Table:
    """How much was found: a row for each check, errors first."""
    shown = Table(box=SIMPLE_HEAD)
    shown.add_column("Grade")
    shown.add_column("What was found")
    shown.add_column("Count", justify="right")
    for check, number in result.counts().items():
        kind = CHECKS[check]
        colour = _COLOURS[kind.grade]
        shown.add_row(f"[{colour}]{kind.grade}[/{colour}]", escape(kind.title), f"{number:,}")
    return shown


def details(result: CheckResult) -> Iterator[str]:
    """The errors and warnings, line by line: the first places of each check, and what to do."""
    for check, number in result.counts().items():
        kind = CHECKS[check]
        if kind.grade is Grade.NOTE:
            continue
        yield f"{kind.grade.capitalize()}: {kind.title}"
        for finding in result.of(check)[:_EXAMPLES]:
            yield f"  {finding}"
        if number > _EXAMPLES:
            yield f"  … and {number - _EXAMPLES:,} more; --report lists all."
        yield f"  → {kind.advice}"
        yield ""


def totals(result: CheckResult) -> list[str]:
    """What was looked at and how much was found, in sentences."""
    annotated = len({path for source in result.sources for path in source.pairs.annotations})
    parts = ""
    if len(result.parts) > 1:
        parts = f" ({', '.join(f'{name}: {number:,}' for name, number in result.parts.items())})"
    lines = [f"Checked {counted(annotated, 'annotated image')}{parts} with {counted(result.boxes, 'box', 'boxes')}."]
    if result.comparison is None:
        lines.append("The pixels were not looked at, so that copies, overlaps and damaged images are not excluded.")
    elif len(result.parts) > 1:
        images, pairs = counted(result.comparison.images, "image"), counted(result.comparison.pairs, "pair")
        lines.append(f"Read the pixels of {images}, and compared {pairs} across the parts.")
    else:
        lines.append(
            f"Read the pixels of {counted(result.comparison.images, 'image')}. Overlapping fields are looked for only "
            "across parts: see --train, --validation and --test."
        )
    graded = result.graded()
    found = ", ".join(counted(number, str(grade)) for grade, number in graded.items())
    lines.append(f"Found {found}." if result.findings else "Found nothing to complain about.")
    return lines
