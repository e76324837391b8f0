"""The zoo's checklist, and the upload, to a stand-in for the zoo's server on 127.0.0.1 (`zoo_stand_in`)."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from tiny_models import Packaged
from typer.testing import CliRunner, Result
from zoo_stand_in import ARTIFACT, TOKEN, ZooStandIn, zoo_stand_in

from retinaj.cli import app
from retinaj.errors import RetinaJError
from retinaj_zoo.checking import CheckResult
from retinaj_zoo.checklist import zoo_checklist
from retinaj_zoo.publishing import TOKEN_VARIABLE, upload_package
from retinaj_zoo.untrusted_yaml import load_yaml
from retinaj_zoo.validation import NOT_EVALUATED


def fill_in(data: dict[str, Any]) -> None:
    """All that the zoo asks for; the account is of nobody, so that looking it up would fail."""
    data["authors"] = [{"name": "Ada", "orcid": "0000-0001-2345-6789"}]
    data["maintainers"] = [{"name": "Ada", "github_user": "no account, never looked up"}]
    data["cite"].append({"text": "The images", "url": "https://example.org/images"})
    data["tags"].append("brightfield")


def complete_text(text: str) -> str:
    return (
        text.replace(NOT_EVALUATED, "It was evaluated")
        .replace("was not stated", "is stated")
        .replace("were not stated", "are stated")
    )


def changed(
    packaged: Packaged,
    target: Path,
    edit: Callable[[dict[str, Any]], None] = lambda data: None,
    text: Callable[[str], str] = complete_text,
    replaced: dict[str, bytes] | None = None,
) -> Path:
    """The package with all that the zoo wants, and then `edit`, in its description, and another documentation."""
    with zipfile.ZipFile(packaged.package) as source, zipfile.ZipFile(target, "w") as archive:
        data = load_yaml(source.read("rdf.yaml"), "rdf.yaml")
        fill_in(data)
        data["documentation"].pop("sha256", None)
        edit(data)
        for name in source.namelist():
            content = (replaced or {}).get(name, source.read(name))
            if name == "rdf.yaml":
                content = json.dumps(data).encode()
            elif name == "README.md":
                content = text(content.decode()).encode()
            archive.writestr(name, content)
    return target


@pytest.fixture(autouse=True)
def nothing_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request but to 127.0.0.1, and no long test of the package; `test_bioimageio` has that."""
    send = httpx.Client.send

    def checked(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        assert request.url.host == "127.0.0.1", request.url
        return send(client, request, **options)

    monkeypatch.setattr(httpx.Client, "send", checked)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.setattr("retinaj_zoo.checklist.check_package", lambda package: CheckResult(23, 1.0, ()))


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch) -> Generator[ZooStandIn]:
    from bioimageio.spec import settings

    with zoo_stand_in() as stand_in:
        monkeypatch.setattr(settings, "hypha_upload", stand_in.url)
        yield stand_in


@pytest.fixture
def package(rgb: Packaged, tmp_path: Path) -> Path:
    return changed(rgb, tmp_path / "package.zip")


def run(*words: str | Path, answer: str | None = None, token: str | None = None) -> Result:
    return CliRunner().invoke(app, ["publish", *map(str, words)], input=answer, env={TOKEN_VARIABLE: token})


# --- the checklist ---


def test_a_package_with_all_that_is_asked_for_is_ok_throughout(package: Path) -> None:
    items = zoo_checklist(package)
    assert {item.level for item in items} == {"ok"}, items
    assert {item.subject for item in items} == {
        "format and test", "name", "description", "authors", "maintainers", "licence", "citations", "tags", "cover",
        "documentation", "weights",
    }  # fmt: skip
    assert [item.detail.partition(",")[0] for item in items if item.subject == "weights"] == [
        "keras_v3", "onnx", "tensorflow_saved_model_bundle",
    ]  # fmt: skip


def test_a_package_of_which_nothing_was_said_has_a_list_of_things_to_do(rgb: Packaged) -> None:
    items = [(item.level, item.subject) for item in zoo_checklist(rgb.package) if item.level != "ok"]
    assert items == [
        ("should", "authors"),
        ("must", "maintainers"),
        ("should", "citations"),
        ("should", "tags"),
        *[("should", "documentation")] * 3,
    ]


def drop(field: str) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.pop(field)


