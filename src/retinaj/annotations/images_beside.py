"""Writing images beside new annotations: copies of image files, and images that the annotations carry in themselves."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from retinaj.annotations.annotation import Annotation
from retinaj.errors import RetinaJError

_MAX_STEM = 60  # characters, of up to four bytes each; file systems take names of 255 bytes
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")  # by Windows
_SUFFIXES = {b"\x89PNG\r\n\x1a\n": (".png",), b"\xff\xd8\xff": (".jpg", ".jpeg"), b"II*\0": (".tif", ".tiff"),
             b"MM\0*": (".tif", ".tiff")}  # fmt: skip


@dataclass(frozen=True)
class NewImage:
    """An image to write.

    Attributes:
        name: path inside the folder of images, with slashes; safe on every system.
        origin: the file to copy, or what gives the content.
    """

    name: str
    origin: Path | Callable[[], bytes]


def plan_images(
    annotations: Sequence[Annotation], originals: Sequence[Path | None], folder: Path | None
) -> tuple[list[Annotation], list[NewImage]]:
    """Find names for the images to write, and put them into the annotations.

    Args:
        annotations: of which those with `encoded` carry their images.
        originals: the image file to copy for each annotation, or None.
        folder: of the originals: their paths in it are kept. None puts all into one folder.

    Raises:
        RetinaJError: if a carried image is neither PNG, JPEG nor TIFF.
    """
    planned: list[Annotation] = []
    images: dict[str, NewImage] = {}
    used: dict[str, int] = {}
    for annotation, original in zip(annotations, originals, strict=True):
        origin: Path | Callable[[], bytes] | None = original or annotation.encoded
        if origin is None:
            planned.append(annotation)
            continue
        if isinstance(origin, Path):
            name = origin.name if folder is None else origin.relative_to(folder).as_posix()
        else:
            name = _unused(_safe_name(annotation, origin()), used)
        images.setdefault(name, NewImage(name, origin))
        planned.append(replace(annotation, image_name=name, encoded=None))
    return planned, list(images.values())


def write_images(folder: Path, images: Sequence[NewImage], progress: Callable[[int, int], None] | None = None) -> None:
    """Write the images into a folder, which may exist; `progress` is called with (images done, images in all)."""
    for done, image in enumerate(images):
        if progress is not None:
            progress(done, len(images))
        target = folder / image.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(image.origin, Path):
            shutil.copyfile(image.origin, target)
        else:
            target.write_bytes(image.origin())


def _safe_name(annotation: Annotation, content: bytes) -> str:
    """A file name like the one in the annotation, which comes from an untrusted file, with the suffix of the content."""
    suffixes = next((each for start, each in _SUFFIXES.items() if content.startswith(start)), None)
    if suffixes is None:
        raise RetinaJError(
            f"{annotation.source}: the image {annotation.image_name[:80]!r} in it is neither PNG, JPEG nor TIFF."
        )
    name = PureWindowsPath(annotation.image_name).name  # knows both kinds of slashes
    path = PurePosixPath(_UNSAFE.sub("_", name).strip(". "))
    suffix = path.suffix if path.suffix.lower() in suffixes else suffixes[0]
    return safe_stem(path.stem if path.suffix.lower() in (*suffixes, ".png", ".jpg", ".jpeg") else path.name) + suffix


def safe_stem(text: str) -> str:
    """A text as the name of a file on every system, without suffix and at most 60 characters long.

    >>> safe_stem("a/b: c?"), safe_stem("con"), safe_stem(" . ")
    ('a_b_ c_', '_con', 'image')
    """
    stem = _UNSAFE.sub("_", text).strip(". ")[:_MAX_STEM].rstrip(". ") or "image"
    return f"_{stem}" if _RESERVED.fullmatch(stem) else stem


def _unused(name: str, used: dict[str, int]) -> str:
    """The name, or with the next number if it was given out before; small and capital letters are one on some systems."""
    path, key, chosen = PurePosixPath(name), name.casefold(), name
    while chosen.casefold() in used:
        used[key] = used.get(key, 1) + 1
        chosen = f"{path.stem}_{used[key]}{path.suffix}"
    used.setdefault(chosen.casefold(), 1)
    return chosen
