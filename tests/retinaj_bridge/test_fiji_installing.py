"""`retinaj fiji install` and `uninstall`: what they put into a Fiji, take out, and leave alone."""

from __future__ import annotations

import errno
import json
import os
import sys
import zipfile
from pathlib import Path

import pytest
from standalone_imagej import make_fiji
from typer.testing import CliRunner

from retinaj import __version__
from retinaj.cli import app
from retinaj.errors import RetinaJError
from retinaj_bridge.fiji import installing
from retinaj_bridge.fiji.example_macros import menu_name
from retinaj_bridge.fiji.folder import FijiFolder
from retinaj_bridge.fiji.installing import install, uninstall
from retinaj_bridge.fiji.properties import read_properties

_HASH = "0" * 64


@pytest.fixture
def fiji(tmp_path: Path) -> FijiFolder:
    return make_fiji(tmp_path / "Fiji.app")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_install_and_uninstall_leave_no_trace(fiji: FijiFolder, repository: Path) -> None:
    (fiji.plugins / "Other_.jar").write_text("mine")
    before = snapshot(fiji.path)
    done = install(fiji)
    assert (done.folder, done.replaced, done.kept, done.put_aside) == (fiji.plugins / "RetinaJ", None, (), ())
    macros = {menu_name(path) for path in (repository / "macros").glob("*.ijm")}
    assert {path.name for path in (done.folder / "Examples").iterdir()} == macros
    assert read_properties(done.folder / "retinaj.properties") == {"python": sys.executable, "version": __version__}
    with zipfile.ZipFile(done.folder / "RetinaJ_.jar") as jar:
        assert "retinaj/Detect.class" in jar.namelist()
    assert not list(done.folder.rglob(".*"))  # nothing temporary
    removal = uninstall(fiji)
    assert (removal.removed, removal.kept, removal.others) == (2 + len(macros), (), ())
    assert snapshot(fiji.path) == before
    assert not done.folder.exists()


def test_an_older_version_is_replaced(fiji: FijiFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"RetinaJ_.jar": b"old jar", "retinaj.properties": b"old", "Examples/Gone_.ijm": b"old macro"}
    with monkeypatch.context() as patched:
        patched.setattr(installing, "_files", lambda _: files)
        patched.setattr(installing, "__version__", "0.0.9")
        install(fiji)
    done = install(fiji)
    assert done.replaced == "0.0.9"
    assert (done.folder / "RetinaJ_.jar").read_bytes() != b"old jar"
    assert not (done.folder / "Examples" / "Gone_.ijm").exists()
    assert uninstall(fiji).others == ()
    assert not done.folder.exists()


@pytest.mark.parametrize("name", ["RetinaJ_.jar", "retinaj.properties"])
def test_a_file_of_others_in_the_way_is_not_overwritten(fiji: FijiFolder, name: str) -> None:
    mine = fiji.plugins / "RetinaJ" / name
    mine.parent.mkdir()
    mine.write_text("mine")
    before = snapshot(fiji.path)
    with pytest.raises(RetinaJError, match=rf"{name} is in the way, and `retinaj fiji install` did not put it there"):
        install(fiji)
    assert snapshot(fiji.path) == before


def test_a_link_in_the_way_is_not_followed(fiji: FijiFolder, tmp_path: Path) -> None:
    install(fiji)
    target = tmp_path / "somewhere else"
    jar = fiji.plugins / "RetinaJ" / "RetinaJ_.jar"
    jar.rename(target)
    jar.symlink_to(target)
    with pytest.raises(RetinaJError, match="is in the way"):
        install(fiji)
    assert uninstall(fiji).kept == ("RetinaJ_.jar",)
    assert target.exists()


def test_what_the_user_changed_is_kept(fiji: FijiFolder) -> None:
    folder = install(fiji).folder
    (folder / "Examples" / "Detect_folder.ijm").write_text("// mine")
    (folder / "retinaj.properties").write_text("python=/mine\n")
    (folder / "notes.txt").write_text("mine, too")
    again = install(fiji)
    assert again.kept == ("Examples/Detect_folder.ijm",)
    assert again.put_aside == (("retinaj.properties", "retinaj.properties.changed-1"),)
    assert (folder / "retinaj.properties.changed-1").read_text() == "python=/mine\n"
    assert read_properties(folder / "retinaj.properties")["python"] == sys.executable
    (folder / "RetinaJ_.jar").write_text("changed")
    removal = uninstall(fiji)
    assert removal.kept == ("RetinaJ_.jar",)
    assert removal.others == ("Examples/Detect_folder.ijm", "notes.txt", "retinaj.properties.changed-1")
    assert (folder / "Examples" / "Detect_folder.ijm").read_text() == "// mine"
    assert (folder / "RetinaJ_.jar").read_text() == "changed"


