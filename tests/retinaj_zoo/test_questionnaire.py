"""Asking for metadata, and the file that holds the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_record
from typer.testing import CliRunner

from retinaj.cli import app
from retinaj_zoo.metadata import Metadata, Person, read_metadata
from retinaj_zoo.metadata_file import FIELD_HELP, metadata_text
from retinaj_zoo.questionnaire import missing_fields

ANSWERS = {
    "name": ["Blood cells"],
    "description": [""],  # the default
    "authors": ["Ada", "An Institute", "0000-0001-2345-6789", "ada", "Bob", "", "", "", ""],
    "maintainers": ["y"],
    "license": ["MIT"],
    "tags": ["brightfield, blood ,"],
    "cite": ["The images", "10.1234/5678", "", ""],
    "training_data": ["205 images: 100x"],
    "limits": [""],
    "out_of_scope": [""],
    "git_repo": [""],
    "links": [""],
    "version": [""],
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.json").write_text(tiny_record(3, "uint8").model_dump_json(), encoding="utf-8")
    return folder


@pytest.fixture
def packaged_with(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the command would package, instead of packaging it."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr("retinaj_zoo.packaging.package_model", lambda *arguments, **options: calls.append(options))
    return calls


def package(model: Path, *words: str | Path, answers: list[str]) -> Any:
    output = model.parent / "p.zip"
    command = ["package", str(model), "--output", str(output), "--interactive", *map(str, words)]
    return CliRunner().invoke(app, command, input="".join(f"{answer}\n" for answer in answers))


def all_answers(**instead: list[str]) -> list[str]:
    return [line for field in FIELD_HELP for line in instead.get(field, ANSWERS[field])]


def test_asks_for_everything_and_keeps_the_answers(model: Path, packaged_with: list[dict[str, Any]]) -> None:
    result = package(model, answers=all_answers())
    assert result.exit_code == 0, result.output
    [options] = packaged_with
    metadata: Metadata = options["metadata"]
    assert metadata.name == "Blood cells"
    assert metadata.description is not None
    assert metadata.description.startswith("Finds cell, no and")
    assert [person.model_dump(exclude_none=True) for person in metadata.authors] == [
        {"name": "Ada", "affiliation": "An Institute", "orcid": "0000-0001-2345-6789", "github_user": "ada"},
        {"name": "Bob"},
    ]
    assert [person.model_dump(exclude_none=True) for person in metadata.maintainers] == [{"name": "Ada", "github_user": "ada"}]
    assert metadata.license == "MIT"
    assert metadata.tags == ("brightfield", "blood")
    assert [entry.doi for entry in metadata.cite] == ["10.1234/5678"]
    assert metadata.limits is None
    assert metadata.out_of_scope == Metadata().out_of_scope
    assert read_metadata(model.parent / "p-metadata.yaml").model_dump() == metadata.model_dump()


def test_asks_only_for_what_is_missing(model: Path, packaged_with: list[dict[str, Any]]) -> None:
    known = Metadata(name="Known name", authors=(Person(name="Ada"),), license="MIT")
    given_file = model.parent / "given.yaml"
    given_file.write_text(metadata_text(known), encoding="utf-8")
    answers = [line for field in missing_fields(known) for line in (["", ""] if field == "maintainers" else ANSWERS[field])]
    result = package(model, "--metadata", given_file, answers=answers)
    assert result.exit_code == 0, result.output
    assert "Name:" not in result.output
    assert packaged_with[0]["metadata"].name == "Known name"
    assert read_metadata(given_file) == known


def test_an_answer_that_is_refused_is_asked_for_again(model: Path, packaged_with: list[dict[str, Any]]) -> None:
    answers = all_answers(
        name=["abc", "Blood cells"],
        license=["mit", "MIT"],
        authors=["Ada", "", "0000-0001-2345-6780", "", "", "Ada", "", "", "ada", ""],
        cite=["The images", "my doi", "", "", "The images", "", "https://example.org", ""],
    )
    result = package(model, answers=answers)
    assert result.exit_code == 0, result.output
    assert "String should match pattern" in result.output
    assert "'mit' is not an SPDX identifier" in result.output
    assert "0000-0001-2345-6780 is not an ORCID" in result.output
    assert packaged_with[0]["metadata"].cite[0].url == "https://example.org"


def test_answers_that_end_early_leave_nothing(model: Path, packaged_with: list[dict[str, Any]]) -> None:
    result = package(model, answers=["Blood cells", ""])
    assert result.exit_code == 1
    assert "The answers ended at 'authors', so nothing was written" in result.output
    assert not packaged_with
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_nothing_is_asked_where_all_is_known_or_the_answers_have_no_place(
    model: Path, packaged_with: list[dict[str, Any]]
) -> None:
    assert package(model, answers=all_answers()).exit_code == 0
    again = package(model, "--metadata", model.parent / "p-metadata.yaml", answers=[])
    assert again.exit_code == 0, again.output
    assert packaged_with[0]["metadata"].model_dump() == packaged_with[1]["metadata"].model_dump()
    refused = package(model, answers=all_answers())
    assert refused.exit_code == 1
    assert "p-metadata.yaml already exists" in refused.output


def test_a_file_to_fill_in_has_every_field_and_reads_when_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "metadata.yaml"
    assert CliRunner().invoke(app, ["metadata", str(path)]).exit_code == 0
    lines = path.read_text(encoding="utf-8").splitlines()
    filled = "\n".join(
        line[1:] if (line.startswith("#") and line[1:2] not in ("", " ")) or line.startswith("#  ") else line for line in lines
    )
    path.write_text(filled, encoding="utf-8")
    assert read_metadata(path).model_fields_set == set(Metadata.model_fields) == set(FIELD_HELP)
    assert CliRunner().invoke(app, ["metadata", str(path)]).exit_code == 1


TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\x85\u2028\u2029\ufeff"), min_size=1, max_size=300
)


@settings(max_examples=60, deadline=None)
@given(
    limits=TEXT, tags=st.lists(st.sampled_from(["no", "1e5", "0x1", "~", "null", "1.", "-", "# a", "a: b", "'", "2026-01-01"]))
)
def test_any_text_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, limits: str, tags: list[str]) -> None:
    path = tmp_path_factory.mktemp("text") / "metadata.yaml"
    metadata = Metadata(limits=limits, tags=tuple(tags))
    path.write_text(metadata_text(metadata), encoding="utf-8", newline="\n")
    assert read_metadata(path) == metadata
