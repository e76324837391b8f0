"""Writing a metadata.yaml: with answers in it, or to be filled in by hand; each field with a line that says what it is for."""

from __future__ import annotations

from typing import Any

import yaml

from retinaj_zoo.metadata import Metadata
from retinaj_zoo.untrusted_yaml import CORE_SCHEMA

# What each field is for, and what an answer looks like. The questionnaire asks with the same words.
FIELD_HELP: dict[str, tuple[str, Any]] = {
    "name": ("Name: 5 to 128 letters, digits, spaces or _ + - ( )", "Blood smear detector"),
    "description": ("Description: one or two sentences", "Finds red and white cells in Giemsa-stained blood smears."),
    "authors": (
        "Authors: who made the model",
        [{"name": "Your Name", "affiliation": "Your Institute", "orcid": "0000-0002-1825-0097", "github_user": "you"}],
    ),
    "maintainers": (
        "Maintainers: who answers questions about it, with a GitHub account",
        [{"name": "Your Name", "github_user": "you"}],
    ),
    "license": ("Licence of the weights: an SPDX identifier", "CC-BY-4.0"),
    "tags": ("Tags: modality, stain, organism, ...", ["brightfield", "blood", "Giemsa"]),
    "cite": (
        "To cite, beside the RetinaNet paper: of doi and url, at least one",
        [{"text": "The paper of the images", "doi": "10.1234/5678"}],
    ),
    "training_data": (
        "Training data: what the images are and where they come from",
        "205 images of blood smears at 100x, two donors.",
    ),
    "limits": ("Limits: what is known not to work", "Platelets that touch a red cell are often missed."),
    "out_of_scope": ("What the model must not be used for", "Not for diagnosis."),
    "git_repo": ("Address of the project that the model belongs to", "https://example.org/project"),
    "links": ("Identifiers of related entries of the zoo", ["affable-shark"]),
    "version": ("Version of the model: MAJOR.MINOR.PATCH", "0.1.0"),
}


class _Dumper(yaml.SafeDumper):
    """Quotes whatever YAML 1.1 or 1.2 would take for something else than text: "no" as well as "1e5"."""


# The first call copies the table of the class above, so that SafeDumper itself stays as it is.
for _tag, _pattern, _first in CORE_SCHEMA:
    _Dumper.add_implicit_resolver(_tag, _pattern, _first)


def metadata_text(metadata: Metadata | None = None) -> str:
    """The text of a metadata.yaml.

    Args:
        metadata: its fields are written; those that were never set, and all without it, become examples behind `#`.

    >>> metadata_text(Metadata(name="Blood cells")).splitlines()[2:7]
    ['# Name: 5 to 128 letters, digits, spaces or _ + - ( )', 'name: Blood cells', '', '# Description: one or two sentences',
     '#description: Finds red and white cells in Giemsa-stained blood smears.']
    """
    given: dict[str, Any] = {}
    if metadata is not None:
        # A field that was left empty on purpose stays in the file, as null: it is not asked for again.
        given = dict.fromkeys(metadata.model_fields_set) | metadata.model_dump(
            mode="json", exclude_unset=True, exclude_none=True
        )
    parts = ["# What a package says about a model. Remove the # of a field to set it; a field left out gets its default.\n"]
    for field, (what, example) in FIELD_HELP.items():
        written = _dump({field: given.get(field, example)})
        if field not in given:
            written = "".join(f"#{line}\n" for line in written.splitlines())
        parts.append(f"# {what}\n{written}")
    return "\n".join(parts)


def _dump(data: dict[str, Any]) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
