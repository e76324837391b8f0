"""The worker: it holds the models and answers the ImageJ plugin on a loopback connection."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from queue import Empty, SimpleQueue

from retinaj import __version__
from retinaj.errors import RetinaJError
from retinaj_bridge.connection import Connection
from retinaj_bridge.wire import Fields, WireError, message, read_message

Answer = Mapping[str, bytes | str | Sequence[str]]

_SECONDS_BETWEEN_REPORTS = 0.1
# Before the token came, hardly anything is read, and not for long: who does not know it must not fill the memory.
_MAX_HELLO_BYTES = 10_000
_HELLO_SECONDS = 10.0
_MOST_STRANGERS = 16
_MOST_CONNECTIONS = 64
# The largest array of Java, and so the largest plane of an image.
_MAX_BYTES = 2**31 - 1


class CallCanceledError(Exception):
    """Who called has gone away, or does not want the answer any more."""


class Call:
    """One call of a verb: what it tells the caller meanwhile, and whether it shall go on."""

    def __init__(self) -> None:
        self.reports: SimpleQueue[tuple[float, str]] = SimpleQueue()
        self.canceled = threading.Event()

    def report(self, fraction: float, status: str) -> None:
        """Tell how far it is.

        Args:
            fraction: what is done, 0 to 1; negative where that cannot be told.
            status: what is being done, for the status line.

        Raises:
            CallCanceledError: if the call was canceled.
        """
        if self.canceled.is_set():
            raise CallCanceledError
        self.reports.put((fraction, status))


Verb = Callable[[Fields, Call], Answer]


class Server:
    """Listens on 127.0.0.1, on a port that the system chooses, and takes only who knows its token.

    Attributes:
        token: what a caller says first.
        proof: what the worker answers to that: another program that got its port later does not know it.
        port: where it listens.

    Args:
        verbs: what it can be asked for, by name. A verb runs in a thread of its own and raises RetinaJError with what the user
            shall read.
    """

    def __init__(self, verbs: Mapping[str, Verb]) -> None:
        self.token = secrets.token_hex(32)
        self.proof = secrets.token_hex(32)
        self._verbs = dict(verbs)
        self._socket = _listen()
        self.port = int(self._socket.getsockname()[1])
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._strangers: list[Connection] = []  # the oldest first
        self._known: set[Connection] = set()
        self._calls = 0
        self._last_used = time.monotonic()

    def start(self) -> None:
        """Begin to listen, in threads that do not keep the process alive."""
        threading.Thread(target=self._accept, name="RetinaJ worker", daemon=True).start()

    def close(self) -> None:
        """Stop to listen. Calls that are being answered go on."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # Linux does not wake who waits for a connection otherwise
        self._socket.close()

    def seconds_idle(self) -> float:
        """How long it has had nothing to do; 0 while a call is being answered."""
        with self._lock:
            return 0.0 if self._calls else time.monotonic() - self._last_used

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                accepted, _ = self._socket.accept()
            except OSError:
                self._closed.wait(_SECONDS_BETWEEN_REPORTS)  # no file handle left, maybe, which passes
                continue
            connection = Connection(accepted, _HELLO_SECONDS)
            with self._lock:
                self._strangers.append(connection)
                # Whoever knows the token says so at once: the one that has waited for longest does not.
                refused = self._strangers.pop(0) if len(self._strangers) > _MOST_STRANGERS else None
            if refused is not None:
                refused.interrupt()
            try:
                threading.Thread(target=self._serve, args=(connection,), name="RetinaJ call", daemon=True).start()
            except RuntimeError:  # the system has no thread left
                self._forget(connection)

    def _serve(self, connection: Connection) -> None:
        try:
            if not self._greets(read_message(connection, max_bytes=_MAX_HELLO_BYTES), connection):
                return
            while True:
                connection.wait()
                fields = read_message(connection, max_bytes=_MAX_BYTES)
                if fields is None:
                    return
                with self._working():
                    self._answer(fields, connection)
        except (WireError, OSError, CallCanceledError):
            return  # whoever it is, there is nobody to tell
        finally:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        with self._lock:
            self._known.discard(connection)
            if connection in self._strangers:
                self._strangers.remove(connection)
        connection.close()

    @contextlib.contextmanager
    def _working(self) -> Generator[None]:
        with self._lock:
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                self._last_used = time.monotonic()

    def _greets(self, fields: Fields | None, connection: Connection) -> bool:
        if fields is None or fields.get("verb") != b"hello":
            return False
        if not hmac.compare_digest(fields.get("token", b""), self.token.encode()):
            return False
        if reason := self._refusal(fields.get("version", b"").decode(errors="replace")):
            connection.write(message({"kind": "error", "message": reason}))
            return False
        with self._lock:
            if connection not in self._strangers:  # closed meanwhile
                return False
            self._strangers.remove(connection)
            self._known.add(connection)
            self._last_used = time.monotonic()
        connection.trust()
        connection.write(message({"kind": "result", "version": __version__, "pid": str(os.getpid()), "proof": self.proof}))
        return True

    def _refusal(self, version: str) -> str:
        """Why who knows the token is not served; "" if it is."""
        if version != __version__:
            return (
                f"Fiji has RetinaJ's commands of version {version[:20]}, but Python has version {__version__}: run "
                "`retinaj fiji install` again, and restart Fiji."
            )
        if len(self._known) >= _MOST_CONNECTIONS:
            return f"RetinaJ's worker serves {_MOST_CONNECTIONS} commands already; wait until some of them are done."
        return ""

    def _answer(self, fields: Fields, connection: Connection) -> None:
        name = fields.get("verb", b"").decode(errors="replace")
        verb = self._verbs.get(name)
        if verb is None:
            connection.write(message({"kind": "error", "message": f"RetinaJ's worker has no verb {name[:50]!r}."}))
            return
        call, answers = Call(), SimpleQueue[Answer]()
        thread = threading.Thread(target=_run, args=(verb, fields, call, answers), name=f"RetinaJ {name}", daemon=True)
        thread.start()
        try:
            while True:
                for _ in range(call.reports.qsize()):
                    fraction, status = call.reports.get()
                    connection.write(message({"kind": "progress", "fraction": repr(float(fraction)), "status": status}))
                try:
                    answer = answers.get(timeout=_SECONDS_BETWEEN_REPORTS)
                    break
                except Empty:
                    if connection.is_closed():
                        raise BrokenPipeError from None
                    connection.write(message({"kind": "progress"}))  # still there
        except OSError as error:
            call.canceled.set()
            thread.join()
            raise CallCanceledError from error
        connection.write(message(answer))


def _listen() -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform == "win32":  # where another program could listen on the same port otherwise
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening


def _run(verb: Verb, fields: Fields, call: Call, answers: SimpleQueue[Answer]) -> None:
    try:
        answers.put({**verb(fields, call), "kind": "result"})
    except RetinaJError as error:
        answers.put({"kind": "error", "message": str(error)})
    except CallCanceledError:
        answers.put({"kind": "error", "message": "canceled"})
    except MemoryError:
        answers.put({"kind": "error", "message": _NO_MEMORY})
    except BaseException as error:
        with contextlib.suppress(OSError):  # a full disk, where the log lies
            traceback.print_exc()
        answers.put({"kind": "error", "message": f"RetinaJ failed unexpectedly: {type(error).__name__}: {error}"})


_NO_MEMORY = (
    "This computer has not enough memory for that image: close other images and programs, or search a part of it (select a "
    "region, or Image > Duplicate)."
)
