"""Servers and worker processes for tests, and what talks to them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

from retinaj import __version__
from retinaj_bridge.client import Client
from retinaj_bridge.server import Server, Verb
from retinaj_bridge.wire import message
from retinaj_bridge.worker_file import WorkerFile, read_worker_file

SECONDS = 30.0


@contextlib.contextmanager
def serving(verbs: Mapping[str, Verb]) -> Generator[Server]:
    """A server in this process."""
    server = Server(verbs)
    server.start()
    try:
        yield server
    finally:
        server.close()


def address(server: Server) -> WorkerFile:
    """What the worker's file would say of a server in this process."""
    return WorkerFile(server.port, server.token, server.proof, os.getpid(), __version__)


def hello(server: Server, **changed: str) -> bytes:
    """The first message of a caller who knows the token, with fields changed."""
    return message({"verb": "hello", "token": server.token, "version": __version__} | changed)


def connected(port: int) -> socket.socket:
    """A connection on which nothing was said yet."""
    return socket.create_connection(("127.0.0.1", port), timeout=SECONDS)


def all_answered(connection: socket.socket) -> bytes:
    """What comes until the other side closes; a connection reset counts as closed."""
    answered = b""
    with contextlib.suppress(ConnectionError):
        while some := connection.recv(65536):
            answered += some
    return answered


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Return as soon as `condition` holds; fail if it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def worker_command(*arguments: str) -> list[str]:
    """What starts a worker."""
    return [sys.executable, "-P", "-m", "retinaj_bridge.worker", *arguments]


class WorkerProcesses:
    """Workers in processes of their own, which end with the test.

    Args:
        home: the state folder of all of them.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = os.environ | {"RETINAJ_HOME": str(home)}
        self._processes: list[subprocess.Popen[str]] = []

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start one, and do not wait for it."""
        process = subprocess.Popen(
            worker_command(*arguments),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._processes.append(process)
        return process

    def start(self, *arguments: str) -> tuple[subprocess.Popen[str], Client]:
        """Start one, and connect to it."""
        process = self.begin(*arguments)

        def listens() -> bool:
            assert process.poll() is None, process.communicate()[0]
            found = read_worker_file(self.home)
            return found is not None and found.pid == process.pid

        wait_until(listens)
        return process, self.client()

    def client(self) -> Client:
        """A connection to the one whose file lies in the state folder."""
        found = read_worker_file(self.home)
        assert found is not None
        return Client(found)

    def end(self) -> None:
        """Kill those that still run, also one that somebody else started."""
        found = read_worker_file(self.home)
        if found is not None:
            with contextlib.suppress(Exception), Client(found) as client:
                client.call("stop", {})
        for process in self._processes:
            process.kill()
            process.communicate(timeout=SECONDS)
