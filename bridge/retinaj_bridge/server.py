"""The worker: it holds the models and answers the ImageJ plugin on a loopback connection."""

from __future__ import annotations

import hmac
import secrets
import socket
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, SimpleQueue

from retinaj import __version__
from retinaj.errors import RetinaJError
from retinaj_bridge.wire import Fields, WireError, message, read_message

Answer = Mapping[str, bytes | str | Sequence[str]]

_SECONDS_BETWEEN_REPORTS = 0.1
# Before the token came, hardly anything is read: who does not know it must not fill the memory.
_MAX_HELLO_BYTES = 10_000
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

    Args:
        verbs: what it can be asked for, by name. A verb runs in a thread of its own and raises RetinaJError with what the user
            shall read.
    """

    def __init__(self, verbs: Mapping[str, Verb]) -> None:
        self.token = secrets.token_hex(32)
        self._verbs = dict(verbs)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._closed = threading.Event()

    def start(self) -> None:
        """Begin to listen, in threads that do not keep the process alive."""
        threading.Thread(target=self._accept, name="RetinaJ worker", daemon=True).start()

    def close(self) -> None:
        """Stop to listen."""
        self._closed.set()
        self._socket.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), name="RetinaJ call", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                if not self._greets(read_message(stream, max_bytes=_MAX_HELLO_BYTES), connection):
                    return
                while (fields := read_message(stream, max_bytes=_MAX_BYTES)) is not None:
                    self._answer(fields, connection)
            except (WireError, OSError, CallCanceledError):
                return  # whoever it is, there is nobody to tell

    def _greets(self, fields: Fields | None, connection: socket.socket) -> bool:
        if fields is None or fields.get("verb") != b"hello":
            return False
        if not hmac.compare_digest(fields.get("token", b""), self.token.encode()):
            return False
        version = fields.get("version", b"").decode(errors="replace")
        if version != __version__:
            text = (
                f"Fiji has RetinaJ's commands of version {version[:20]}, but Python has version {__version__}: run "
                "`retinaj fiji install` again, and restart Fiji."
            )
            connection.sendall(message({"kind": "error", "message": text}))
            return False
        connection.sendall(message({"kind": "result", "version": __version__}))
        return True

    def _answer(self, fields: Fields, connection: socket.socket) -> None:
        name = fields.get("verb", b"").decode(errors="replace")
        verb = self._verbs.get(name)
        if verb is None:
            connection.sendall(message({"kind": "error", "message": f"RetinaJ's worker has no verb {name[:50]!r}."}))
            return
        call, answers = Call(), SimpleQueue[Answer]()
        thread = threading.Thread(target=_run, args=(verb, fields, call, answers), name=f"RetinaJ {name}", daemon=True)
        thread.start()
        try:
            while True:
                for _ in range(call.reports.qsize()):
                    fraction, status = call.reports.get()
                    connection.sendall(message({"kind": "progress", "fraction": repr(float(fraction)), "status": status}))
                try:
                    answer = answers.get(timeout=_SECONDS_BETWEEN_REPORTS)
                    break
                except Empty:
                    connection.sendall(message({"kind": "progress"}))  # still there
        except OSError as error:
            call.canceled.set()
            thread.join()
            raise CallCanceledError from error
        connection.sendall(message(answer))


def _run(verb: Verb, fields: Fields, call: Call, answers: SimpleQueue[Answer]) -> None:
    try:
        answers.put({**verb(fields, call), "kind": "result"})
    except RetinaJError as error:
        answers.put({"kind": "error", "message": str(error)})
    except CallCanceledError:
        answers.put({"kind": "error", "message": "canceled"})
    except BaseException as error:
        traceback.print_exc()
        answers.put({"kind": "error", "message": f"RetinaJ failed unexpectedly: {type(error).__name__}: {error}"})
