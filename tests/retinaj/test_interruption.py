"""Ctrl-C, closed pipes and places that cannot be written to: one line, no traceback, nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import typer
from typer.testing import CliRunner

from retinaj import files
from retinaj.annotations import pascal_voc
from retinaj.boxes import Boxes
from retinaj.cli import app
from retinaj.cli.common import with_plain_errors
from retinaj.errors import RetinaJError
from retinaj.files import atomic_folder, atomic_path, require_absent, write_text

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
# Interrupts itself while modules are imported; the second line swallows exceptions, as callbacks of the import system do.
IMPORTING = """
import signal, sys
from retinaj.interruption import handle_interruptions
signal.signal(signal.SIGINT, signal.default_int_handler)
handle_interruptions()
sys.path.insert(0, sys.argv[1])
try:
    import slow
except BaseException:
    pass
print("GONE ON")
"""
SLOW = "import signal\nsignal.raise_signal(signal.SIGINT)\n"


def data(folder: Path, width: int = 80) -> tuple[Path, Path]:
    """Two images with a box each."""
    images, annotations = folder / "images", folder / "annotations"
    images.mkdir()
    annotations.mkdir()
    for at in range(2):
        tifffile.imwrite(images / f"{at}.tif", np.full((60, width), 50 + at, np.uint8))
        boxes = Boxes(np.array([[5, 5, 30, 30]], np.float32), np.array([0], np.int32), ("cell",))
        pascal_voc.write(annotations / f"{at}.xml", boxes, image_name=f"{at}.tif", size=(width, 60), channels=1)
    return images, annotations


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@POSIX
def test_ctrl_c_while_importing_ends_at_once_though_exceptions_are_swallowed(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    words = [sys.executable, "-c", IMPORTING, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(), timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Stopped; nothing was written.\n")


@POSIX
def test_the_command_imports_nothing_slow_before_it_listens_to_ctrl_c() -> None:
    code = (
        "import sys, retinaj.__main__ as entry; print(sorted({'numpy', 'typer', 'rich'} & set(sys.modules)));"
        "import signal; entry.handle_interruptions(); print(signal.getsignal(signal.SIGTERM).__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "retinaj.interruption"]


@POSIX
def test_second_ctrl_c_ends_what_swallowed_the_first() -> None:
    code = (
        "import signal\nfrom retinaj.interruption import handle_interruptions\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\nhandle_interruptions()\n"
        "for _ in range(2):\n    try:\n        signal.raise_signal(signal.SIGINT)\n    except KeyboardInterrupt:\n"
        "        print('once', flush=True)\nprint('GONE ON')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "once\n", "Stopped at once.\n")


@pytest.mark.parametrize(
    ("written", "error", "said"),
    [
        (False, KeyboardInterrupt(), "Stopped; nothing was written.\n"),
        (True, KeyboardInterrupt(), "Stopped; what was finished before is kept.\n"),
        (True, KeyboardInterrupt("two images are done."), "Stopped; two images are done.\n"),
    ],
)
def test_interrupted_command_says_what_is_there(
    written: bool,
    error: KeyboardInterrupt,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(files, "_finished", set())

    def work() -> None:
        if written:
            write_text(tmp_path / "a.txt", "done")
        with atomic_folder(tmp_path / "out") as folder:
            write_text(folder / "part.txt", "not yet")
            raise error

    with pytest.raises(typer.Exit) as status:
        with_plain_errors(work)()
    assert status.value.exit_code == 130
    assert capsys.readouterr().err == said
    assert [each.name for each in tmp_path.iterdir()] == (["a.txt"] if written else [])


def test_interrupted_prediction_says_that_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(source: Path, detector: object, output: Path, **_: object) -> None:
        write_text(output / "prediction.json", "{}")
        raise KeyboardInterrupt

    monkeypatch.setattr("retinaj.cli.predict.open_model", lambda model: None)
    monkeypatch.setattr("retinaj.prediction.batch.predict", stop)
    words = ["predict", str(tmp_path), "--model", "any", "--output", str(tmp_path / "out")]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 130
    assert "the finished images are in" in shown.output
    assert "the same command goes on from there" in shown.output


def test_places_that_cannot_be_written_are_named_as_typed_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RetinaJError, match=r"file.out cannot be made, because .*file is not a folder"):
        require_absent(tmp_path / "file" / "out")
    require_absent(tmp_path / "new" / "folders" / "out")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RetinaJError, match="cannot be written to: choose another place"):
        require_absent(tmp_path / "new" / "out")


@pytest.mark.parametrize("writing", [atomic_folder, atomic_path])
def test_errors_name_the_target_and_not_the_temporary_beside_it(
    writing: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / ".out-l3a_r1"))

    monkeypatch.setattr(files.tempfile, "mkdtemp", refuse)
    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.raises(PermissionError) as error, writing(tmp_path / "out"):  # type: ignore[operator]
        pass
    assert error.value.filename == str(tmp_path / "out")


@POSIX
@pytest.mark.parametrize("command", ["describe", "check"])
def test_nobody_listening_neither_stops_the_work_nor_changes_the_status(command: str, tmp_path: Path) -> None:
    images, annotations = data(tmp_path)
    option = "--output" if command == "describe" else "--report"
    words = [sys.executable, "-m", "retinaj", command, images, annotations, option, tmp_path / "out"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(words, stdout=write, stderr=write, env=environment(), timeout=120, check=False)
    os.close(write)
    assert done.returncode == 0
    assert (tmp_path / "out").is_dir()


def test_describe_on_a_narrow_terminal_leaves_out_columns_and_breaks_no_number(tmp_path: Path) -> None:
    images, annotations = data(tmp_path)
    shown = {
        width: CliRunner().invoke(app, ["describe", str(images), str(annotations)], env={"COLUMNS": str(width)}).output
        for width in (40, 60, 100)
    }
    for width, text in shown.items():
        rows = [line for line in text.split("\n") if line.split()[:1] == ["cell"]]
        assert len(rows) == 1, text
        assert len(rows[0]) <= width
        assert "2 (100%)" in rows[0]
    assert "touch" in shown[100]
    assert "touch" not in shown[40]


def test_boxes_beside_their_images_are_not_called_empty_images(tmp_path: Path) -> None:
    images, annotations = data(tmp_path, width=4)
    shown = CliRunner().invoke(app, ["describe", str(images), str(annotations)], env={"COLUMNS": "400"})
    assert shown.exit_code == 1
    assert "Of the 2 boxes" in shown.output
    assert "all lie outside the 2 images" in shown.output
    assert "0.tif is 4 x 60 pixels" in shown.output
    assert "--axes" in shown.output
