"""Asking, on a terminal, for what a package should say about a model and nobody has said yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.prompt import Prompt

from retinaj.errors import RetinaJError
from retinaj.files import require_absent, write_text
from retinaj.model_folder import ModelRecord, read_record
from retinaj_zoo.metadata import Metadata, completed
from retinaj_zoo.metadata_file import FIELD_HELP, metadata_text

_PERSON = ("affiliation", "orcid", "github_user")


def missing_fields(metadata: Metadata) -> tuple[str, ...]:
    """The fields of a package's metadata that nobody has set, in the order of the questions."""
    return tuple(field for field in FIELD_HELP if field not in metadata.model_fields_set)


def complete_interactively(metadata: Metadata, model_folder: Path, output: Path, console: Console) -> Metadata:
    """Ask for what `metadata` leaves open, and keep it all in OUTPUT-metadata.yaml beside the package, to be used again.

    Args:
        metadata: what is known.
        model_folder: the model that will be packaged.
        output: the package that will be written.
        console: where to ask.

    Raises:
        RetinaJError: if the package or that file exists already, or as `ask_metadata`; nothing is written then.
    """
    target = output.with_name(f"{output.stem}-metadata.yaml")
    if not missing_fields(metadata):
        return metadata
    require_absent(output)
    require_absent(target)
    answered = ask_metadata(metadata, read_record(model_folder), console)
    write_text(target, metadata_text(answered))
    console.print(f"\nThe answers are in {target}: next time, give it as --metadata.", markup=False, highlight=False)
    return answered


def ask_metadata(metadata: Metadata, record: ModelRecord, console: Console) -> Metadata:
    """Ask for every field that `metadata` leaves open. An answer that the format refuses is asked for again.

    Args:
        metadata: what is known; its fields are not asked for.
        record: of the model; gives name and description as defaults.
        console: where to ask; answers come from standard input.

    Returns:
        All fields, set.

    Raises:
        RetinaJError: if the answers end early (Ctrl-D, or no terminal).
    """
    defaults = completed(metadata, record)
    known = metadata.model_dump(exclude_unset=True)
    console.print("Return alone takes the answer in brackets, or leaves the field empty.", highlight=False)
    for field in missing_fields(metadata):
        console.print(f"\n{FIELD_HELP[field][0]}", markup=False, highlight=False, style="bold")
        default = None if field == "authors" else getattr(defaults, field)
        while True:
            try:
                value = _QUESTIONS.get(field, _one_text)(_Asker(console), known, default)
            except EOFError as error:
                raise RetinaJError(
                    f"The answers ended at {field!r}, so nothing was written. --interactive needs a terminal; without one, "
                    "fill in a file that `retinaj metadata` makes, and give it as --metadata."
                ) from error
            problem = _problem(field, value)
            if problem is None:
                break
            console.print(problem, style="red", markup=False, highlight=False)
        known[field] = value
    return Metadata.model_validate(known)


def _problem(field: str, value: Any) -> str | None:
    try:
        Metadata.model_validate({field: value})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return f"{place + ': ' if place else ''}{first['msg']}, found {first['input']!r:.80}. Once more, please."
    if field == "license" and not _is_known(value, "LicenseId"):
        return f"{value!r} is not an SPDX identifier that the zoo knows, such as CC-BY-4.0 or MIT. Once more, please."
    people: list[dict[str, str]] = value if field in ("authors", "maintainers") else []
    wrong = [person["orcid"] for person in people if "orcid" in person and not _is_known(person["orcid"], "OrcidId")]
    return f"{wrong[0]} is not an ORCID: its last digit does not fit the others. Once more, please." if wrong else None


def _is_known(value: str, kind: str) -> bool:
    """Whether the format takes `value` for one of its types."""
    from bioimageio.spec.generic import v0_3  # two seconds, only when it is needed

    try:
        TypeAdapter[Any](getattr(v0_3, kind)).validate_python(value)
    except ValidationError:
        return False
    return True


class _Asker:
    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, what: str, default: str = "") -> str:
        question = escape(f"  {what} [{default}]" if default else f"  {what}")
        answer = Prompt.ask(question, console=self._console, default=default, show_default=False)
        return answer.strip() or default


def _one_text(ask: _Asker, known: dict[str, Any], default: Any) -> Any:
    return ask("one line", default or "") or None


def _words(ask: _Asker, known: dict[str, Any], default: Any) -> list[str]:
    answer = ask("with commas between", ", ".join(default))
    return [word.strip() for word in answer.split(",") if word.strip()]


def _people(ask: _Asker, known: dict[str, Any], default: Any) -> list[dict[str, str]]:
    return list(_until_empty(ask, "name, or Return to end", "name", _PERSON))


def _maintainers(ask: _Asker, known: dict[str, Any], default: Any) -> list[dict[str, str]]:
    authors = [dict(person) for person in known.get("authors", ()) if dict(person).get("github_user")]
    if authors:
        names = ", ".join(person["name"] for person in authors)
        if ask(f"the same as the authors with a GitHub account ({names})? y/n", "y").lower().startswith("y"):
            return [{"name": person["name"], "github_user": person["github_user"]} for person in authors]
    return list(_until_empty(ask, "name, or Return to end", "name", ("github_user",)))


def _citations(ask: _Asker, known: dict[str, Any], default: Any) -> list[dict[str, str]]:
    return list(_until_empty(ask, "text, or Return to end", "text", ("doi", "url")))


def _until_empty(ask: _Asker, question: str, key: str, more: tuple[str, ...]) -> Iterator[dict[str, str]]:
    while first := ask(question):
        rest = {field: ask(field) for field in more}
        yield {key: first} | {field: answer for field, answer in rest.items() if answer}


_QUESTIONS: dict[str, Callable[[_Asker, dict[str, Any], Any], Any]] = {
    "authors": _people,
    "maintainers": _maintainers,
    "cite": _citations,
    "tags": _words,
    "links": _words,
}
