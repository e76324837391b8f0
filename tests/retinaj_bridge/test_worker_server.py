"""The worker's door: who gets in, who does not, and what those can do who try."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worker_client import address, all_answered, connected, hello, serving, wait_until

from retinaj.errors import RetinaJError
from retinaj_bridge import connection, server
from retinaj_bridge.client import Client, NoWorkerError
from retinaj_bridge.server import Answer, Call, CallCanceledError, Server
from retinaj_bridge.wire import MAGIC, Fields, message
from retinaj_bridge.worker_file import WorkerFile


class Verbs:
    """Counts what is called, and can wait until it is canceled."""

    def __init__(self) -> None:
        self.called: list[Fields] = []
        self.canceled = threading.Event()

    def echo(self, fields: Fields, call: Call) -> Answer:
        self.called.append(fields)
        return {name: value for name, value in fields.items() if name != "verb"}

    def wait(self, fields: Fields, call: Call) -> Answer:
        try:
            while True:
                call.report(0.5, "waiting")
                time.sleep(0.01)
        except CallCanceledError:
            self.canceled.set()
            raise

    def fail(self, fields: Fields, call: Call) -> Answer:
        kinds = {"sentence": RetinaJError("What to do."), "memory": MemoryError(), "bug": ZeroDivisionError("oh")}
        raise kinds[fields["how"].decode()]


@pytest.fixture
def verbs() -> Verbs:
    return Verbs()


@pytest.fixture
def worker(verbs: Verbs) -> Iterator[Server]:
    with serving({"echo": verbs.echo, "wait": verbs.wait, "fail": verbs.fail}) as running:
        yield running


def says(worker: Server, data: bytes) -> bytes:
    """What the worker answers to `data` until it closes."""
    with connected(worker.port) as stranger:
        with contextlib.suppress(ConnectionError):
            stranger.sendall(data)
        return all_answered(stranger)


def still_serves(worker: Server) -> bool:
    with Client(address(worker)) as client:
        return client.call("echo", {"a": b"1"})["a"] == b"1"


class TestAnswers:
    def test_a_call(self, worker: Server) -> None:
        with Client(address(worker)) as client:
            answer = client.call("echo", {"a": b"\0\xff", "list": ["x", "y"]})
            assert (answer["a"], answer["list"], answer["list.1"]) == (b"\0\xff", b"2", b"y")
            assert client.call("echo", {"a": b"again"})["a"] == b"again"
            assert client.version
            assert client.pid > 0

    def test_a_plane_of_sixteen_megabytes(self, worker: Server) -> None:
        pixels = bytes(range(256)) * (1 << 16)
        with Client(address(worker)) as client:
            assert client.call("echo", {"pixels": pixels})["pixels"] == pixels

    @pytest.mark.parametrize(
        ("how", "reason"), [("sentence", r"^What to do\.$"), ("memory", "not enough memory"), ("bug", "ZeroDivisionError: oh")]
    )
    def test_failures_come_as_sentences(self, worker: Server, how: str, reason: str) -> None:
        with Client(address(worker)) as client:
            with pytest.raises(RetinaJError, match=reason):
                client.call("fail", {"how": how})
            assert client.call("echo", {"a": b"1"})["a"] == b"1"

    @pytest.mark.parametrize("verb", ["eval", "__class__", "stop", "../echo", "", "Echo", "echo\0", "é" * 1000])
    def test_verbs_are_fixed(self, worker: Server, verbs: Verbs, verb: str) -> None:
        with Client(address(worker)) as client, pytest.raises(RetinaJError, match="has no verb"):
            client.call(verb, {"script": "print(1)"})
        assert not verbs.called

    def test_another_version_is_told_what_to_do(self, worker: Server) -> None:
        other = WorkerFile(worker.port, worker.token, worker.proof, 1, "9.9.9")
        with pytest.raises(RetinaJError, match=r"Fiji has RetinaJ's commands of version 9\.9\.9.*retinaj fiji install"):
            Client(other)

    def test_progress_comes_and_closing_cancels(self, worker: Server, verbs: Verbs) -> None:
        seen: list[tuple[float, str]] = []

        def progress(fraction: float, status: str) -> None:
            seen.append((fraction, status))
            raise KeyboardInterrupt

        with Client(address(worker)) as client, pytest.raises(KeyboardInterrupt):
            client.call("wait", {}, progress)
        assert seen == [(0.5, "waiting")]
        assert verbs.canceled.wait(2)
        assert still_serves(worker)

    def test_idle_is_counted_from_the_last_call(self, worker: Server, verbs: Verbs) -> None:
        with Client(address(worker)) as client:
            before = worker.seconds_idle()
            time.sleep(0.02)
            assert worker.seconds_idle() > before
            client.call("echo", {})
            assert worker.seconds_idle() < 0.02
        with connected(worker.port) as waiting:
            waiting.sendall(hello(worker) + message({"verb": "wait"}))
            wait_until(lambda: worker.seconds_idle() == 0)
            time.sleep(0.05)
            assert worker.seconds_idle() == 0
        wait_until(lambda: worker.seconds_idle() > 0)

    def test_calls_at_the_same_time(self, worker: Server) -> None:
        with Client(address(worker)) as waiting, Client(address(worker)) as other:
            thread = threading.Thread(target=lambda: _ignoring_loss(waiting), daemon=True)
            thread.start()
            wait_until(lambda: worker.seconds_idle() == 0)
            assert other.call("echo", {"a": b"1"})["a"] == b"1"
            waiting.close()
            thread.join(5)


def _ignoring_loss(client: Client) -> None:
    with contextlib.suppress(NoWorkerError, ValueError):
        client.call("wait", {})


class TestBreakingIn:
    @pytest.mark.parametrize("token", ["", "0" * 64, "é", "x" * 5000])
    def test_without_the_token(self, worker: Server, verbs: Verbs, token: str) -> None:
        assert says(worker, hello(worker, token=token) + message({"verb": "echo"})) == b""
        assert not verbs.called

    def test_with_nearly_the_token(self, worker: Server) -> None:
        for token in (worker.token[:-1], worker.token + "0", worker.token.upper() + " ", worker.proof):
            assert says(worker, hello(worker, token=token)) == b""

    def test_without_hello(self, worker: Server, verbs: Verbs) -> None:
        assert says(worker, message({"verb": "echo", "token": worker.token})) == b""
        assert says(worker, message({"token": worker.token, "version": "1"})) == b""
        assert not verbs.called

    @pytest.mark.parametrize(
        "request_",
        [
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nContent-Length: 999\r\n\r\n{token}",
            b"OPTIONS / HTTP/1.1\r\nOrigin: null\r\nAccess-Control-Request-Method: POST\r\n\r\n",
            b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: https://evil.example\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ],
        ids=["GET", "POST", "OPTIONS", "websocket", "HTTP/2", "TLS"],
    )
    def test_browsers_get_no_answer(self, worker: Server, verbs: Verbs, request_: bytes) -> None:
        begun = time.monotonic()
        body = hello(worker) + message({"verb": "echo"})  # even if a page could know the token
        assert says(worker, request_ + body) == b""
        assert time.monotonic() - begun < 2
        assert not verbs.called

    def test_the_first_bytes_decide(self, worker: Server) -> None:
        with connected(worker.port) as browser:
            browser.sendall(b"GET ")
            assert all_answered(browser) == b""  # without waiting for the rest of the line

    def test_a_large_hello_is_refused(self, worker: Server) -> None:
        assert says(worker, hello(worker, padding="x" * 20_000)) == b""
        assert says(worker, MAGIC + struct.pack(">ii", 2**31 - 1, 1)) == b""

    def test_memory_is_taken_as_data_arrives(self, worker: Server) -> None:
        announced = 2**31 - 100
        giant = MAGIC + struct.pack(">iii", announced, 1, 1) + b"p" + struct.pack(">i", announced - 13) + b"begun"
        tracemalloc.start()
        try:
            with connected(worker.port) as known:
                known.sendall(hello(worker) + giant)
                known.shutdown(socket.SHUT_WR)
                all_answered(known)
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
        finally:
            tracemalloc.stop()
        assert still_serves(worker)

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_garbage(self, worker: Server, data: st.DataObject) -> None:
        valid = hello(worker) + message({"verb": "echo", "a": b"1"})
        kind = data.draw(st.sampled_from(["noise", "magic", "changed", "cut"]))
        if kind == "noise":
            sent = data.draw(st.binary(max_size=200))
        elif kind == "magic":
            sent = MAGIC + data.draw(st.binary(max_size=200))
        elif kind == "changed":
            at = data.draw(st.integers(0, len(valid) - 1))
            sent = valid[:at] + data.draw(st.binary(min_size=1, max_size=8)) + valid[at + 1 :]
        else:
            sent = valid[: data.draw(st.integers(0, len(valid)))]
        with connected(worker.port) as stranger:
            with contextlib.suppress(ConnectionError):
                stranger.sendall(sent)
                stranger.shutdown(socket.SHUT_WR)
            all_answered(stranger)
        assert still_serves(worker)

    def test_half_a_hello_is_not_waited_for(self, verbs: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "_HELLO_SECONDS", 0.3)
        with serving({"echo": verbs.echo}) as worker:
            whole = hello(worker)
            for sent in (b"", whole[:2], whole[:30], whole[:-1]):
                begun = time.monotonic()
                assert says(worker, sent) == b""
                assert 0.2 < time.monotonic() - begun < 3

    def test_a_byte_at_a_time_is_not_waited_for(self, verbs: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "_HELLO_SECONDS", 0.4)
        with serving({"echo": verbs.echo}) as worker, connected(worker.port) as slow:
            begun = time.monotonic()
            with contextlib.suppress(ConnectionError):
                for byte in hello(worker):
                    slow.sendall(bytes([byte]))
                    time.sleep(0.05)
            assert all_answered(slow) == b""
            assert time.monotonic() - begun < 3

    def test_who_hangs_in_the_middle_is_let_go(self, verbs: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "_SILENCE_SECONDS", 0.3)
        with serving({"echo": verbs.echo}) as worker, Client(address(worker)) as idle, connected(worker.port) as hanging:
            hanging.sendall(hello(worker) + message({"verb": "echo"})[:-1])
            all_answered(hanging)  # the answer to the first message, and then the end
            assert not verbs.called
            time.sleep(0.3)
            assert idle.call("echo", {"a": b"1"})["a"] == b"1"  # between messages one may take one's time

    def test_a_hundred_idle_connections_lock_nobody_out(self, verbs: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "_HELLO_SECONDS", 600.0)
        with serving({"echo": verbs.echo}) as worker, contextlib.ExitStack() as stack:
            before = threading.active_count()
            strangers = [stack.enter_context(connected(worker.port)) for _ in range(100)]
            assert still_serves(worker)
            wait_until(lambda: threading.active_count() - before < 20)  # one for each that may still say hello
            closed = 0
            for stranger in strangers:
                stranger.settimeout(0.001)
                with contextlib.suppress(TimeoutError):
                    closed += all_answered(stranger) == b""
            assert 80 <= closed < 100

    def test_known_connections_are_limited_too(self, worker: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "_MOST_CONNECTIONS", 2)
        with (
            Client(address(worker)),
            Client(address(worker)),
            pytest.raises(RetinaJError, match="serves 2 commands already"),
        ):
            Client(address(worker))
        wait_until(lambda: _connects(worker))

    def test_another_program_on_the_port_is_not_taken_for_the_worker(self, worker: Server) -> None:
        mine = address(worker)
        stale = WorkerFile(mine.port, mine.token, "0" * 64, mine.pid, mine.version)
        with pytest.raises(NoWorkerError, match="is not the worker"):
            Client(stale)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere 127.0.0.2 is not an address of this computer")
    def test_only_the_loopback_address_is_listened_on(self, worker: Server) -> None:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", worker.port), timeout=5)

    def test_tokens_differ(self) -> None:
        with serving({}) as one, serving({}) as other:
            assert len({one.token, other.token, one.proof, other.proof}) == 4
            assert min(map(len, (one.token, one.proof))) == 64

    def test_closed_means_closed(self, worker: Server) -> None:
        worker.close()
        with pytest.raises(NoWorkerError):
            Client(address(worker))


def _connects(worker: Server) -> bool:
    try:
        Client(address(worker)).close()
    except RetinaJError:
        return False
    return True
