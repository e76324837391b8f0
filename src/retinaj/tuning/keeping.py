"""Keeping the best trial's model, and no other: whatever moment the program ends at, the best model is somewhere."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj.files import remove_unfinished
from retinaj.model_folder import read_record
from retinaj.tuning.plan import MODEL_FOLDER, TRIALS_FOLDER
from retinaj.tuning.results import StudyResults

_OURS = re.compile(r"\d{4,}(\.previous)?")


def trial_folder(study: Path, number: int) -> Path:
    """Where a trial has its files while it needs them."""
    return study / TRIALS_FOLDER / f"{number:04d}"


def trial_model(study: Path, number: int, name: str) -> Path:
    """The model folder of a trial: called as the study is, because a model is called as its folder."""
    return trial_folder(study, number) / name


def keep_best(study: Path, results: StudyResults) -> bool:
    """Bring the best trial's model to STUDY/model, and remove the files of all other trials that are over.

    It can be repeated, and goes on where it was interrupted: the new model is renamed before the previous one is removed, and
    which one lies where is told by the weights themselves.

    Args:
        study: the folder.
        results: as the database has them.

    Returns:
        Whether STUDY/model is the best trial's, which it is not before a trial has finished, or if the user removed it.

    Raises:
        RetinaJError: if STUDY/model is no model of this study.
    """
    best = results.best
    target = study / MODEL_FOLDER
    if best is not None and _weights(target) != best.notes.weights_sha256:
        source = trial_model(study, best.number, results.plan.name)
        if _weights(source) == best.notes.weights_sha256:
            own = {each.notes.weights_sha256 for each in results.having("finished")}
            if target.exists() and _weights(target) not in own:
                raise RetinaJError(
                    f"{target} is not a model of this study, and RetinaJ does not overwrite it. Move it to another place, and "
                    "give the same command with --resume."
                )
            if target.exists():
                target.rename(source.parent.with_name(f"{source.parent.name}.previous"))
            source.rename(target)
    kept = best is not None and _weights(target) == best.notes.weights_sha256
    needed = {trial_folder(study, each.number) for each in results.having("unfinished")}
    _remove_others(study / TRIALS_FOLDER, needed)
    remove_unfinished(study)
    return kept


def _remove_others(trials: Path, needed: set[Path]) -> None:
    if trials.is_symlink():
        raise RetinaJError(f"{trials} is a link to another place, which RetinaJ did not make. Remove the link.")
    if not trials.is_dir():
        return
    for folder in sorted(trials.iterdir()):
        if folder not in needed and _OURS.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
    with contextlib.suppress(OSError):
        trials.rmdir()


def _weights(folder: Path) -> str | None:
    """What tells a model from all others; None if there is none."""
    try:
        return read_record(folder).weights_sha256
    except RetinaJError:
        return None
