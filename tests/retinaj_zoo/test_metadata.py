from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import tiny_record

from retinaj.errors import RetinaJError
from retinaj_zoo.metadata import Metadata, Person, completed, has_author, read_metadata


def test_what_is_missing_follows_from_the_model_and_nobody_is_made_up() -> None:
    metadata = completed(Metadata(), tiny_record(3, "uint8"))
    assert metadata.name == "Tiny test model"
    assert metadata.description is not None
    assert metadata.description.startswith("Finds cell, no and µ|x in microscopy images")
    assert [person.name for person in metadata.authors] == ["unknown"]
    assert not has_author(metadata)
    assert not metadata.maintainers


def test_what_is_given_stays() -> None:
    given = Metadata(name="Blood cells", description="Cells.", authors=(Person(name="Ada"),), license="MIT")
    assert completed(given, tiny_record(1, "uint16")) == given
    assert has_author(given)


def test_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "metadata.yaml"
    path.write_text(
        "name: Blood cells\nauthors:\n  - name: Ada\n    orcid: 0000-0001-2345-6789\n"
        "cite:\n  - text: the data\n    doi: 10.1234/5678\ntags: [blood]\n",
        encoding="utf-8",
    )
    metadata = read_metadata(path)
    assert metadata.name == "Blood cells"
    assert metadata.authors[0].orcid == "0000-0001-2345-6789"
    assert metadata.tags == ("blood",)
    assert metadata.license == "CC-BY-4.0"


def test_the_example_in_the_documentation_is_one(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "packaging.md"
    example = page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    (tmp_path / "metadata.yaml").write_text(example, encoding="utf-8")
    assert has_author(read_metadata(tmp_path / "metadata.yaml"))
    for field in Metadata.model_fields:
        assert f"`{field}`" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: abc\n", "name: String should match pattern"),
        ("name: 'a/b c:d'\n", "name: String should match pattern"),
        ("autors: []\n", "autors: Extra inputs are not permitted.*The fields are name, description"),
        ("authors: [Ada]\n", r"authors\.0: Input should be"),
        ("authors: [{name: a/b}]\n", r"authors\.0\.name"),
        ("version: one\n", "version"),
        ("- a\n", "expected a mapping"),
    ],
)
def test_refuses_a_broken_file_with_its_name_and_the_field(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "metadata.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RetinaJError, match=message) as caught:
        read_metadata(path)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RetinaJError, match=r"does not exist; expected a metadata\.yaml"):
        read_metadata(tmp_path / "metadata.yaml")
