"""The doctor's trial of the worker: started as Fiji starts it, and given an image with a model whose boxes are known."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from retinaj.errors import RetinaJError
from retinaj_bridge.client import Client, NoWorkerError, connect_to_running
from retinaj_bridge.fiji.trial_model import BRIGHT, HALF, trial_image, write_trial_package
from retinaj_bridge.private_folder import private_folder

_SECONDS_TO_START = 120.0
_SECONDS_BETWEEN_LOOKS = 0.05
_SECONDS_TO_STOP = 10.0
# (y, x, brightness)
_PLACES = ((20, 30, 255), (40, 61, 204), (10, 80, 153))


@contextmanager
def running_worker(python: Path) -> Generator[tuple[Client, str]]:
    """A connection to the worker that runs, or to one that is started, and stopped at the end; and which of the two, in words.

    Raises:
        RetinaJError: if it does not start, with the reason that it gives.
    """
    folder = private_folder()
    client = connect_to_running(folder)
    if client is not None:
        with client:
            yield client, "runs already and answers"
        return
    begin = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = _start(python, folder, log.fileno())
        try:
            while (client := connect_to_running(folder)) is None:
                if process.poll() is not None or time.monotonic() - begin > _SECONDS_TO_START:
                    log.seek(0)
                    raise RetinaJError(_reason(process.poll(), log.read()))
                time.sleep(_SECONDS_BETWEEN_LOOKS)
            with client:
                yield client, f"starts in {time.monotonic() - begin:.1f} s and answers"
                with suppress(NoWorkerError, RetinaJError):
                    client.call("stop", {})
        finally:
            _end(process)


def try_detection(client: Client) -> str:
    """Let the worker open a model and search an image; in words, how that went.

    Raises:
        RetinaJError: if it fails, or finds anything else than it should.
    """
    image = trial_image(*_PLACES)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="retinaj-doctor-", ignore_cleanup_errors=True) as name:
        package = write_trial_package(Path(name) / "trial.zip")
        request = {
            "model": str(package),
            "threshold": str(BRIGHT),
            "overlap": "",
            "trial": "1",
            "type": "uint8",
            "shape": ",".join(map(str, image.shape)),
            "pixels": image.tobytes(),
        }
        try:
            answer = client.call("detect", request)
        except NoWorkerError as error:
            raise RetinaJError(f"The worker was lost while it searched an image: {error}.") from error
    found = np.frombuffer(answer.get("xyxy", b""), "<f8").reshape(-1, 4)
    expected = [(x + 0.5 - HALF, y + 0.5 - HALF, x + 0.5 + HALF, y + 0.5 + HALF) for y, x, _ in _PLACES]
    if found.shape != (len(expected), 4) or not np.allclose(found, expected, atol=0.01):
        raise RetinaJError(f"A model whose boxes are known gave {len(found)} others; {len(expected)} were expected.")
    return f"an ONNX model finds its {len(expected)} boxes, in {time.monotonic() - begin:.1f} s"


def _start(python: Path, folder: Path, output: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [str(python), "-P", "-X", "utf8", "-m", "retinaj_bridge.worker", "--idle-minutes=2"],
            env=os.environ | {"RETINAJ_HOME": str(folder)},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise RetinaJError(f"{python} cannot be run: {error.strerror}.") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_SECONDS_TO_STOP)
        return
    process.kill()
    process.wait()


def _reason(exit_status: int | None, log: str) -> str:
    if exit_status is None:
        return f"The worker has not begun to answer within {_SECONDS_TO_START:.0f} seconds."
    lines = log.strip().splitlines()
    return f"The worker ended as it started: {lines[-1][:500].rstrip('.') if lines else f'status {exit_status}'}."
