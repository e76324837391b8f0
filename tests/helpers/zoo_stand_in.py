"""A stand-in for the zoo's server, on 127.0.0.1: it speaks the calls of `bioimageio.spec.upload` and keeps what it is sent.

It is no part of the zoo. The calls are those that bioimageio.spec 0.5.12 makes (its module `_upload`): POST …/create with the
description, for each file POST …/put_file for an address and PUT to it, and POST …/edit to ask for a review.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "a token for the stand-in"
ARTIFACT = "stand-in/patient-snail"
SERVICE = "/public/services/artifact-manager"


@dataclass
class ZooStandIn:
    """What was sent, and what shall go wrong.

    Attributes:
        url: of the call that opens an upload.
        created, edited: the bodies of these calls.
        files: content of each file, by name.
        refuse: status for each call ("create", "put_file", "PUT", "edit") that shall be refused.
        refuse_file: of the files, only this one is refused.
    """

    url: str = ""
    created: list[dict[str, Any]] = field(default_factory=list)
    edited: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    refuse: dict[str, int] = field(default_factory=dict)
    refuse_file: str | None = None


@contextmanager
def zoo_stand_in() -> Generator[ZooStandIn]:
    """A running stand-in."""
    zoo = ZooStandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self._body())
            call = self.path.removeprefix(f"{SERVICE}/")
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                self._answer(401, {"detail": "this is not a token of the stand-in"})
            elif call in zoo.refuse:
                self._answer(zoo.refuse[call], {"detail": "refused, as the test asked"})
            elif call == "create":
                zoo.created.append(body)
                self._answer(200, {"id": ARTIFACT})
            elif call == "put_file" and body["artifact_id"] == ARTIFACT:
                host, port = self.server.server_address[:2]
                self._answer(200, f"http://{host}:{port}/store/{body['file_path']}?signature=secret")
            elif call == "edit":
                zoo.edited.append(body)
                self._answer(200, {})
            else:
                self._answer(404, {"detail": self.path})

        def do_PUT(self) -> None:
            body = self._body()
            name = self.path.removeprefix("/store/").partition("?")[0]
            if "PUT" in zoo.refuse and zoo.refuse_file in (None, name):
                self._answer(zoo.refuse["PUT"], {})
                return
            # The body is a form of one part: its head, an empty line, the file, and the boundary again.
            boundary, _, rest = body.partition(b"\r\n")
            zoo.files[name] = rest.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n" + boundary + b"--\r\n")
            self._answer(200, {})

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers["Content-Length"]))

        def _answer(self, status: int, content: Any) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        zoo.url = f"http://127.0.0.1:{server.server_address[1]}{SERVICE}/create"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield zoo
        finally:
            server.shutdown()
            thread.join()
