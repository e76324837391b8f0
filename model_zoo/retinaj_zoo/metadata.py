"""What people say about a model: who made it, what it is for, under which licence. Read from a metadata.yaml or options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from retinaj.errors import RetinaJError
from retinaj.files import require_file
from retinaj.model_folder import ModelRecord
from retinaj.plain_record import PlainRecord
from retinaj_zoo.untrusted_yaml import load_yaml

Text = Annotated[str, Field(min_length=1, max_length=5000)]
UNKNOWN_AUTHOR = "unknown"

# What the documentation says where nobody has said anything.
DATA_NOT_STATED = "The origin of the training images was not stated."
LIMITS_NOT_STATED = "Known limits were not stated."


class Person(PlainRecord):
    """Somebody who made the model or looks after it. `github_user` is looked up online when the package is made."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/\\]+$")]
    affiliation: str | None = None
    email: str | None = None
    orcid: Annotated[str, Field(pattern=r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$")] | None = None
    github_user: str | None = None


class Citation(PlainRecord):
    """Something to cite: of `doi` and `url`, at least one."""

    text: Text
    doi: Annotated[str, Field(pattern=r"^10\.[0-9]{4}.+$")] | None = None
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None


class Metadata(PlainRecord):
    """What a package says beyond what the model folder knows.

    Attributes:
        name: of the package: 5 to 128 letters, digits, spaces, _ + - ( ); default: made from the model's name.
        description: one or two sentences; default: made from the classes.
        authors: who made the model.
        maintainers: who looks after it; each needs a `github_user`.
        license: SPDX identifier under which the weights are given away.
        tags: added to those that follow from the model, for example the modality.
        cite: added to the RetinaNet paper, for example the paper of the training data.
        links: identifiers of related things in the zoo.
        git_repo: URL of the project that the model belongs to.
        training_data: what the images are and where they come from.
        limits: what is known not to work.
        out_of_scope: what the model must not be used for.
        version: of the model, as MAJOR.MINOR.PATCH.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+\- ()]{5,128}$")] | None = None
    description: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    authors: tuple[Person, ...] = ()
    maintainers: tuple[Person, ...] = ()
    license: Annotated[str, Field(min_length=1, max_length=100)] = "CC-BY-4.0"
    tags: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = ()
    cite: tuple[Citation, ...] = ()
    links: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    git_repo: Annotated[str, Field(pattern=r"^https?://")] | None = None
    training_data: Text | None = None
    limits: Text | None = None
    out_of_scope: Text = (
        "Not for diagnosis, treatment or any other decision about a patient. Not for images that differ from the training "
        "images in microscope, magnification, staining or kind of sample, unless it was evaluated on such images."
    )
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")] = "0.1.0"


def read_metadata(path: Path) -> Metadata:
    """Read a metadata.yaml: the fields of `Metadata`, all of them optional.

    Raises:
        RetinaJError: naming the file, the first field that is wrong and why.
    """
    data = load_yaml(require_file(Path(path), "a metadata.yaml").read_bytes(), str(path))
    try:
        return Metadata.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RetinaJError(
            f"{path}: {field}: {first['msg']}, found {first.get('input')!r:.80}. "
            f"The fields are {', '.join(Metadata.model_fields)}."
        ) from error


def completed(metadata: Metadata, record: ModelRecord) -> Metadata:
    """`metadata` with a name, a description and an author.

    The name and description follow from the model. Nobody is made up: without authors, the author is called "unknown".
    """
    return metadata.model_copy(
        update={
            "name": metadata.name or _package_name(record.name),
            "description": metadata.description or _description(record),
            "authors": metadata.authors or (Person(name=UNKNOWN_AUTHOR),),
        }
    )


def has_author(metadata: Metadata) -> bool:
    """Whether somebody stands for the model."""
    return any(person.name != UNKNOWN_AUTHOR for person in metadata.authors)


def _package_name(model_name: str) -> str:
    """A name the zoo accepts.

    >>> _package_name("blood: cells/2"), _package_name("zelle")
    ('blood cells 2', 'zelle')
    >>> _package_name("µ")
    'RetinaJ detector'
    """
    name = " ".join(re.sub(r"[^A-Za-z0-9_+\- ()]", " ", model_name).split())[:100]
    return name if len(name) >= 5 else f"RetinaJ {name or 'detector'}"


def _description(record: ModelRecord) -> str:
    names = list(record.class_names[:10]) + [f"{len(record.class_names) - 10} more"] * (len(record.class_names) > 10)
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    imported = record.training.imported_from
    trained = "trained with RetinaJ" if imported is None else f"trained with the {imported.program}"
    return (
        f"Finds {listed} in microscopy images and gives a box, a score and a class for each. "
        f"A RetinaNet with the backbone {record.network.backbone}, {trained}."
    )[:1024]
