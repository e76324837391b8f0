"""The verb `info`: a page about a model, made of what strangers may have written."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_detector import open_fake
from PIL import Image
from small_packages import write_small_package
from tiny_models import write_tiny_model

from retinaj.errors import RetinaJError
from retinaj_bridge.models import Models
from retinaj_bridge.server import Call
from retinaj_bridge.verbs.info import info_verb

HOSTILE = '<script src="x">&"\'</script>'


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("info") / "tiny")


def ask(path: Path, open_model: Callable[[Path], Any] = open_fake) -> dict[str, Any]:
    return dict(info_verb(Models(open_model=open_model))({"model": str(path).encode()}, Call()))


def test_a_model_folder_with_its_example(model: Path) -> None:
    answer = ask(model / "model.json")
    assert answer["name"] == "Tiny test model"
    picture = Image.open(io.BytesIO(answer["picture"]))
    assert (picture.format, str(picture.width), str(picture.height)) == ("PNG", answer["width"], answer["height"])
    assert max(picture.size) == 480
    assert f'<img src="PICTURE" width="{picture.width}" height="{picture.height}">' in answer["html"]
    assert "What it finds on plate 7.tif, a validation image, at the threshold 0.4." in answer["html"]
    assert "<td>µ|x</td>" in answer["html"]
    assert "30 training objects" in answer["html"]
    assert re.search(r"^training +8 images with 40 boxes", answer["text"], re.MULTILINE)


def test_without_an_example_the_page_has_none(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "copy")
    (tmp_path / "copy" / "training" / "sample.json").unlink()
    answer = ask(tmp_path / "copy", lambda path: pytest.fail("the model is not needed"))
    assert (answer["picture"], answer["width"]) == (b"", "0")
    assert "<img" not in answer["html"]


def test_what_strangers_wrote_stays_text(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "copy")
    record = json.loads((tmp_path / "copy" / "model.json").read_text(encoding="utf-8"))
    record["name"] = HOSTILE
    record["class_names"][0] = HOSTILE
    (tmp_path / "copy" / "model.json").write_text(json.dumps(record), encoding="utf-8")
    html = ask(tmp_path / "copy")["html"]
    assert "<script" not in html
    assert html.count("&lt;script src=&#34;x&#34;&gt;") >= 2
    assert html.count('src="') == 1


@pytest.mark.parametrize(("path", "expected"), [("nothing", "does not exist"), ("", "The model is missing")])
def test_what_is_no_model_is_refused(tmp_path: Path, path: str, expected: str) -> None:
    with pytest.raises(RetinaJError, match=expected):
        info_verb(Models(open_model=open_fake))({"model": str(tmp_path / path).encode() if path else b""}, Call())


def package(tmp_path: Path, files: dict[str, bytes], **fields: object) -> Path:
    """A package with these fields and files added."""
    plain = write_small_package(tmp_path / "plain.zip", np.array([[1, 1, 9, 9, 0.9, 1]], np.float32))
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(tmp_path / "package.zip", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "rdf.yaml":
                content = json.dumps(json.loads(content) | fields).encode()
            target.writestr(name, content)
        for name, content in files.items():
            target.writestr(name, content)
    return tmp_path / "package.zip"


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (255, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def test_a_package_shows_its_cover_and_card(tmp_path: Path) -> None:
    files = {"cover.png": png(900, 450), "doc.md": f"# How to\n\nUse it. {HOSTILE}".encode()}
    answer = ask(package(tmp_path, files, covers=["cover.png"], documentation="doc.md", description="Finds cells."))
    assert Image.open(io.BytesIO(answer["picture"])).size == (480, 240)
    assert "<p>Finds cells.</p><p># How to</p><p>Use it. &lt;script" in answer["html"]
    assert answer["text"].endswith(HOSTILE)


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (b"no picture", {"covers": ["cover.png"]}),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\x01\0\0\0\x01\0\0\x08\x02\0\0\0", {"covers": ["cover.png"]}),  # 65,536 pixels wide
        (png(9, 9), {"covers": ["../../cover.png"]}),
        (png(9, 9), {"covers": [["cover.png"]]}),
        (png(9, 9), {"covers": "cover.png"}),
        (png(9, 9), {"documentation": "/etc/passwd.md"}),
        (png(9, 9), {"documentation": {"a": 1}, "description": 3}),
    ],
)
def test_a_package_without_a_usable_cover_is_shown_all_the_same(
    tmp_path: Path, content: bytes, fields: dict[str, object]
) -> None:
    answer = ask(package(tmp_path, {"cover.png": content}, **fields))
    assert answer["picture"] == b""
    assert "<h1>Small package</h1>" in answer["html"]
    assert "root:" not in answer["html"]
