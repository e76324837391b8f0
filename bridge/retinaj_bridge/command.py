"""The ImageJ command "RetinaJ Detect...", without Java code: a CommandListener that ImageJ asks before it runs a command."""

from __future__ import annotations

import sys
import textwrap
import traceback
from collections.abc import Callable
from typing import Any

import jpype

from retinaj.errors import RetinaJError
from retinaj_bridge.detection import DetectionCanceledError, detect_active_image
from retinaj_bridge.dialog import ask_options
from retinaj_bridge.headless_commands import HEADLESS_COMMANDS, run_headless_command
from retinaj_bridge.jvm import java_class, private_field
from retinaj_bridge.models import Models
from retinaj_bridge.options import parse_options

COMMAND = "RetinaJ Detect..."

# What ImageJ's own exceptions say when the user canceled (ij.Macro.MACRO_CANCELED).
_CANCELED = "Macro canceled"

_MODELS = Models()
_listener: Any = None


def register(gateway: object = None) -> None:
    """Make "RetinaJ Detect..." known to the ImageJ that runs in this process; once is enough.

    Args:
        gateway: what `imagej.init` returned, if ImageJ was started by it. Only a reminder to start ImageJ first: there is
            one ImageJ in a process, and the command goes into that.

    Raises:
        RetinaJError: if no ImageJ runs in this process.
    """
    global _listener
    executer = java_class("ij.Executer")
    if _listener is None:
        _listener = _CommandListener()
        executer.addCommandListener(_listener)


@jpype.JImplements("ij.CommandListener", deferred=True)
class _CommandListener:
    @jpype.JOverride
    def commandExecuting(self, command: Any) -> Any:  # noqa: N802  (ImageJ's name)
        """Return the command for ImageJ to run, or None if it was run here."""
        name = str(command)
        if name == COMMAND:
            _run_command()
            return None
        if name in HEADLESS_COMMANDS and _is_headless():
            done: list[bool] = []
            reason = _attempt(lambda: done.append(run_headless_command(name)))
            _finish_scripted(reason)
            return None if reason is not None or done[0] else command
        return command


def _run_command() -> None:
    # IJ.run, by which macros and scripts run commands, renames its thread so; the menu starts a thread named differently.
    by_script = str(java_class("java.lang.Thread").currentThread().getName()).startswith("Run$_")
    if by_script or _is_headless():
        _finish_scripted(_attempt(_detect_scripted))
    else:
        # ImageJ holds a lock while it asks its listeners; other commands must not wait for the dialog and the detection.
        java_class("java.lang.Thread")(_Task(_detect_from_menu), COMMAND).start()


def _is_headless() -> bool:
    return bool(java_class("java.awt.GraphicsEnvironment").isHeadless())


def _detect_scripted() -> None:
    options = java_class("ij.Macro").getOptions()
    has_window = java_class("ij.IJ").getInstance() is not None
    if options is None and has_window:
        _detect_from_menu()  # as ImageJ's commands do: a dialog asks for what the macro does not say
        return
    detect_active_image(parse_options("" if options is None else str(options), _macro_variable), _MODELS)


def _detect_from_menu() -> None:
    if java_class("ij.WindowManager").getCurrentImage() is None:
        raise RetinaJError("There is no image open; open the image to search, then run RetinaJ Detect... again.")
    options = ask_options(COMMAND)
    if options is None:
        raise DetectionCanceledError
    detect_active_image(options, _MODELS)


def _attempt(action: Callable[[], object]) -> str | None:
    """Run `action`. None if it went well, "" if the user canceled it, else why it failed."""
    try:
        action()
    except RetinaJError as error:
        return str(error)
    except DetectionCanceledError:
        java_class("ij.IJ").showStatus("RetinaJ: canceled")
        return ""
    except BaseException as error:  # whatever it is, JPype would lose it on its way through Java
        if isinstance(error, jpype.JException) and str(error.getMessage()) == _CANCELED:
            return ""  # Cancel, or Escape, in a dialog
        traceback.print_exc(file=sys.stderr)
        return f"RetinaJ failed unexpectedly: {type(error).__name__}: {error}"
    return None


def _finish_scripted(reason: str | None) -> None:
    """Stop the macro or script that called, if there is a reason to."""
    if reason is None:
        return
    interpreter = java_class("ij.macro.Interpreter").getInstance()
    if interpreter is None:
        # A script, or Python, called IJ.run: an exception reaches it, but leaves ImageJ in the belief that a macro runs.
        forget_macro()
        raise java_class("java.lang.RuntimeException")(reason or _CANCELED)
    try:
        if reason:
            java_class("ij.IJ").error("RetinaJ", _wrapped(reason))
        else:
            interpreter.abort(None)  # ends the macro without a message
    except jpype.JException:
        # ImageJ has marked the macro as ended and shown why, and now unwinds its own command, which this is not. Letting the
        # exception through would leave ImageJ in the belief that a macro runs; without it, the macro ends all the same.
        return


def forget_macro() -> None:
    """Clear what ImageJ leaves set when an exception ends a macro or a command: it would take all that follows for a macro."""
    java_class("ij.Macro").setOptions(None)
    private_field("ij.IJ", "macroRunning").setBoolean(None, False)
    private_field("ij.IJ", "macroInterpreter").set(None, None)
    private_field("ij.macro.Interpreter", "instance").set(None, None)


def _macro_variable(name: str) -> str | None:
    interpreter = java_class("ij.macro.Interpreter").getInstance()
    value = None if interpreter is None else interpreter.getVariableAsString(name)
    return None if value is None else str(value)


def _wrapped(reason: str) -> str:
    """In lines that fit a message box, if there is one: ImageJ's are as wide as their longest line."""
    return reason if java_class("ij.IJ").getInstance() is None else "\n".join(textwrap.wrap(reason, 90))


@jpype.JImplements("java.lang.Runnable", deferred=True)
class _Task:
    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action

    @jpype.JOverride
    def run(self) -> None:
        reason = _attempt(self._action)
        if reason:
            java_class("ij.IJ").showMessage(COMMAND, _wrapped(reason))
