"""Talking to a worker from Python, as the plugin does from Java (`java/retinaj/Worker.java`)."""

from __future__ import annotations

import contextlib
import hmac
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from retinaj.errors import RetinaJError
from retinaj_bridge.wire import Fields, WireError, message, read_message
from retinaj_bridge.worker_file import WorkerFile, read_worker_file

_SECONDS_TO_CONNECT = 10.0
_SECONDS_OF_SILENCE = 60.0
_MAX_BYTES = 2**31 - 1
# Until it has proved that it is the worker, it may be any program.
_MAX_HELLO_BYTES = 10_000


class NoWorkerError(Exception):
    """There is no worker where one should listen, or something else listens there."""


class Client:
    """A connection to a worker.

    Args:
        worker: how to reach it.

    Raises:
        NoWorkerError: if nothing answers there, or something that does not know the proof.
        RetinaJError: if the worker refuses, with its reason.
    """

    def __init__(self, worker: WorkerFile) -> None:
        try:
            self._socket = socket.create_connection(("127.0.0.1", worker.port), timeout=_SECONDS_TO_CONNECT)
        except OSError as error:
            raise NoWorkerError(f"nothing answers on port {worker.port}: {error}") from error
        self._stream = self._socket.makefile("rb")
        try:
            answer = self._exchange("hello", {"token": worker.token, "version": worker.version}, _MAX_HELLO_BYTES, None)
            if not hmac.compare_digest(answer.get("proof", b""), worker.proof.encode()):
                raise NoWorkerError(f"what answers on port {worker.port} is not the worker")
        except BaseException:
            self.close()
            raise
        self.version = answer.get("version", b"").decode()
        self.pid = int(answer.get("pid", b"0"))
        self._socket.settimeout(_SECONDS_OF_SILENCE)

    def call(
        self,
        verb: str,
        fields: Mapping[str, bytes | str | Sequence[str]],
        progress: Callable[[float, str], None] | None = None,
    ) -> Fields:
        """Let the worker do something.

        Args:
            verb: one of the worker's fixed verbs.
            fields: its arguments.
            progress: told (fraction, status) whenever the worker reports; an exception from it cancels.

        Raises:
            NoWorkerError: if the worker is lost meanwhile.
            RetinaJError: if it refuses or fails, with its reason.
        """
        return self._exchange(verb, fields, _MAX_BYTES, progress)

    def _exchange(
        self,
        verb: str,
        fields: Mapping[str, bytes | str | Sequence[str]],
        max_bytes: int,
        progress: Callable[[float, str], None] | None,
    ) -> Fields:
        try:
            self._socket.sendall(message({**fields, "verb": verb}))
            while True:
                answer = read_message(self._stream, max_bytes=max_bytes)
                if answer is None:
                    raise NoWorkerError("the worker has closed the connection")
                if answer.get("kind") == b"result":
                    return answer
                if answer.get("kind") == b"error":
                    raise RetinaJError(answer.get("message", b"").decode())
                if progress is not None and "status" in answer:
                    progress(float(answer["fraction"]), answer["status"].decode())
        except (OSError, WireError) as error:
            raise NoWorkerError(f"the connection to the worker broke: {error}") from error

    def close(self) -> None:
        """Close the connection, which cancels what is being done."""
        self._stream.close()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def connect_to_running(folder: Path) -> Client | None:
    """A connection to the worker whose file lies in `folder`; None if there is none that lives.

    Raises:
        RetinaJError: if the worker refuses, with its reason.
    """
    worker = read_worker_file(folder)
    if worker is None:
        return None
    try:
        return Client(worker)
    except NoWorkerError:
        return None
