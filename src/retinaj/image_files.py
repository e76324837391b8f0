"""Which image file an annotation or a list of names means."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from retinaj.annotations import Annotation
from retinaj.errors import RetinaJError
from retinaj.files import require_file, require_folder
from retinaj.images import find_images, is_image_name


class ImageFiles:
    """The image files of a folder, and which of them an annotation means."""

    def __init__(self, folder: Path) -> None:
        self.folder = require_folder(folder, "a folder of images")
        self.paths = find_images(folder)
        self.by_stem: dict[str, list[Path]] = {}
        for path in self.paths:
            self.by_stem.setdefault(path.stem, []).append(path)
        self.by_name = {path.name: path for path in self.paths}

    def find(self, entry: Annotation) -> Path | None:
        """The image of an annotation. VOC and ROI files are named after it, COCO names it inside.

        The name inside comes from an untrusted file: only a path that stays inside the image folder is followed.
        """
        wanted = PurePosixPath(entry.image_name.replace("\\", "/"))
        if entry.source.suffix.lower() == ".json":
            inside = not wanted.is_absolute() and ".." not in wanted.parts and ":" not in entry.image_name
            relative = [wanted]
            if inside and len(wanted.parts) > 1 and wanted.parts[0] == self.folder.name:
                relative.append(PurePosixPath(*wanted.parts[1:]))  # written relative to the JSON file
            for name in relative if inside else []:
                path = self.folder / name
                try:
                    if is_image_name(path.name) and path.is_file():
                        return path
                except OSError:  # longer than any file's name can be
                    continue
            return self.by_name.get(wanted.name)
        stem = entry.source.stem if entry.source.suffix.lower() == ".xml" else entry.image_name
        same_stem = self.by_stem.get(stem, [])
        if len(same_stem) == 1:
            return same_stem[0]
        if same_stem:
            exact = [path for path in same_stem if path.name == wanted.name]
            if not exact:
                raise RetinaJError(
                    f"{entry.source} may belong to {' or '.join(path.name for path in same_stem)}: "
                    "give these images different names, or name one of them in <filename>."
                )
            return exact[0]
        return self.by_name.get(wanted.name)


def unique_labels(folder: Path, paths: list[Path]) -> dict[Path, str]:
    """A name for each image: its stem, with folder or suffix only where stems repeat."""
    relative = {path: path.relative_to(folder) for path in paths}
    for shorten in (lambda path: path.stem, lambda path: path.with_suffix("").as_posix(), lambda path: path.as_posix()):
        labels = {path: shorten(short) for path, short in relative.items()}
        if len(set(labels.values())) == len(paths):
            return labels
    return labels


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
