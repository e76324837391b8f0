"""Running an ImageJ macro to its end, and telling why it ended."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jpype

from retinaj.errors import RetinaJError
from retinaj.files import require_file
from retinaj_bridge.command import register
from retinaj_bridge.console import MacroConsole
from retinaj_bridge.headless_roi_manager import install_headless_roi_manager
from retinaj_bridge.jvm import java_class, private_field
from retinaj_bridge.startup import start

_SUFFIXES = (".ijm", ".txt")
_CANCELED = "Macro canceled"
_SECONDS_TO_END = 5
_ROI_MANAGER_ERROR = "ij.plugin.frame.RoiManager.error("
# As the interpreter reports an error: message, line, the lines it was called from, and the code with <> around the place.
_IN_LINE = re.compile(r"(?P<message>.*) in line (?P<line>\d+)\n(?:\s*\(called from line \d+\)\n)* ?\n?(?P<code>.*)", re.DOTALL)


@dataclass(frozen=True)
class MacroOutcome:
    """What a macro left.

    Attributes:
        returned: what it returned, or None.
        printed: what it printed.
    """

    returned: str | None
    printed: str


def run_macro(path: Path, args: Sequence[str] = (), *, fiji: Path | None = None, endpoint: str | None = None) -> MacroOutcome:
    """Run an ImageJ macro without a window, with "RetinaJ Detect..." and with a working ROI Manager.

    The macro gets its arguments by `getArgument()`, one a line, so that they may hold spaces, commas and quotes:
    `args = split(getArgument(), "\\n");`. What it prints goes to the standard output.

    Args:
        path: the macro, .ijm or .txt, in UTF-8 (or Latin-1, as ImageJ wrote them formerly).
        args: texts without line breaks.
        fiji: as for `start`.
        endpoint: as for `start`.

    Raises:
        RetinaJError: if ImageJ does not start, or with the reason why the macro stopped: an error in the macro or in a
            command, or `exit("message")`. A plain `exit();` ends a macro well.
    """
    path = require_file(Path(path), "an ImageJ macro (.ijm)")
    if path.suffix.lower() not in _SUFFIXES:
        raise RetinaJError(f"{path} is not an ImageJ macro: expected a file that ends in .ijm or .txt.")
    for arg in args:
        if "\n" in arg or "\r" in arg:
            raise RetinaJError(f"The argument {arg!r} has a line break, which separates the arguments of a macro.")
    code = _read(path)
    running = start(fiji=fiji, endpoint=endpoint)
    register()
    if running.headless:
        install_headless_roi_manager()
    runner = java_class("ij.plugin.Macro_Runner")
    runner.setFilePath(str(path.resolve()))  # for getInfo("macro.filepath")
    if "#include" in code:
        code = str(java_class("ij.plugin.frame.Editor").doInclude(code))
    return _interpret(path, code, "\n".join(args))


def _read(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _interpret(path: Path, code: str, argument: str) -> MacroOutcome:
    java_class("ij.IJ").getErrorMessage()  # forgets an older one
    interpreter = java_class("ij.macro.Interpreter")()
    with MacroConsole() as console:
        run = _MacroRun(interpreter, console, code, argument)
        # ImageJ goes by names: "Macro$" lets an error in `open` stop the macro, and "Run$_" lets commands have options.
        thread = java_class("java.lang.Thread")(run, "Run$_RetinaJ_Macro$")
        thread.setDaemon(True)
        thread.start()
        _wait_for(run, thread, interpreter)
    if run.reason is not None:
        _forget_macro()
        raise RetinaJError(f"{path.name} stopped: {run.reason}")
    return MacroOutcome(run.returned, console.printed)


def _forget_macro() -> None:
    """Clear what ImageJ leaves set when an exception ends a macro: it would take all that follows for a macro."""
    java_class("ij.Macro").setOptions(None)
    private_field("ij.IJ", "macroRunning").setBoolean(None, False)
    private_field("ij.IJ", "macroInterpreter").set(None, None)
    private_field("ij.macro.Interpreter", "instance").set(None, None)


@jpype.JImplements("java.lang.Runnable", deferred=True)
class _MacroRun:
    """A macro in a thread of its own: Python's main thread must stay free to notice Ctrl-C."""

    def __init__(self, interpreter: Any, console: MacroConsole, code: str, argument: str) -> None:
        self._interpreter = interpreter
        self._console = console
        self._code = code
        self._argument = argument
        self.returned: str | None = None
        self.reason: str | None = None
        self.finished = threading.Event()

    @jpype.JOverride
    def run(self) -> None:
        try:
            returned = self._interpreter.run(self._code, self._argument)
            self.returned = None if returned is None else str(returned)
            self.reason = _reason(self._console, self._interpreter) if bool(self._interpreter.wasError()) else None
        except jpype.JException as error:
            self.reason = _reason_of_exception(error, self._console, self._interpreter)
        except Exception as error:  # which JPype would lose on its way through Java
            self.reason = f"RetinaJ failed unexpectedly: {type(error).__name__}: {error}"
        finally:
            self.finished.set()


def _wait_for(run: _MacroRun, thread: Any, interpreter: Any) -> None:
    """Wait for the macro; on Ctrl-C, end it first."""
    try:
        # Not in Java, where Ctrl-C would break in as an InterruptedException; and not for ever, which Windows cannot break.
        while not run.finished.wait(0.1):
            pass
    except KeyboardInterrupt:
        java_class("java.lang.Thread").interrupted()  # takes back the interruption of this thread, which JPype makes of Ctrl-C
        java_class("ij.IJ").setKeyDown(java_class("java.awt.event.KeyEvent").VK_ESCAPE)  # what a detection looks at
        interpreter.abort(None)
        thread.interrupt()  # wakes `wait`
        run.finished.wait(_SECONDS_TO_END)
        raise


def _reason_of_exception(error: Any, console: MacroConsole, interpreter: Any) -> str | None:
    """Why a macro ended by an exception; None if that was `exit()`."""
    message = str(error.getMessage())
    frames = [str(frame) for frame in error.getStackTrace()]
    if message == _CANCELED:
        by_exit = bool(frames) and frames[0].startswith("ij.macro.Functions.exit(")
        return (_one_line(console.take_reason()) or None) if by_exit else _reason(console, interpreter)
    line = f"(line {int(interpreter.getLineNumber())})"
    refusal = next((at for at, frame in enumerate(frames) if frame.startswith(_ROI_MANAGER_ERROR)), None)
    if refusal is not None:
        # It says why in a window only.
        command = frames[refusal + 1].partition("(")[0].rpartition(".")[2]
        return f"the ROI Manager could not {command}: it is empty, no ROI or not the right number is selected {line}"
    if "HeadlessException" in type(error).__name__ or "headless" in message:
        return f"it needs a window or a dialog, and it runs without a display; give it what it asks for as arguments {line}"
    return f"{type(error).__name__}: {message} {line}"


def _reason(console: MacroConsole, interpreter: Any) -> str:
    kept = java_class("ij.IJ").getErrorMessage() or interpreter.getErrorMessage() or "it was canceled."
    text = console.take_reason() or str(kept)
    text = re.sub(r"^(Macro Error|No Image): ", "", text)
    parts = _IN_LINE.fullmatch(text)
    if parts is None:
        return _one_line(text)
    return f"{_one_line(parts['message'])} (line {parts['line']}: {parts['code'].strip()})"


def _one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text).strip()
