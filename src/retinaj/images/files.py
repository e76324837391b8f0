"""Which image file an annotation or a list of names means."""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path, PurePosixPath

from retinaj.errors import RetinaJError
from retinaj.files import require_file, require_folder
from retinaj.images import find_images, image_stem, is_image


class ImageFiles:
    """The image files of a folder, and which of them an annotation means."""

    def __init__(self, folder: Path) -> None:
        self.folder = require_folder(folder, "a folder of images")
        self.paths = find_images(folder)
        self.by_stem: dict[str, list[Path]] = {}
        for path in self.paths:
            for stem in dict.fromkeys((path.stem, image_stem(path.name))):  # of cell.ome.tif, cell.ome and cell
                self.by_stem.setdefault(stem, []).append(path)
        self.by_name = {path.name: path for path in self.paths}

    def find(self, image_name: str, stem: str | None, source: Path) -> Path | None:
        """The image that an annotation means, or None if the folder does not have it.

        The name comes from an untrusted file: only a path that stays inside the image folder is followed.

        Args:
            image_name: the image's file name as the annotation has it, perhaps with folders; "" if it has none.
            stem: where the annotation's file is named after its image, that name; None where it is `image_name` that counts.
            source: the annotation file, for the error.

        Raises:
            RetinaJError: if several images have this stem, and `image_name` does not say which.
        """
        wanted = PurePosixPath(image_name.replace("\\", "/"))
        if stem is None:
            return self._inside(wanted, image_name) or self.by_name.get(wanted.name)
        same_stem = self.by_stem.get(stem, [])
        if len(same_stem) == 1:
            return same_stem[0]
        if same_stem:
            exact = [path for path in same_stem if path.name == wanted.name]
            if not exact:
                raise RetinaJError(
                    f"{source} may belong to {' or '.join(path.name for path in same_stem)}: "
                    "give these images different names, or name one of them in <filename>."
                )
            return exact[0]
        return self.by_name.get(wanted.name)

    def _inside(self, wanted: PurePosixPath, image_name: str) -> Path | None:
        """The image at a path relative to the folder, or to the folder's own parent."""
        if wanted.is_absolute() or ".." in wanted.parts or ":" in image_name:
            return None
        relative = [wanted]
        if len(wanted.parts) > 1 and wanted.parts[0] == self.folder.name:
            relative.append(PurePosixPath(*wanted.parts[1:]))  # written relative to the annotation file
        for name in relative:
            path = self.folder / name
            try:
                if is_image(path):
                    return path
            except OSError:  # longer than any file's name can be
                continue
        return None


def unique_labels(folder: Path, paths: list[Path]) -> dict[Path, str]:
    """A name for each image: its stem, with folder or suffix only where stems repeat."""
    relative = {path: path.relative_to(folder) for path in paths}
    shortenings: list[Callable[[Path], str]] = [
        lambda path: image_stem(path.name),
        lambda path: path.with_name(image_stem(path.name)).as_posix(),
    ]
    for shorten in shortenings:
        labels = {path: shorten(short) for path, short in relative.items()}
        if len(set(labels.values())) == len(paths):
            return labels
    return {path: short.as_posix() for path, short in relative.items()}


def read_names(path: Path) -> list[str]:
    """The names in a text file with one image name per line; empty lines are left out.

    Raises:
        RetinaJError: if there is no such file or it is not text.
    """
    require_file(path, "a text file with one image name per line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise RetinaJError(f"{path} is not a text file with one image name per line: {error}.") from error
    return [line.strip() for line in lines if line.strip()]


UNLISTABLE = "it begins or ends with a space, or has a line break or bytes that are no text"


def is_listable(name: str) -> bool:
    """Whether `read_names` makes the same name of a line with it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name == name.strip() and len(name.splitlines()) == 1 and not name.startswith("\ufeff")


def listed_name(line: str, known: Container[str]) -> str:
    """The image that a line of a list means: VOC's lists for one class have a second column, -1, 0 or 1.

    >>> listed_name("cell_7  -1", {"cell_7"}), listed_name("cell 1", {"cell 1"})
    ('cell_7', 'cell 1')
    """
    return line if line in known or not line.endswith((" 1", " 0", "-1")) else line.rsplit(maxsplit=1)[0]
