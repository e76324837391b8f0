"""The demo: what it checks before it starts, how it shows and stops its steps."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from retinaj import demo
from retinaj.errors import RetinaJError
from retinaj.example_data import make_example_data


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return make_example_data(tmp_path / "plates", train=2, validation=1, test=1, size=64)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=80)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("missing", ["JPEGImages", "Annotations", "ImageSets/Main/test.txt"])
def test_an_incomplete_folder_is_refused_before_anything_is_made(
    missing: str, voc: Path, tmp_path: Path, console: Console
) -> None:
    path = voc / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(RetinaJError, match=r"does not exist; expected .* ImageSets/Main") as error:
        demo.run_demo(voc, tmp_path / "out", console=console)
    assert str(path) in str(error.value)
    assert not (tmp_path / "out").exists()
    assert shown(console) == ""


def test_a_folder_with_something_in_it_is_not_overwritten(voc: Path, console: Console) -> None:
    with pytest.raises(RetinaJError, match="does not overwrite"):
        demo.run_demo(voc, output=voc, console=console)
    assert shown(console) == ""


def test_a_failing_step_ends_the_demo_and_says_which_it_was(voc: Path, tmp_path: Path, console: Console) -> None:
    for annotation in (voc / "Annotations").iterdir():
        annotation.write_text("<annotation><object/></annotation>")
    with pytest.raises(RetinaJError, match=r"`retinaj train .* failed with exit code 1"):
        demo.run_demo(voc, tmp_path / "out", epochs=1, console=console)
    assert shown(console).splitlines()[1].startswith(f"$ retinaj train {voc / 'JPEGImages'} {voc / 'Annotations'} --names")
    assert [path.name for path in (tmp_path / "out").iterdir()] == []


def test_each_demo_makes_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for expected in ("retinaj-demo", "retinaj-demo-2", "retinaj-demo-3"):
        folder = demo.new_folder()
        assert folder == Path(expected)
        folder.mkdir()


def test_the_macro_is_found_and_a_missing_one_is_named(repository: Path) -> None:
    assert demo.find_macro("detect_folder.ijm") == repository / "macros" / "detect_folder.ijm"
    with pytest.raises(RetinaJError, match=r"nothing\.ijm is neither"):
        demo.find_macro("nothing.ijm")
