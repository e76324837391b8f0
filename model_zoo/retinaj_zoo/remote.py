"""Packages at a URL: downloaded once, to the user's cache folder, and only if they are what the SHA-256 in the URL says."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from retinaj.errors import RetinaJError
from retinaj.files import atomic_path
from retinaj.user_folders import cache_folder
from retinaj.weights_file import file_sha256

# Three weight formats of the largest backbone are 0.35 GB.
MAX_DOWNLOAD_BYTES = 4 * 1024**3
_SECONDS_OF_SILENCE = 30
_CHUNK = 1024**2
_FRAGMENT = re.compile(r"sha256=([0-9a-fA-F]{64})")
_LOOPBACK = "127.0.0.1"


def is_url(text: str) -> bool:
    """Whether `text` is meant as a URL and not as a path.

    >>> is_url("https://example.org/model.zip"), is_url("models/model.zip"), is_url(r"C:\\\\models\\\\model.zip")
    (True, False, False)
    """
    return re.match(r"[A-Za-z][A-Za-z0-9+.\-]+://", text) is not None


def fetch_package(url: str, *, cache: Path | None = None, max_bytes: int = MAX_DOWNLOAD_BYTES) -> Path:
    """The package at a URL as a file in the cache, downloaded if it is not there yet.

    Args:
        url: `https://host/model.zip#sha256=64 hexadecimal digits`; plain http is taken from 127.0.0.1 only. Without the
            SHA-256 anybody between here and there could give another file.
        cache: folder to keep it in, as SHA-256.zip; default: `cache_folder()`.
        max_bytes: more are not downloaded.

    Raises:
        RetinaJError: if the URL is of another form, it cannot be reached, it redirects to anything but https, or its content
            is larger or has another SHA-256. Nothing is kept then.
    """
    address, _, fragment = url.partition("#")
    _require_allowed(address, address)
    match = _FRAGMENT.fullmatch(fragment)
    if match is None:
        raise RetinaJError(
            f"{address} has no SHA-256, so that nobody could tell it from another file. Add #sha256= and the 64 hexadecimal "
            "digits, which its author publishes and `sha256sum` prints."
        )
    expected = match.group(1).lower()
    target = (cache or cache_folder()) / f"{expected}.zip"
    if target.is_file() and file_sha256(target) == expected:
        return target
    try:
        _download(address, target, expected, max_bytes)
    except (OSError, http.client.HTTPException, ValueError) as error:  # URLError is an OSError
        raise RetinaJError(f"{address} cannot be downloaded to {target.parent}: {error}.") from error
    return target


def _download(address: str, target: Path, expected: str, max_bytes: int) -> None:
    digest, size = hashlib.sha256(), 0
    with _opener(address).open(address, timeout=_SECONDS_OF_SILENCE) as response:
        announced = int(response.headers.get("Content-Length") or 0)
        if announced > max_bytes:
            raise RetinaJError(f"{address} has {announced:,} bytes; a package has at most {max_bytes:,}.")
        with atomic_path(target) as temporary:
            with temporary.open("wb") as stream:
                while chunk := response.read(_CHUNK):
                    size += len(chunk)
                    if size > max_bytes:
                        raise RetinaJError(f"{address} gives more than {max_bytes:,} bytes; no package is that large.")
                    digest.update(chunk)
                    stream.write(chunk)
            if size < announced:
                raise RetinaJError(f"{address} broke off after {size:,} of {announced:,} bytes. Try again.")
            if digest.hexdigest() != expected:
                raise RetinaJError(
                    f"{address} is not the file that its SHA-256 says: it has {digest.hexdigest()[:12]}…, expected "
                    f"{expected[:12]}…. It was changed or is another version; it was not kept."
                )


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _require_allowed(newurl, req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(address: str) -> urllib.request.OpenerDirector:
    """Speaks http and https only: urllib's default opener would follow file: and ftp: too."""
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ]
    if urlsplit(address).hostname != _LOOPBACK:
        handlers.append(urllib.request.ProxyHandler())
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _require_allowed(address: str, origin: str) -> None:
    """Refuse anything but https, and http to this computer; and a redirect from the network to this computer.

    Raises:
        RetinaJError: naming the URL.
    """
    try:
        parts, source = urlsplit(address), urlsplit(origin)
        host, scheme = parts.hostname or "", parts.scheme.lower()
    except ValueError as error:
        raise RetinaJError(f"{address:.200} is not a URL: {error}.") from error
    local = host == _LOOPBACK
    from_network = source.hostname != _LOOPBACK
    if not host or scheme not in ("http", "https") or (scheme == "http" and not local) or (local and from_network):
        how = "" if address == origin else f"{origin} redirects to "
        raise RetinaJError(f"{how}{address:.200}, which is not opened: packages come over https, as https://host/model.zip.")