@pytest.mark.parametrize(
    ("edit", "level", "subject", "words"),
    [
        (lambda data: data.update(id="affable-shark"), "must", "id", "remove the field id"),
        (lambda data: data.update(name="a/b"), "must", "name", "has other than"),
        (lambda data: data.update(name="n" * 80), "should", "name", "80 characters"),
        (drop("description"), "must", "description", "there is none"),
        (lambda data: data.update(description="d" * 600), "should", "description", "600 characters"),
        (lambda data: data.update(authors=[{"name": "unknown"}]), "must", "authors", "nobody stands for"),
        (lambda data: data.update(authors=[{"name": "Bob"}]), "should", "authors", "no orcid is given for Bob"),
        (drop("maintainers"), "must", "maintainers", "github_user"),
        (drop("license"), "must", "licence", "there is none"),
        (drop("covers"), "must", "cover", "there is none"),
        (lambda data: data["covers"][0].update(source="README.md"), "must", "cover", "is not a picture"),
        (drop("documentation"), "must", "documentation", "no Markdown file"),
        (lambda data: data["weights"]["onnx"].update(sha256="0" * 64), "must", "weights", "SHA-256 differs"),
        (lambda data: data["weights"]["onnx"].update(opset_version=21), "should", "weights", "reads up to 18"),
    ],
)
def test_each_flaw_has_its_line(
    rgb: Packaged, tmp_path: Path, edit: Callable[[dict[str, Any]], None], level: str, subject: str, words: str
) -> None:
    flaws = [item for item in zoo_checklist(changed(rgb, tmp_path / "p.zip", edit)) if item.level != "ok"]
    assert [(item.level, item.subject) for item in flaws] == [(level, subject)]
    assert words in flaws[0].detail


def test_a_cover_of_another_shape_is_told(rgb: Packaged, tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (30, 20)).save(picture, "png")
    covers: list[dict[str, Any]] = []
    changed(rgb, tmp_path / "asked.zip", lambda data: covers.extend(data["covers"]))
    package = changed(
        rgb,
        tmp_path / "p.zip",
        lambda data: data["covers"][0].pop("sha256", None),
        replaced={covers[0]["source"]: picture.getvalue()},
    )
    [flaw] = [item for item in zoo_checklist(package) if item.level != "ok"]
    assert (flaw.level, flaw.subject) == ("should", "cover")
    assert "30 x 20; the zoo's cards are 1:1 or 2:1" in flaw.detail


@pytest.mark.parametrize(("heading", "level"), [("## Validation", "must"), ("## Limits", "should"), ("## Using it", "should")])
def test_a_missing_heading_is_named(rgb: Packaged, tmp_path: Path, heading: str, level: str) -> None:
    package = changed(rgb, tmp_path / "p.zip", text=lambda text: complete_text(text).replace(heading, "## Other"))
    [flaw] = [item for item in zoo_checklist(package) if item.level != "ok"]
    assert flaw.level == level
    assert heading.removeprefix("## ") in flaw.detail


def test_a_large_cover_is_refused(rgb: Packaged, tmp_path: Path) -> None:
    cover = (rgb.unpacked / "cover.png").read_bytes() + bytes(500_000)
    [flaw] = [
        item for item in zoo_checklist(changed(rgb, tmp_path / "p.zip", replaced={"cover.png": cover})) if item.level != "ok"
    ]
    assert (flaw.level, flaw.subject) == ("must", "cover")


