"""Where the worker listens, in a file that only the user can read; the plugin's side is `java/retinaj/WorkerFile.java`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from retinaj_bridge.private_folder import read_private, write_private

NAME = "worker.properties"
_MOST_BYTES = 10_000


@dataclass(frozen=True)
class WorkerFile:
    """How to reach a worker.

    Attributes:
        port: on 127.0.0.1.
        token: what to say to it first.
        proof: what it must answer to that.
        pid: of its process.
        version: of RetinaJ that it runs.
    """

    port: int
    token: str
    proof: str
    pid: int
    version: str

    def write(self, folder: Path) -> None:
        """Write it into `folder`, in the place of an earlier one.

        Raises:
            OSError: if it cannot be written.
        """
        lines = (f"{name}={getattr(self, name)}\n" for name in ("port", "token", "proof", "pid", "version"))
        write_private(folder / NAME, "".join(lines))

    def remove(self, folder: Path) -> None:
        """Remove it from `folder`, unless another worker's stands there."""
        if read_worker_file(folder) == self:
            (folder / NAME).unlink(missing_ok=True)


def read_worker_file(folder: Path) -> WorkerFile | None:
    """What the file in `folder` says; None if there is none, or it is not one that RetinaJ wrote."""
    text = read_private(folder / NAME, _MOST_BYTES)
    fields = dict(line.split("=", 1) for line in (text or "").splitlines() if "=" in line)
    port, pid = fields.get("port", ""), fields.get("pid", "")
    if not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536 and re.fullmatch(r"[0-9]{1,10}", pid)):
        return None
    if not fields.get("token") or not fields.get("proof"):
        return None
    return WorkerFile(int(port), fields["token"], fields["proof"], int(pid), fields.get("version", ""))
