"""Several machines that train one model: who they are, by TF_CONFIG, and waiting until all of them have come."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from retinaj.counting import counted
from retinaj.errors import RetinaJError

VARIABLE = "TF_CONFIG"
_EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'
_MINUTES = 10.0
_PAUSE, _CONNECTING, _WATCHED, _PATIENCE = 0.2, 2.0, 2.0, 20.0  # seconds
LOST = (
    "Another machine of this run has ended or cannot be reached any more; its own last lines say why. To go on, give the same "
    "command with --resume on all machines."
)
_ROLES = ("chief", "worker")  # in the order in which TensorFlow counts them


@dataclass(frozen=True)
class Cluster:
    """The machines of a run, or the processes of one machine.

    Attributes:
        addresses: host:port of each; the first one decides and writes.
        index: which of them this process is.
    """

    addresses: tuple[str, ...]
    index: int


def read_cluster(text: str | None) -> Cluster | None:
    """What TF_CONFIG says; None where it names no more than one machine, as managed services set it for a single one.

    Raises:
        RetinaJError: if it does not say which machines there are and which one this is.

    >>> read_cluster('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}')
    Cluster(addresses=('a:1', 'b:1'), index=1)
    """
    if not text or not text.strip():
        return None
    try:
        config = json.loads(text)
        tasks = {role: [_checked_address(each) for each in addresses] for role, addresses in config.get("cluster", {}).items()}
        role, index = config["task"]["type"], int(config["task"]["index"])
        if not tasks or set(tasks) - set(_ROLES):
            raise ValueError(f"the jobs are {sorted(tasks)}")
        if not 0 <= index < len(tasks[role]):
            raise ValueError(f"{role} {index} is not one of {len(tasks[role])}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RetinaJError(
            f"The environment variable {VARIABLE} does not say which machines train together "
            f"({type(error).__name__}: {error}). Expected JSON such as {_EXAMPLE}, with another index on each machine; unset "
            "it to train on this one alone."
        ) from error
    addresses = tuple(address for each in _ROLES for address in tasks.get(each, ()))
    if len(set(addresses)) != len(addresses):
        raise RetinaJError(
            f"{VARIABLE} names a machine twice: {', '.join(addresses)}. Give each process an address of its own."
        )
    before = len(tasks.get("chief", ())) if role == "worker" else 0
    return Cluster(addresses, before + index) if len(addresses) > 1 else None


def _checked_address(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not host:port")
    return address


def this_cluster() -> Cluster | None:
    """The machines that this process trains with, if it is one of several."""
    return read_cluster(os.environ.get(VARIABLE))


@contextmanager
def without_cluster() -> Generator[None]:
    """Within the block, TF_CONFIG is not there for TensorFlow: even a strategy for one machine reads it."""
    text = os.environ.pop(VARIABLE, None)
    try:
        yield
    finally:
        if text is not None:
            os.environ[VARIABLE] = text


def leads(cluster: Cluster | None) -> bool:
    """Whether this process decides and writes: it is the first of several, or alone."""
    return cluster is None or cluster.index == 0


def meet(cluster: Cluster, say: Callable[[str], None], minutes: float = _MINUTES) -> None:
    """Wait until all machines listen at their addresses: TensorFlow itself would wait for an hour, deaf to Ctrl-C.

    Args:
        cluster: the machines.
        say: tells the user for whom we wait.
        minutes: how long.

    Raises:
        RetinaJError: if this machine's address cannot be listened at, or a machine has not come in time.
    """
    end = time.monotonic() + 60 * minutes
    missing = [address for index, address in enumerate(cluster.addresses) if index != cluster.index]
    with _listening(cluster.addresses[cluster.index]):
        say(
            f"Machine {cluster.index + 1} of {len(cluster.addresses)}, {cluster.addresses[cluster.index]}. Waiting for "
            f"{', '.join(missing)}: start the same command there."
        )
        while missing := [address for address in missing if not _answers(address)]:
            if time.monotonic() > end:
                raise RetinaJError(
                    f"After {minutes:g} minutes, {counted(len(missing), 'machine')} of {VARIABLE} cannot be reached: "
                    f"{', '.join(missing)}. Start the same command there, and let the firewalls pass these ports."
                )
            time.sleep(_PAUSE)


@contextmanager
def watched(cluster: Cluster | None) -> Generator[None]:
    """End this program when another machine cannot be reached for 20 seconds within the block.

    TensorFlow notices most deaths at once and raises an error, but not that of a first machine that ends in good order: the
    others wait for it in its C++ code, which neither an exception nor Ctrl-C reaches.
    """
    if cluster is None:
        yield
        return
    done = threading.Event()
    threading.Thread(target=_watch, args=(cluster, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _watch(cluster: Cluster, done: threading.Event) -> None:
    others = [address for index, address in enumerate(cluster.addresses) if index != cluster.index]
    seen = dict.fromkeys(others, time.monotonic())
    while not done.wait(_WATCHED):
        seen |= {address: time.monotonic() for address in others if _answers(address)}
        gone = [address for address in others if time.monotonic() - seen[address] > _PATIENCE]
        if gone and not done.is_set():
            os.write(2, f"Error: {LOST} It was {', '.join(gone)}.\n".encode())
            os._exit(1)


def _listening(address: str) -> socket.socket:
    """The port is open while the others look for this machine; then TensorFlow takes it over and answers in its place."""
    port = int(address.rpartition(":")[2])
    try:
        return socket.create_server(("", port), backlog=64)
    except OSError as error:
        raise RetinaJError(
            f"Port {port} of this machine, {address} in {VARIABLE}, cannot be used: {error.strerror}. Is another run still "
            "going? Name another port, on all machines alike."
        ) from error


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECTING):
            return True
    except OSError:
        return False
