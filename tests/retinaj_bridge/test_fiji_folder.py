"""Recognising a Fiji, whatever part of it was named, and finding it."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from retinaj.errors import RetinaJError
from retinaj_bridge.fiji import choosing, folder
from retinaj_bridge.fiji.choosing import choose_fiji
from retinaj_bridge.fiji.folder import FijiFolder, find_fijis, open_fiji


def lay_out(path: Path, *files: str) -> Path:
    """A folder with plugins and these empty files."""
    (path / "plugins").mkdir(parents=True)
    for name in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).touch()
    return path


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (("jars/ij-1.54f.jar", "ImageJ-linux64"), ("", "ImageJ-linux64", "plugins", "jars", "..")),
        (("jars/ij-1.54p.jar", "fiji-windows-x64.exe"), ("", "fiji-windows-x64.exe")),
        (("jars/imagej-2.14.0.jar", "jars/ij-1.54f.jar", "Contents/MacOS/ImageJ-macosx"), ("", "Contents/MacOS/ImageJ-macosx")),
        (("jars/ij-1.54p.jar", "Fiji.app/Contents/MacOS/fiji-macos-arm64"), ("", "Fiji.app", "Fiji.app/Contents/MacOS")),
        (("ij.jar", "ImageJ"), ("", "ImageJ", "ij.jar")),
        (("ImageJ.app/Contents/Java/ij.jar",), ("", "ImageJ.app")),
    ],
)
def test_every_part_leads_to_the_folder(tmp_path: Path, files: tuple[str, ...], named: tuple[str, ...]) -> None:
    path = lay_out(tmp_path / "place" / "My Fiji.app", *files)
    for part in named:
        assert open_fiji(path / part).path.resolve() == path.resolve(), part


def test_what_is_not_a_fiji_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    expected = "expected the folder of a Fiji or ImageJ, the one with the folder plugins and the folder jars"
    (tmp_path / "file.txt").touch()
    (tmp_path / "empty").mkdir()
    lay_out(tmp_path / "other" / "x", "jars/something-1.0.jar")
    for path in ("nowhere", "file.txt", "empty", "other"):
        with pytest.raises(RetinaJError, match=expected) as error:
            open_fiji(tmp_path / path)
        assert str(tmp_path / path) in str(error.value)


def test_a_folder_with_two_is_not_guessed_about(tmp_path: Path) -> None:
    for name in ("Fiji old", "Fiji.app"):
        lay_out(tmp_path / name, "jars/ij-1.54f.jar")
    with pytest.raises(RetinaJError, match=r"holds several: .*Fiji old, .*Fiji\.app\. Name one of them"):
        open_fiji(tmp_path)


def test_imagej_version(tmp_path: Path) -> None:
    assert FijiFolder(lay_out(tmp_path / "a", "jars/ij-1.54f.jar", "jars/ij1-patcher-1.2.jar")).imagej_version() == "1.54f"
    plain = FijiFolder(lay_out(tmp_path / "b", "ij.jar"))
    assert plain.imagej_version() is None
    with zipfile.ZipFile(tmp_path / "b" / "ij.jar", "w") as jar:
        jar.writestr("META-INF/maven/net.imagej/ij/pom.properties", "artifactId=ij\nversion=1.53t\n")
    assert plain.imagej_version() == "1.53t"


@pytest.mark.parametrize(
    "place",
    ["java/linux64/zulu8/jre", "java/macosx/zulu/zulu-8.jre/Contents/Home", "jre", "java/win64/jdk1.8.0_172"],
)
def test_the_java_that_came_with_it(tmp_path: Path, place: str) -> None:
    program = "java.exe" if sys.platform == "win32" else "java"
    fiji = FijiFolder(lay_out(tmp_path / "Fiji", "jars/ij-1.54f.jar", f"{place}/bin/{program}"))
    assert fiji.javas() == [tmp_path / "Fiji" / place]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of our own as the only place to look into."""
    monkeypatch.setattr(folder, "usual_places", lambda: [tmp_path, tmp_path / "Desktop", tmp_path / "not there"])
    monkeypatch.setattr(choosing, "usual_places", folder.usual_places)
    return tmp_path


def test_nothing_found(places: Path) -> None:
    (places / "Fiji notes").mkdir()
    with pytest.raises(RetinaJError, match=r"No Fiji was found in .*Say where it is: `retinaj fiji install FOLDER`"):
        choose_fiji(None, command="retinaj fiji install", installed=False)


def test_the_only_one_is_taken_and_of_several_a_list_is_given(places: Path) -> None:
    first = lay_out(places / "Desktop" / "Fiji.app", "jars/ij-1.54f.jar")
    (places / "fiji-link").symlink_to(first)
    assert len(find_fijis()) == 1  # the link and what it leads to are one
    assert choose_fiji(None, command="x", installed=False).path.resolve() == first
    second = lay_out(places / "ImageJ", "ij.jar")
    with pytest.raises(RetinaJError, match="There are 2 Fijis on this computer") as error:
        choose_fiji(None, command="retinaj fiji doctor", installed=True)
    assert f'retinaj fiji doctor "{second}"' in str(error.value)
    (second / "plugins" / "RetinaJ").mkdir()
    (second / "plugins" / "RetinaJ" / "installed.json").touch()
    assert choose_fiji(None, command="x", installed=True).path == second


def test_the_usual_places_are_those_of_this_system() -> None:
    places = folder.usual_places()
    assert places[0] == Path.home()
    assert Path.home() / "Desktop" in places
    assert Path("/Applications" if sys.platform == "darwin" else "/opt") in places or sys.platform == "win32"
