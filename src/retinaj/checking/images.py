"""Image files: whether they can be read, and whether they are where they seem to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from retinaj.checking.findings import Finding
from retinaj.checking.pairing import without_path
from retinaj.errors import RetinaJError
from retinaj.images import ImageHeader, is_image_name, read_header


def read_headers(
    paths: list[Path], read: Callable[[Path], ImageHeader] = read_header
) -> tuple[dict[Path, ImageHeader], list[Finding]]:
    """The headers of all images that have one, and the images that have none."""
    headers: dict[Path, ImageHeader] = {}
    findings: list[Finding] = []
    for path in paths:
        try:
            headers[path] = read(path)
        except RetinaJError as error:
            findings.append(unreadable(path, error))
    return headers, findings


def unreadable(path: Path, error: RetinaJError) -> Finding:
    """An image that cannot be read, and why."""
    return Finding("unreadable-image", path, without_path(error, path))


def check_links(folder: Path) -> Iterator[Finding]:
    """Symbolic links directly in a folder that lead out of it, or nowhere.

    Links to nowhere count only where they are called like an image: other files are not looked at.
    """
    inside = folder.resolve()
    for path in sorted(folder.iterdir()):
        if not path.is_symlink() or path.name.startswith("."):
            continue
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):  # it is missing, or the link leads to itself
            if is_image_name(path.name):
                yield Finding("unreadable-image", path, f"is a link to {str(path.readlink())!r}, which is not there")
            continue
        if not target.is_relative_to(inside):
            yield Finding("link-outside", path, f"is a link to {target}")