@pytest.mark.parametrize("failing", ["RetinaJ_.jar", "retinaj.properties", "Detect_folder.ijm"])
def test_an_interrupted_installation_is_continued(fiji: FijiFolder, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(installing, "_files", lambda _: {"RetinaJ_.jar": b"old", "retinaj.properties": b"old"})
        install(fiji)
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target.name == failing:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refuse)
        with pytest.raises(KeyboardInterrupt):
            install(fiji)
    done = install(fiji)  # takes nothing for somebody else's
    assert (done.kept, done.put_aside) == ((), ())
    uninstall(fiji)
    assert not done.folder.exists()


def test_a_full_disk_changes_nothing(fiji: FijiFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = install(fiji).folder
    before = {name: data for name, data in snapshot(folder).items() if name != "installed.json"}

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RetinaJError, match=r"could not be written: No space left on device\. Make room"):
        install(fiji)
    assert {name: data for name, data in snapshot(folder).items() if name != "installed.json"} == before


def test_a_fiji_that_cannot_be_written_to(fiji: FijiFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(fiji.plugins / "RetinaJ"))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RetinaJError, match=r"installed\.json cannot be written: .*\. If Fiji is running, close it"):
        install(fiji)


def test_a_file_where_the_folder_should_be(fiji: FijiFolder) -> None:
    (fiji.plugins / "RetinaJ").write_text("a file")
    with pytest.raises(RetinaJError, match=r"RetinaJ/installed\.json leads through a file where a folder is needed"):
        install(fiji)


@pytest.mark.parametrize(
    "files",
    [
        {"../../jars/ij-1.54p.jar": ["0" * 64]},
        {"/etc/passwd": ["0" * 64]},
        {"a": ["x"]},
        {"..\\a": ["0" * 64]},
        {"": []},
        ["a"],
    ],
)
def test_a_manifest_that_leads_elsewhere_is_refused(fiji: FijiFolder, files: object) -> None:
    folder = install(fiji).folder
    content = json.dumps({"format": "retinaj-installed", "format_version": 1, "version": "1", "files": files})
    (folder / "installed.json").write_text(content)
    before = snapshot(fiji.path)
    for command in (install, uninstall):
        with pytest.raises(RetinaJError, match=r"the list of what RetinaJ has installed, is damaged: .*Delete the folder"):
            command(fiji)
    assert snapshot(fiji.path) == before


def test_uninstalling_what_is_not_there(fiji: FijiFolder) -> None:
    with pytest.raises(RetinaJError, match=r"RetinaJ is not installed in .*Fiji\.app"):
        uninstall(fiji)


def test_the_commands(fiji: FijiFolder) -> None:
    run = CliRunner()
    done = run.invoke(app, ["fiji", "install", str(fiji.path)])
    assert done.exit_code == 0, done.output
    assert f"RetinaJ is installed in {fiji.plugins / 'RetinaJ'}." in done.output
    assert "Restart Fiji, and choose Plugins > RetinaJ" in done.output
    (fiji.plugins / "RetinaJ" / "Examples" / "Detect_folder.ijm").write_text("mine")
    done = run.invoke(app, ["fiji", "install", str(fiji.path)])
    assert f"in place of version {__version__}" in done.output
    assert "Detect_folder.ijm was changed by somebody and stays as it is" in done.output
    (fiji.plugins / "RetinaJ_old.jar").touch()
    done = run.invoke(app, ["fiji", "install", str(fiji.path)])
    assert "RetinaJ_old.jar is another copy of the commands" in done.output.replace("\n", " ")
    (fiji.plugins / "RetinaJ_old.jar").unlink()
    done = run.invoke(app, ["fiji", "uninstall", str(fiji.path)])
    assert done.exit_code == 0, done.output
    assert f"RetinaJ is no longer in {fiji.path}" in done.output
    assert "Detect_folder.ijm is not as RetinaJ installed it, and stays" in done.output
    done = run.invoke(app, ["fiji", "uninstall", str(fiji.path)])
    assert done.exit_code == 1
    assert done.output.startswith("Error: RetinaJ is not installed in ")