def test_a_failed_test_and_its_warnings_are_in_the_list(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(package: Path) -> CheckResult:
        raise RetinaJError("bioimageio.core's test of the package failed. 3 elements disagree")

    monkeypatch.setattr("retinaj_zoo.checklist.check_package", fail)
    [flaw] = [item for item in zoo_checklist(package) if item.level != "ok"]
    assert (flaw.level, flaw.subject) == ("must", "format and test")
    assert "3 elements disagree" in flaw.detail
    warned = CheckResult(1, 0.0, ("links: a warning",))
    monkeypatch.setattr("retinaj_zoo.checklist.check_package", lambda package: warned)
    assert [item.detail for item in zoo_checklist(package) if item.level == "should"] == ["links: a warning"]


@pytest.mark.parametrize(("content", "words"), [(None, "does not exist"), (b"no zip", "is not a bioimage.io package")])
def test_what_is_no_package_is_refused_in_one_line(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "p.zip"
    if content is not None:
        path.write_bytes(content)
    result = run(path)
    assert result.exit_code == 1
    assert words in result.output.splitlines()[-1]


# --- the command, up to sending ---


def test_nothing_is_sent_while_something_must_be_changed(rgb: Packaged, zoo: ZooStandIn) -> None:
    result = run(rgb.package, "--yes", token=TOKEN)
    assert result.exit_code == 1
    assert "must  maintainers" in result.output
    assert "1 of these must be changed" in result.output
    assert not zoo.created


def test_without_a_token_it_says_how_to_get_one_and_stops(package: Path, zoo: ZooStandIn) -> None:
    result = run(package, "--yes")
    assert result.exit_code == 1
    assert "https://bioimage.io/#/api" in result.output
    assert f"{TOKEN_VARIABLE} is not set" in result.output.splitlines()[-1]
    assert not zoo.created


@pytest.mark.parametrize(("words", "needle"), [(("--check-only",), "ok  weights"), (("--by-hand",), "choose Upload")])
def test_checking_and_the_way_by_hand_need_no_token_and_send_nothing(
    package: Path, zoo: ZooStandIn, words: tuple[str, ...], needle: str
) -> None:
    result = run(package, *words)
    assert result.exit_code == 0, result.output
    assert needle in result.output
    assert not zoo.created


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_nothing_is_sent_without_a_yes(package: Path, zoo: ZooStandIn, answer: str) -> None:
    assert run(package, answer=answer, token=TOKEN).exit_code == 1
    assert not zoo.created


# --- the upload, to the stand-in ---


@pytest.mark.parametrize("words", [("--yes",), ("--yes", "--token", TOKEN), ()])
def test_the_whole_package_arrives_and_a_review_is_asked_for(package: Path, zoo: ZooStandIn, words: tuple[str, ...]) -> None:
    from bioimageio.spec import settings

    result = run(package, *words, answer="y\n", token=None if "--token" in words else TOKEN)
    assert result.exit_code == 0, result.output
    assert f"/{ARTIFACT}/files/rdf.yaml" in result.output.splitlines()[-1]
    [created], [edited] = zoo.created, zoo.edited
    assert created["version"] == edited["version"] == "stage"
    assert created["manifest"]["name"] == "Tiny test model"
    assert edited["manifest"]["status"] == "request-review"
    with zipfile.ZipFile(package) as archive:
        sent = {name: content for name, content in zoo.files.items() if name not in ("rdf.yaml", "bioimageio.yaml")}
        assert sent == {name: archive.read(name) for name in archive.namelist() if name != "rdf.yaml"}
    assert "Sent file 1: " in result.output
    assert "signature" not in result.output
    assert settings.hypha_upload_token is None


def test_a_refused_token_leaves_nothing_there(package: Path, zoo: ZooStandIn) -> None:
    with pytest.raises(RetinaJError, match=r"not a token of the stand-in.*Nothing is on the server"):
        upload_package(package, "another", print)
    assert not zoo.created


@pytest.mark.parametrize(("call", "status"), [("put_file", 500), ("PUT", 403), ("edit", 500)])
def test_a_refusal_on_the_way_is_told_with_what_is_there(package: Path, zoo: ZooStandIn, call: str, status: int) -> None:
    zoo.refuse = {call: status}
    with pytest.raises(RetinaJError, match=r"A draft with \d+ files was made, but is not in review") as caught:
        upload_package(package, TOKEN, lambda line: None)
    assert str(status) in str(caught.value)
    assert "secret" not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_one_lost_file_is_not_taken_for_a_success(package: Path, zoo: ZooStandIn) -> None:
    zoo.refuse, zoo.refuse_file = {"PUT": 503}, "weights.onnx"
    with pytest.raises(RetinaJError, match=r"refused PUT /store/weights\.onnx \(503\)"):
        upload_package(package, TOKEN, lambda line: None)


def test_without_a_network_it_says_so(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bioimageio.spec import settings

    with zoo_stand_in() as gone:
        pass
    monkeypatch.setattr(settings, "hypha_upload", gone.url)
    result = run(package, "--yes", token=TOKEN)
    assert result.exit_code == 1
    assert "ConnectError" in result.output.splitlines()[-1]
    assert "Nothing is on the server" in result.output.splitlines()[-1]
