"""bioimageio.core's own test, run on a finished package in a fresh Python process, as any consumer would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from retinaj.errors import RetinaJError

_WARNING = 30  # bioimageio.spec's severities: 20 info, 30 warning, 35 alert


@dataclass(frozen=True)
class CheckResult:
    """The outcome of a test that passed.

    Attributes:
        checks: how many single checks ran.
        seconds: how long it took.
        warnings: what the zoo would like to see changed.
    """

    checks: int
    seconds: float
    warnings: tuple[str, ...]


def check_package(package: Path) -> CheckResult:
    """Run `bioimageio test` on a package, with every weight format that it holds.

    Args:
        package: the zip.

    Raises:
        RetinaJError: with the first failure, if the test does not pass.
    """
    started = time.monotonic()
    # SavedModel weights are unpacked into the current folder, so that has to be a temporary one.
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        report = Path(folder) / "summary.json"
        command = [sys.executable, "-m", "bioimageio.core", "test", str(package.resolve()), "--summary", str(report)]
        process = subprocess.run(
            command, cwd=folder, env=_environment(), capture_output=True, text=True, errors="replace", check=False
        )
        summary: dict[str, Any] = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
    details: list[dict[str, Any]] = summary.get("details", [])
    if process.returncode != 0 or summary.get("status") != "passed":
        raise RetinaJError(f"bioimageio.core's test of the package failed. {_first_failure(details, process.stderr)}")
    warnings = {
        f"{_place(entry)}: {entry['msg']}"
        for detail in details
        for entry in detail.get("warnings", [])
        if entry.get("severity", _WARNING) >= _WARNING
    }
    return CheckResult(len(details), time.monotonic() - started, tuple(sorted(warnings)))


def _environment() -> dict[str, str]:
    """This environment, with TensorFlow behind Keras and quiet: core reads KERAS_BACKEND on import."""
    return {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUTF8": "1"}


def _first_failure(details: list[dict[str, Any]], stderr: str) -> str:
    for detail in details:
        if detail.get("status") == "failed":
            messages = [f"{_place(entry)}: {entry['msg']}" for entry in detail.get("errors", [])] or ["no reason given"]
            return f"{detail.get('name')}: {messages[0]}"
    lines = stderr.strip().splitlines()
    return lines[-1] if lines else "It ended without a word."


def _place(entry: dict[str, Any]) -> str:
    return ".".join(str(part) for part in entry.get("loc", ())) or "package"
