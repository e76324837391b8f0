"""A connection of the worker: what comes is taken as it comes, and only for so long."""

from __future__ import annotations

import contextlib
import select
import socket
import time

# Who is in the middle of a message sends on, and who has asked listens: such a silence means that it hangs.
_SILENCE_SECONDS = 60.0
_CHUNK = 1 << 20


class Connection:
    """A connected socket, to read messages from and write them to.

    Memory is taken for what has come, never for what was announced.

    Args:
        connected: the socket, which this object owns from now on.
        hello_seconds: the time in which the first message must have come whole; `trust` ends that.
    """

    def __init__(self, connected: socket.socket, hello_seconds: float) -> None:
        self._socket = connected
        self._buffer = bytearray()
        self._deadline: float | None = time.monotonic() + hello_seconds
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def trust(self) -> None:
        """It knows the token: from now on it may take its time between messages."""
        self._deadline = None

    def wait(self) -> None:
        """Return when the next message begins, or the other side has closed."""
        if not self._buffer and self._deadline is None:
            self._socket.settimeout(None)
            self._buffer += self._socket.recv(_CHUNK)

    def read(self, count: int, /) -> bytes:
        """The next `count` bytes; fewer if the other side closes before.

        Raises:
            OSError: if they do not come in time, or the connection breaks.
        """
        while len(self._buffer) < count:
            self._socket.settimeout(self._patience())
            some = self._socket.recv(_CHUNK)
            if not some:
                break
            self._buffer += some
        taken = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return taken

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            OSError: if the other side does not take it, or has closed.
        """
        self._socket.settimeout(self._patience())
        self._socket.sendall(data)

    def is_closed(self) -> bool:
        """Whether the other side has closed, which is how it cancels."""
        try:
            ready, _, _ = select.select([self._socket], [], [], 0)
            return bool(ready) and not self._socket.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def interrupt(self) -> None:
        """End it from another thread: the one that reads or writes finds it closed."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, in the thread that reads and writes: in any other, its number may be a new connection's already."""
        self.interrupt()
        self._socket.close()

    def _patience(self) -> float:
        if self._deadline is None:
            return _SILENCE_SECONDS
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the first message did not come in time")
        return left
