"""`run_macro`: what comes out of a macro, and why it stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import retinaj_bridge
from retinaj.errors import RetinaJError
from retinaj_bridge import MacroOutcome
from retinaj_bridge.plugin_jar import plugin_jar

Classes = Callable[[str], Any]
RunMacro = Callable[..., MacroOutcome]


def test_printed_and_returned(run_macro: RunMacro, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run_macro('print("µ", 1.5); IJ.log("two\\nlines"); print("" + getInfo("macro.filepath")); return "done";')
    lines = outcome.printed.splitlines()
    assert lines[:3] == ["µ 1.5", "two", "lines"]
    assert lines[3].endswith("macro under test.ijm")
    assert outcome.returned == "done"
    assert capsys.readouterr().out == outcome.printed


def test_arguments_one_a_line(run_macro: RunMacro) -> None:
    args = ("model=/my models/[x] 'y'", 'a,b;c "d"', "µ=\\")
    code = 'a = split(getArgument(), "\\n"); for (i = 0; i < a.length; i++) print(i + ":" + a[i]);'
    assert run_macro(code, *args).printed.splitlines() == [f"{at}:{arg}" for at, arg in enumerate(args)]


def test_no_arguments(run_macro: RunMacro) -> None:
    assert run_macro('print("<" + getArgument() + ">");').printed == "<>\n"


@pytest.mark.parametrize("code", ["exit();", "exit;", 'if (true) exit(); print("x");', "f(); function f() { exit(); }"])
def test_plain_exit_is_a_good_end(run_macro: RunMacro, code: str) -> None:
    assert run_macro(code) == MacroOutcome(None, "")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ('exit("No cells found.");', r"No cells found\."),
        ('exit("two\\nlines");', "two lines"),
        ("x = ;", r"Number or numeric function expected \(line 1: x = <;> .*"),
        ('print("open', ".*"),
        ("print(1); nonsense(2);", r"Undefined identifier \(line 1: .*<nonsense>.*"),
        ("\n\nx = newArray(2);\ny = x[5];", r"Index \(5\) out of 0-1 range \(line 4: .*"),
        ("f(3);\nfunction f(n) {\n  x = newArray(2); y = x[n];\n}", r"Index \(3\) out of 0-1 range \(line 3: .*"),
        ('run("No Such Command");', r'Unrecognized command: "No Such Command" \(line 1: .*'),
        ('run("Gaussian Blur...", "sigma=2");', r"There are no images open \(line 1: .*"),
        ("makeRectangle(1, 1, 2, 2);", r"There are no images open \(line 1: .*"),
        ('open("/no such/image.tif");', r"File not found: /no such/image\.tif"),
        ('File.copy("/no such/a", "/no such/b");', r".*\(line 1: .*"),
        ('x = getNumber("How many?", 3);', r"it needs a window or a dialog.* \(line 1\)"),
        ('\nDialog.create("x"); Dialog.addNumber("n", 1); Dialog.show();', r"it needs a window or a dialog.* \(line 2\)"),
        ('waitForUser("Draw a box.");', "it needs a window or a dialog.*"),
        ('x = getBoolean("Go on?");', "it needs a window or a dialog.*"),
        ('roiManager("save", "/tmp/empty.zip");', "the ROI Manager could not save: it is empty, .*"),
        ('roiManager("select", 3);', r"Invalid|.*\(line 1: .*"),
        ('requires("9.99z");', ".*9.99z.*"),
    ],
)
def test_why_it_stopped(
    run_macro: RunMacro, imagej: Classes, capsys: pytest.CaptureFixture[str], code: str, reason: str
) -> None:
    with pytest.raises(RetinaJError, match=rf"(?s)^macro under test\.ijm stopped: ({reason})$") as caught:
        run_macro(code + ' print("GONE ON");')
    assert "\n" not in str(caught.value)
    captured = capsys.readouterr()
    assert "GONE ON" not in captured.out
    # The reason is told once.
    assert "Macro Error" not in captured.out + captured.err
    # and ImageJ is as before
    assert not bool(imagej("ij.IJ").isMacro())
    assert run_macro('print("next");').printed == "next\n"


def test_a_called_macro_that_fails_does_not_stop_the_caller(run_macro: RunMacro) -> None:
    outcome = run_macro('r = eval("exit(\\"inner\\")"); print("called"); r = eval("nonsense(1);"); print(r);')
    lines = outcome.printed.splitlines()
    assert lines[:2] == ["inner", "called"]
    assert lines[-1] == "[aborted]"


def test_show_message_is_printed(run_macro: RunMacro) -> None:
    assert run_macro('showMessage("Title", "Done.");').printed == "Done.\n"


def test_images_stay_open_for_the_next_macro(run_macro: RunMacro) -> None:
    run_macro('newImage("kept", "8-bit", 5, 5, 1);')
    assert run_macro("print(nImages, getTitle());").printed == "1 kept\n"


def test_unreadable_images_can_be_left_out(run_macro: RunMacro, tmp_path: Path) -> None:
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"II*\0 and nothing else")
    outcome = run_macro(f'IJ.redirectErrorMessages(); open("{bad}"); print(nImages);')
    assert outcome.printed.splitlines()[-1] == "0"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_encodings(running_imagej: object, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes('print("Größe");'.encode(encoding))
    assert retinaj_bridge.run_macro(path).printed == "Größe\n"


def test_not_a_macro(tmp_path: Path) -> None:
    with pytest.raises(RetinaJError, match=r"a\.ijm does not exist; expected an ImageJ macro"):
        retinaj_bridge.run_macro(tmp_path / "a.ijm")
    script = tmp_path / "a.py"
    script.touch()
    with pytest.raises(RetinaJError, match=r"ends in \.ijm or \.txt"):
        retinaj_bridge.run_macro(script)
    (tmp_path / "a.ijm").touch()
    with pytest.raises(RetinaJError, match="line break"):
        retinaj_bridge.run_macro(tmp_path / "a.ijm", ["a\nb"])


def test_plugin_folder_is_not_the_current_one(run_macro: RunMacro) -> None:
    """A start-up macro or plugin in the folder that the user is in must not run."""
    printed = run_macro('print(getInfo("plugins.dir"));').printed.strip()
    assert Path(printed) == plugin_jar().parents[1]
    assert [path.name for path in Path(printed).rglob("*") if path.is_file()] == ["RetinaJ_.jar"]
