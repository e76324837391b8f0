"""Annotations of any format to any other, with nothing lost silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from retinaj.annotations.annotation import Annotation
from retinaj.annotations.files import unread_files
from retinaj.annotations.format import AnnotationFormat, Reading
from retinaj.annotations.images_beside import NewImage, plan_images, write_images
from retinaj.annotations.registry import find_format, format_named
from retinaj.annotations.writing import losses, write_annotations
from retinaj.counting import counted
from retinaj.errors import RetinaJError
from retinaj.files import atomic_folder, require_absent
from retinaj.images import is_image_name, read_header
from retinaj.images.files import ImageFiles
from retinaj.notes import summarised

_LISTED = 20  # faults that are said one by one


@dataclass(frozen=True)
class Conversion:
    """What was done.

    Attributes:
        read_as: the format of the source.
        written_as: the format of the target.
        images: how many images the target has annotations of.
        objects: how many objects it has.
        notes: what the target cannot hold, what the reader left out or doubts, and what else to know, a sentence each.
        skipped: the objects that could not be read and were left out, on demand; the last line counts those not listed.
        image_folder: where images were written, if they were.
    """

    read_as: AnnotationFormat
    written_as: AnnotationFormat
    images: int
    objects: int
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    image_folder: Path | None = None


def convert(
    source: Path,
    target: Path,
    to: str,
    *,
    reading: Reading | None = None,
    copy_images: bool = False,
    skip_faults: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Read annotations and write them in another format, whole or not at all.

    Objects that cannot be read stop the conversion, because the result would pass for complete; `skip_faults` leaves them
    out. Boxes are converted as they are, also those without area or outside of their image: `retinaj check` finds them.
    Images that the annotations carry in themselves (TFRecord) are written too, where the new format has no place for them.

    Args:
        source: a file or folder of annotations; nothing in it is changed.
        target: the file or folder to make. It must not exist, nor lie inside the source.
        to: name of the format to write.
        reading: how to read the source; its folder of images, if given, is where sizes and full names come from.
        copy_images: copy the images too, to where the format's tools expect them in a target folder (`image_folder`), or into
            TARGET_images beside a target file.
        skip_faults: leave out objects that cannot be read.
        progress: is called with (images done, images in all).

    Raises:
        RetinaJError: if the source cannot be read, has faults and `skip_faults` is not given, or needs images that are not
            there; if the target exists, has the wrong ending or two images would go to one file of it; or if the format
            cannot hold a coordinate or name.
    """
    source, target, reading = Path(source), Path(target), reading or Reading()
    chosen = format_named(to)
    _check_target(source, target, chosen)
    read_as = find_format(source) if reading.format is None else format_named(reading.format)
    files = None if reading.images is None else ImageFiles(reading.images)
    if copy_images and files is None:
        raise RetinaJError("--copy-images needs to know where the images are; name their folder with --images.")
    if skip_faults and source.is_dir():
        reading = replace(reading, broken=_refuse_file)
    found = read_as.read(source, reading)
    skipped = _faults(found, source, skip_faults=skip_faults)
    # An image none of whose objects could be read would pass for one without objects.
    found = [each for each in found if len(each.boxes) or not each.faults]
    notes = [
        *_notes(found),
        *unread_files(source, read_as.suffix, {file for each in found for file in (each.source, *each.more_sources)}),
    ]
    annotations, paths = _named(found, files, chosen, notes)
    if lost := losses(annotations, chosen):
        notes.insert(0, lost)

    originals = paths if copy_images else [None] * len(annotations)
    flat = chosen.layout == "folder"  # whose files are named after the images, all in one folder
    new_images: list[NewImage] = []
    if not chosen.carries_images:
        folder = None if flat or files is None else files.folder
        annotations, new_images = plan_images(annotations, originals, folder)
    image_folder = None
    if not new_images:
        write_annotations(target, annotations, chosen, images=reading.images, progress=progress)
    elif flat:
        image_folder = target / chosen.image_folder
        with atomic_folder(target) as temporary:
            write_annotations(temporary, annotations, chosen, images=reading.images, progress=progress)
            write_images(temporary / chosen.image_folder, new_images, progress)
    else:
        image_folder = target.with_name(f"{target.stem}_images")
        with atomic_folder(image_folder) as temporary:
            write_images(temporary, new_images, progress)
            write_annotations(target, annotations, chosen, images=reading.images, progress=progress)
    objects = sum(len(each.boxes) for each in annotations)
    return Conversion(read_as, chosen, len(annotations), objects, tuple(notes), tuple(skipped), image_folder)


