"""Image files: whether they can be read, and whether they are where they seem to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from retinaj.annotations import Annotation
from retinaj.checking.findings import Finding
from retinaj.checking.pairing import without_path
from retinaj.errors import RetinaJError
from retinaj.images import ImageHeader, is_image_name, read_header
from retinaj.images.files import UNLISTABLE, is_listable
from retinaj.images.plane_choice import PlaneChoice


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


def check_names(paths: Iterable[Path]) -> Iterator[Finding]:
    """Names that a list of names, one a line, cannot hold."""
    for path in paths:
        if not is_listable(path.name):
            message = f"has the name {path.name!r}, which a list of names cannot hold: {UNLISTABLE}"
            yield Finding("unlistable-name", path, message, image=path)


def check_planes(
    pairs: Mapping[Path, Annotation], headers: Mapping[Path, ImageHeader], planes: PlaneChoice
) -> Iterator[Finding]:
    """Boxes on stacks: whether they say on which plane they lie, and which of them are not used."""
    for path, entry in pairs.items():
        if path not in headers:
            continue
        try:
            _, doubts = planes.divide(entry.boxes, headers[path].sizes, path.name)
        except RetinaJError as error:
            yield Finding("no-plane", entry.source, str(error).removeprefix(f"{path.name}: ").removesuffix("."), image=path)
            continue
        for doubt in doubts:
            yield Finding("doubtful", entry.source, doubt.removeprefix(f"{path.name}: "), image=path)


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
