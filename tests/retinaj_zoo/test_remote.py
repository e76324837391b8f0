"""Packages at a URL, against an HTTP server on this computer."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tiny_models import Packaged, as_image, assert_same_boxes, noise_pixels

from retinaj.errors import RetinaJError
from retinaj.user_folders import cache_folder
from retinaj_zoo import open_model
from retinaj_zoo.info import describe_model
from retinaj_zoo.remote import fetch_package

CONTENT = b"PK content " * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Site:
    """What the server gives, and what it was asked for."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    announced: int | None = None
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    here = Site(files={"/m.zip": CONTENT})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(self.path)
            if self.path in here.redirects:
                self.send_response(302)
                self.send_header("Location", here.redirects[self.path])
                self.end_headers()
                return
            content = here.files.get(self.path)
            self.send_response(404 if content is None else 200)
            if here.announced != -1:
                self.send_header("Content-Length", str(here.announced or len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    here.address = f"http://127.0.0.1:{server.server_port}"
    yield here
    server.shutdown()
    thread.join()
    server.server_close()


def test_fetches_once_and_checks_what_it_kept(site: Site, tmp_path: Path) -> None:
    url = f"{site.address}/m.zip#sha256={DIGEST.upper()}"
    path = fetch_package(url, cache=tmp_path)
    assert path == tmp_path / f"{DIGEST}.zip"
    assert path.read_bytes() == CONTENT
    assert fetch_package(url, cache=tmp_path) == path
    assert site.asked == ["/m.zip"]
    path.write_bytes(b"changed on disk")
    assert fetch_package(url, cache=tmp_path).read_bytes() == CONTENT
    assert site.asked == ["/m.zip"] * 2
    assert list(tmp_path.iterdir()) == [path]


def test_follows_a_redirect_on_this_computer(site: Site, tmp_path: Path) -> None:
    site.redirects["/old.zip"] = "/m.zip"
    assert fetch_package(f"{site.address}/old.zip#sha256={DIGEST}", cache=tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("fragment", "message"),
    [
        ("", "has no SHA-256"),
        ("#sha256=abc", "has no SHA-256"),
        (f"#sha1={DIGEST}", "has no SHA-256"),
        (f"#sha256={'0' * 64}", "is not the file that its SHA-256 says"),
    ],
)
def test_refuses_a_missing_or_wrong_hash(site: Site, tmp_path: Path, fragment: str, message: str) -> None:
    with pytest.raises(RetinaJError, match=message):
        fetch_package(f"{site.address}/m.zip{fragment}", cache=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "ftp://127.0.0.1/x.zip", "http://192.0.2.1/x.zip", "data:text/plain,x", "http://localhost/x.zip"],
)
def test_refuses_redirects_elsewhere(site: Site, tmp_path: Path, target: str) -> None:
    site.redirects["/m.zip"] = target
    with pytest.raises(
        RetinaJError, match=r"redirects to .* which is not opened|Redirection to url .* is not allowed"
    ) as caught:
        fetch_package(f"{site.address}/m.zip#sha256={DIGEST}", cache=tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_refuses_a_circle_of_redirects(site: Site, tmp_path: Path) -> None:
    site.redirects["/m.zip"] = "/m.zip"
    with pytest.raises(RetinaJError, match="cannot be downloaded"):
        fetch_package(f"{site.address}/m.zip#sha256={DIGEST}", cache=tmp_path)
    assert len(site.asked) < 30


@pytest.mark.parametrize(
    "url", ["file:///m.zip", "http://example.org/m.zip", "ftp://example.org/m.zip", "https:///m.zip", "https://[x/m.zip"]
)
def test_refuses_other_addresses_before_asking(tmp_path: Path, url: str) -> None:
    with pytest.raises(RetinaJError, match=r"is not opened: packages come over https|is not a URL"):
        fetch_package(f"{url}#sha256={DIGEST}", cache=tmp_path)


@pytest.mark.parametrize(("announced", "message"), [(None, "has 11,000 bytes"), (-1, "gives more than 5,000 bytes")])
def test_refuses_what_is_too_large(site: Site, tmp_path: Path, announced: int | None, message: str) -> None:
    site.announced = announced
    with pytest.raises(RetinaJError, match=message):
        fetch_package(f"{site.address}/m.zip#sha256={DIGEST}", cache=tmp_path, max_bytes=5000)
    assert not list(tmp_path.iterdir())


def test_a_missing_file_and_a_torn_download_give_one_line(site: Site, tmp_path: Path) -> None:
    with pytest.raises(RetinaJError, match=r"nothing\.zip cannot be downloaded .*404"):
        fetch_package(f"{site.address}/nothing.zip#sha256={DIGEST}", cache=tmp_path)
    site.announced = len(CONTENT) + 5
    with pytest.raises(RetinaJError, match=r"broke off|cannot be downloaded"):
        fetch_package(f"{site.address}/m.zip#sha256={DIGEST}", cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RETINAJ_CACHE", raising=False)
    assert cache_folder().name == "retinaj"
    monkeypatch.setenv("RETINAJ_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


def test_a_package_at_a_url_is_a_model(rgb: Packaged, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETINAJ_CACHE", str(tmp_path))
    site.files["/p.zip"] = content = rgb.package.read_bytes()
    url = f"{site.address}/p.zip#sha256={hashlib.sha256(content).hexdigest()}"
    image = as_image(noise_pixels(70, 80, 3))
    assert_same_boxes(open_model(url).detect(image), open_model(rgb.package).detect(image))
    assert describe_model(url).class_names == describe_model(rgb.package).class_names
    assert site.asked == ["/p.zip"]
