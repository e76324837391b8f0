from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_detector import fake_detector

from retinaj.errors import RetinaJError
from retinaj.prediction.detector import Detector
from retinaj_bridge.models import Models


class Opener:
    def __init__(self) -> None:
        self.opened: list[Path] = []

    def __call__(self, path: Path) -> Detector:
        self.opened.append(path)
        return fake_detector()


def make_model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.json").write_text("{}")
    return folder


def test_opened_once_until_it_changes(tmp_path: Path) -> None:
    model, opener = make_model(tmp_path / "a"), Opener()
    models = Models(open_model=opener)
    first = models.open(model)
    assert models.open(model) is first
    os.utime(model / "model.json", ns=(1, 1))
    second = models.open(model)
    assert second is not first
    (model / "model.json").write_text("{ }")
    assert models.open(model) is not second
    assert opener.opened == [model] * 3


def test_a_package_too(tmp_path: Path) -> None:
    package, opener = tmp_path / "p.zip", Opener()
    package.write_bytes(b"1")
    models = Models(open_model=opener)
    assert models.open(package) is models.open(package)
    package.write_bytes(b"22")
    models.open(package)
    assert len(opener.opened) == 2


def test_the_description_stands_for_its_folder(tmp_path: Path) -> None:
    model, opener = make_model(tmp_path / "a"), Opener()
    models = Models(open_model=opener)
    assert models.open(model / "model.json") is models.open(model)
    assert opener.opened == [model]


def test_the_one_unused_for_longest_goes(tmp_path: Path) -> None:
    a, b, c = (make_model(tmp_path / name) for name in "abc")
    opener = Opener()
    models = Models(keep=2, open_model=opener)
    for model in (a, b, a, c, a, b):
        models.open(model)
    assert opener.opened == [a, b, c, b]


def test_nothing_is_kept_of_a_failure(tmp_path: Path) -> None:
    model = make_model(tmp_path / "a")
    answers: list[Detector | Exception] = [RetinaJError("damaged"), fake_detector()]

    def opener(path: Path) -> Detector:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    models = Models(open_model=opener)
    with pytest.raises(RetinaJError, match="damaged"):
        models.open(model)
    assert models.open(model).name == "fake"


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(RetinaJError, match=r"nothing here does not exist; expected a model folder"):
        Models().open(tmp_path / "nothing here")


def test_real_models_are_opened_by_the_zoo(tmp_path: Path) -> None:
    model = make_model(tmp_path / "a")
    with pytest.raises(RetinaJError, match=r"model\.json"):
        Models().open(model)
