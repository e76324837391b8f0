"""What ImageJ prints in the course of a macro: passed on to Python's standard output, save for the reason of its end."""

from __future__ import annotations

import codecs
import sys
from types import TracebackType
from typing import Any, TextIO

import jpype

from retinaj_bridge.jvm import java_class

_JAVA_BYTE: Any = jpype.JByte  # its types know nothing of arrays

# Without a window ImageJ prints why a macro ends, and keeps it nowhere else. These are the methods that print it.
_REASONS = ("ij.macro.Functions.exit(", "ij.macro.Interpreter.error(", "ij.IJ.error(")


class MacroConsole:
    """While it is open, Java's output goes to Python's, where tests and notebooks see it, and is kept.

    The text by which a macro ended is held back until it is known whether the macro did end: use `take_reason`.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._held = ""

    @property
    def printed(self) -> str:
        """What was passed on to the standard output so far."""
        return "".join(self._parts)

    def __enter__(self) -> MacroConsole:
        system = java_class("java.lang.System")
        self._before = system.out, system.err
        system.setOut(_stream(_Channel(self, to_error=False)))
        system.setErr(_stream(_Channel(self, to_error=True)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        system = java_class("java.lang.System")
        out, err = self._before
        system.setOut(out)
        system.setErr(err)
        self._release()

    def take_reason(self) -> str:
        """The text held back, which is not printed then."""
        reason, self._held = self._held, ""
        return reason.strip()

    def write(self, text: str, *, to_error: bool) -> None:
        """Pass on what Java printed just now, or hold it back."""
        trace = java_class("java.util.Arrays").toString(java_class("java.lang.Thread").currentThread().getStackTrace())
        if any(method in str(trace) for method in _REASONS):
            self._held += text
            return
        self._release()  # the macro has gone on
        self._pass_on(text, sys.stderr if to_error else sys.stdout)

    def _release(self) -> None:
        if self._held:
            self._pass_on(self.take_reason() + "\n", sys.stdout)

    def _pass_on(self, text: str, stream: TextIO) -> None:
        if stream is sys.stdout:
            self._parts.append(text)
        stream.write(text)
        stream.flush()


@jpype.JImplements("java.nio.channels.WritableByteChannel", deferred=True)
class _Channel:
    """A Java output stream into Python: Java's streams are classes, which Python cannot extend, but channels are not."""

    def __init__(self, console: MacroConsole, *, to_error: bool) -> None:
        self._console = console
        self._to_error = to_error
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @jpype.JOverride
    def write(self, buffer: Any) -> int:
        count = int(buffer.remaining())
        data = _JAVA_BYTE[count]  # a Java array of that length
        buffer.get(data)
        self._console.write(self._decoder.decode(bytes(data)), to_error=self._to_error)
        return count

    @jpype.JOverride
    def isOpen(self) -> bool:  # noqa: N802  (Java's name)
        return True

    @jpype.JOverride
    def close(self) -> None:
        pass


def _stream(channel: _Channel) -> Any:
    stream = java_class("java.nio.channels.Channels").newOutputStream(channel)
    return java_class("java.io.PrintStream")(stream, True, "UTF-8")
