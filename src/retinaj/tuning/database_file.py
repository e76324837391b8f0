"""The file of a study's database: opened as no address could mean anything else, and checked before Optuna sees it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from retinaj.errors import RetinaJError

_PATIENCE = 60.0  # seconds, with another program that looks at the database
_LARGEST_FILE = 256 * 2**20  # bytes; a thousand trials of 200 epochs take 30 MB
_KINDS = "SELECT DISTINCT CASE WHEN sql LIKE 'CREATE VIRTUAL%' THEN 'virtual table' ELSE type END FROM sqlite_master"


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """A connection to a file that is there, or is made with `create`.

    Raises:
        sqlite3.Error: if it cannot be opened.
    """
    address = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    return sqlite3.connect(address, uri=True, timeout=_PATIENCE, check_same_thread=False)


def require_plain(path: Path, identity: str) -> None:
    """Refuse a file that is no plain database with this study, before anything in it can act: views and triggers are code.

    Args:
        path: the file.
        identity: of the study, its name in the database.

    Raises:
        RetinaJError: saying what is wrong with the file.
    """
    if path.stat().st_size > _LARGEST_FILE:
        raise foreign(path, f"it is larger than {_LARGEST_FILE // 2**20} MB")
    try:
        with contextlib.closing(connect(path)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            kinds = connection.execute(_KINDS).fetchall()
            if unexpected := {str(kind) for (kind,) in kinds} - {"table", "index"}:
                raise foreign(path, f"it has a {min(unexpected)}, which Optuna never makes")
            [(verdict,)] = connection.execute("PRAGMA quick_check(1)").fetchall()
            if verdict != "ok":
                raise foreign(path, str(verdict)[:300])
            [(found,)] = connection.execute("SELECT count(*) FROM studies WHERE study_name = ?", (identity,)).fetchall()
            if not found:
                raise foreign(path, "it does not hold the study that study.json describes")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise foreign(path, str(error)) from error


def foreign(path: Path, why: str) -> RetinaJError:
    """What to raise where the file is not the database of its study."""
    return RetinaJError(
        f"{path} cannot be used to go on with the study: {why}. Restore the file from a copy, or begin a new study."
    )
