"""What a study was asked to do, in STUDY/study.json: written once, checked whenever the study goes on."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator

from retinaj.errors import RetinaJError
from retinaj.files import require_file, write_text
from retinaj.plain_record import PlainRecord
from retinaj.training.run_folder import UsedImages
from retinaj.training.settings import TrainingSettings, difference_in_words
from retinaj.tuning.space import SPACE, Parameter

PLAN_FILE = "study.json"
DATABASE_FILE = "study.db"
LOCK_FILE = ".lock"
TRIALS_FOLDER = "trials"
MODEL_FOLDER = "model"
REPORT_FILE = "report.html"
FEWEST_TRIALS, MOST_TRIALS = 2, 1000
DEFAULT_TRIALS, DEFAULT_MINUTES = 20, 10.0
_LARGEST_PLAN = 64 * 2**20  # bytes: names of a million images


class StudyPlan(PlainRecord):
    """The content of study.json.

    Attributes:
        format, format_version: to tell a study from anything else.
        name: of the study's folder when it was made, which its model is called.
        identity: of the study in its database, so that no other database is taken for it.
        retinaj: the version of RetinaJ: trials of two versions cannot be compared.
        started: date and time, UTC, ISO 8601.
        images, annotations, names, validation: as they were given, for people; where they lie may change.
        used: the images that trials train and validate on, the same for all.
        settings: of all trials, but for what is searched; `minutes` is the time of a trial.
        searched: names of the parameters that trials differ in, of `retinaj.tuning.space.SPACE`.
        trials: how many trials there are to be.
    """

    model_config = ConfigDict(strict=True)

    format: Literal["retinaj-study"] = "retinaj-study"
    format_version: Literal[1] = 1
    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/\\\x00-\x1f]+$")]
    identity: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    retinaj: str
    started: str
    images: str
    annotations: str
    names: str | None = None
    validation: str | None = None
    used: UsedImages
    settings: TrainingSettings
    searched: Annotated[tuple[str, ...], Field(min_length=1, max_length=len(SPACE))]
    trials: Annotated[int, Field(ge=FEWEST_TRIALS, le=MOST_TRIALS)]

    @model_validator(mode="after")
    def _check(self) -> StudyPlan:
        if self.name in (".", ".."):
            raise ValueError(f"name is {self.name!r}, which cannot be a folder")
        unknown = set(self.searched) - {each.name for each in SPACE}
        if unknown or len(set(self.searched)) != len(self.searched):
            raise ValueError("searched names a parameter twice, or one that RetinaJ does not search")
        return self

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What trials differ in."""
        return tuple(each for each in SPACE if each.name in self.searched)


def save_plan(folder: Path, plan: StudyPlan) -> None:
    """Write study.json."""
    write_text(folder / PLAN_FILE, plan.model_dump_json(indent=2) + "\n")


def load_plan(folder: Path) -> StudyPlan:
    """Read study.json.

    Raises:
        RetinaJError: if there is none, it is broken, or another version of RetinaJ wrote it.
    """
    path = folder / PLAN_FILE
    if not folder.is_dir() or not path.is_file():
        raise RetinaJError(
            f"There is no study to go on with in {folder}: it has no {PLAN_FILE}. Leave out --resume to begin one."
        )
    if require_file(path, "the plan of a study").stat().st_size > _LARGEST_PLAN:
        raise RetinaJError(f"{path} is larger than {_LARGEST_PLAN // 2**20} MB; that is not the plan of a study.")
    try:
        plan = StudyPlan.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise RetinaJError(
            f"{path} is not the plan of a study of this version of RetinaJ: {place}: {first['msg']}. Restore it from a "
            "copy, or begin a new study."
        ) from error
    if plan.retinaj != version("retinaj"):
        raise RetinaJError(
            f"The study in {folder} was begun with RetinaJ {plan.retinaj}, this is {version('retinaj')}: their trials cannot "
            "be compared. Go on with that version, or begin a new study."
        )
    return plan


def require_same_settings(plan: StudyPlan, given: TrainingSettings, folder: Path) -> None:
    """Refuse to go on with a study with other settings than it was begun with.

    Args:
        plan: of the study.
        given: now; only what was given to `TrainingSettings(...)` counts.
        folder: of the study.

    Raises:
        RetinaJError: naming the setting, and both its values.
    """
    names = given.model_fields_set - ({"preset"} if given.preset == "auto" else set[str]())
    for parameter in plan.parameters:
        if ("augmentation" if parameter.strength else parameter.name) in names:
            what = "augment" if parameter.strength else parameter.option
            raise RetinaJError(
                f"The study in {folder} searches {parameter.option}, so that --{what} cannot be given to it. Resume without "
                "that option, or begin a new study with it."
            )
    now = plan.settings.model_copy(update={name: getattr(given, name) for name in names})
    if now != plan.settings:
        raise RetinaJError(
            f"The study in {folder} began with {difference_in_words(plan.settings, now)}. Resume without that option, or begin "
            "a new study."
        )
