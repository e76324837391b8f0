"""Folders that are not what they were given as: swapped, or one level too high."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj.images import find_images, is_image
from retinaj.images.files import ImageFiles

_LOOKED_AT = 100  # folders in a folder


def require_images(files: ImageFiles, annotations: Sequence[Path]) -> None:
    """Refuse a folder of images without any, and say where they may be instead.

    Args:
        files: of the folder.
        annotations: the files and folders given as annotations.

    Raises:
        RetinaJError: if there are none.
    """
    if files.paths:
        return
    problem = f"There are no images in {files.folder}"
    swapped = next((path for path in annotations if path.is_dir() and find_images(path)), None)
    if swapped is not None:
        raise RetinaJError(
            f"{problem}, but there are some in {swapped}: did you swap the two? "
            "Expected the images first, then the annotations."
        )
    below = [folder for folder in _folders(files.folder) if find_images(folder)]
    if below:
        named = " or ".join(map(str, below[:3]))
        raise RetinaJError(f"{problem} itself, but there are some one level below: did you mean {named}?")
    raise RetinaJError(f"{problem}; expected PNG, JPEG, TIFF or OME-Zarr.")


def _folders(folder: Path) -> list[Path]:
    inner = (each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".") and not is_image(each))
    return sorted(islice(inner, _LOOKED_AT))