def _refuse_file(file: Path, error: RetinaJError) -> None:
    raise RetinaJError(
        f"{error} --skip-faults leaves out single objects, not whole files: correct {file.name}, or move it to another folder."
    ) from error


def _check_target(source: Path, target: Path, chosen: AnnotationFormat) -> None:
    require_absent(target)
    if target.absolute().resolve().is_relative_to(source.absolute().resolve()):
        raise RetinaJError(f"{target} is inside {source}, in which RetinaJ changes nothing; choose a place outside.")
    suffix = target.suffix.lower()
    if chosen.layout == "file" and suffix != chosen.suffix:
        raise RetinaJError(f"{target} would be a file of {chosen.title}; expected a name that ends in {chosen.suffix}.")
    if chosen.layout == "folder" and suffix in (chosen.suffix, ".json", ".csv", ".xml", ".txt", ".zip"):
        raise RetinaJError(
            f"{target} would be a folder, as {chosen.title} has many files; name a folder to make, "
            f"such as {target.with_suffix('')}."
        )


def _faults(found: Sequence[Annotation], source: Path, *, skip_faults: bool) -> list[str]:
    """The objects to leave out, a sentence each.

    Raises:
        RetinaJError: if there are any and they are not to be left out.
    """
    faults = [f"{each.source.name}: {fault}" for each in found for fault in each.faults]
    if faults and not skip_faults:
        raise RetinaJError(
            f"{source} has {counted(len(faults), 'object')} that cannot be read. The first: {faults[0]} "
            "Correct the annotations, or leave such objects out with --skip-faults, which lists them."
        )
    faults += [
        f"{each.source.name}: all of its image {each.image_name or each.stem!r}, which would seem to be without objects"
        for each in found
        if each.faults and not len(each.boxes)
    ]
    more = len(faults) - _LISTED
    return faults if more <= 0 else [*faults[:_LISTED], f"{more:,} more."]


def _notes(found: Sequence[Annotation]) -> list[str]:
    """What the readers noted, in one sentence for each kind."""
    return summarised([f"{annotation.source.name}: {note}" for annotation in found for note in annotation.notes])


def _named(
    found: Sequence[Annotation], files: ImageFiles | None, chosen: AnnotationFormat, notes: list[str]
) -> tuple[list[Annotation], list[Path | None]]:
    """The annotations with their images' names and sizes as far as they are known, and the image files, where there are any."""
    annotations: list[Annotation] = []
    paths: list[Path | None] = []
    for each in found:
        path = None if files is None else files.find(each.image_name, each.stem, each.source)
        if files is not None and path is not None:
            name = path.relative_to(files.folder).as_posix()
        else:
            name = _plain(each.image_name) or each.stem or ""
        size = each.size
        if size is None and path is not None:  # it tells what lies outside the image, which not all formats can hold
            header = read_header(path)
            size = header.width, header.height
        annotations.append(replace(each, image_name=name, size=size))
        paths.append(path)
    missing = [each.image_name for each, path in zip(annotations, paths, strict=True) if path is None]
    if files is not None and missing:
        notes.append(f"{_first(missing)}: not in {files.folder}; the annotations are converted all the same")
    nameless = [each.image_name for each in annotations if not is_image_name(PurePosixPath(each.image_name).name)]
    if chosen.layout == "file" and nameless:
        notes.append(f"{_first(nameless)}: the name of the image has no ending; --images FOLDER finds the full names")
    repeated = [name for name, times in Counter(each.image_name for each in annotations).items() if times > 1]
    if repeated:
        notes.append(f"{_first(repeated)}: is annotated more than once; all are kept")
    return annotations, paths


def _plain(name: str) -> str:
    """A name from an annotation as a path inside some folder: of any other path, only the last part."""
    path = PureWindowsPath(name)  # knows both kinds of slashes
    return path.name if path.drive or path.root or ".." in path.parts else path.as_posix() if name else ""


def _first(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"
