"""Images and their annotations, brought together and checked: what training and evaluation run on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import xarray as xr

from retinaj.annotations import Annotation, Reading, relabel
from retinaj.annotations.writing import common_classes
from retinaj.boxes import Boxes
from retinaj.checking.boxes import BoxKinds, without_crowds
from retinaj.checking.classes import check_classes
from retinaj.checking.entries import check_entries, read_source
from retinaj.checking.folders import require_images
from retinaj.checking.images import read_headers
from retinaj.checking.pairing import check_missing, pair
from retinaj.checking.refusal import notes_and_warnings, require_no_errors
from retinaj.counting import counted
from retinaj.errors import RetinaJError
from retinaj.images import ImageHeader
from retinaj.images.files import ImageFiles, listed_name, read_names, unique_labels
from retinaj.images.plane_choice import AS_STORED, Plane, PlaneChoice, plane_suffix

_ONE_STACK = (
    "{}: is the only image, so that its planes validate each other. Neighbouring planes look alike: the figures will flatter "
    "the model. Evaluate it on another stack"
)


@dataclass(frozen=True)
class Sample:
    """One image, or one plane of a stack, with its ground truth.

    Attributes:
        name: the image's file name without suffix (with its folder and suffix where that is needed to be unique); for one of
            several planes with its frame and slice, as in "cells_t1_z07".
        image_path: the image file; it exists and its header was readable.
        boxes: its objects, each with an area inside the image; perhaps none.
        plane: which plane of a stack; None if the image is one plane.
        choice: how the image is read.
    """

    name: str
    image_path: Path
    boxes: Boxes
    plane: Plane | None = None
    choice: PlaneChoice = AS_STORED

    def read(self) -> xr.DataArray:
        """The pixels, dims y, x or c, y, x, of the channels that were chosen; see `PlaneChoice.read`."""
        return self.choice.read(self.image_path, self.plane)

    def open(self) -> xr.DataArray:
        """As `read`, but a large TIFF or OME-Zarr stays in its file, as a dask array; see `PlaneChoice.open`."""
        return self.choice.open(self.image_path, self.plane)

    def open_in_file(self) -> xr.DataArray:
        """As `open`, whatever the size."""
        return self.choice.open(self.image_path, self.plane, lazy_above=0)


@dataclass(frozen=True)
class Dataset:
    """Annotated images.

    Attributes:
        class_names: of all boxes, in the order of their labels.
        samples: one per annotated image or plane, in the order of the annotations or of the list of names.
        notes: what was left out or corrected, one sentence each, with file and place: for people to read.
        warnings: what was taken as it is although it is probably a mistake, in the same form.
    """

    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    def counts(self) -> dict[str, int]:
        """How many boxes each class has."""
        found = Counter(name for sample in self.samples for name in sample.boxes.names)
        return {name: found[name] for name in self.class_names}

    def subset(self, names: Iterable[str]) -> Dataset:
        """The samples with these names (with or without the image's suffix), in that order; the notes stay. The suffixed
        name of a stack means all its planes.

        Raises:
            RetinaJError: if a name is unknown or comes twice.
        """
        index = {sample.name: [sample] for sample in self.samples}
        for sample in self.samples:
            if sample.image_path.name != sample.name:
                index.setdefault(sample.image_path.name, []).append(sample)
        chosen: dict[str, Sample] = {}
        for name in names:
            if name not in index:
                raise RetinaJError(f"There is no image {name!r} among the {len(self.samples)} of this data set.")
            for sample in index[name]:
                if sample.name in chosen:
                    raise RetinaJError(f"The image {name!r} is named twice.")
                chosen[sample.name] = sample
        return replace(self, samples=tuple(chosen.values()))

    def split(self, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
        """Divide the images by chance into (training, validation).

        The same images, fraction and seed give the same parts on every machine, whatever the order of the samples. The
        planes of a stack stay together, unless there is only one stack. Classes are left to chance: `retinaj.splitting`
        shares them out, but then one image more can move others to the other side. Notes and warnings stay with the
        first; the notes begin with the classes that one of the parts has no object of.

        Args:
            fraction: share of the images that goes to validation, above 0 and below 1; each part gets at least one
                image.
            seed: any whole number from 0.

        Raises:
            RetinaJError: if the fraction is out of range or there are fewer than two images.
        """
        if not 0 < fraction < 1:
            raise RetinaJError(f"The share of validation images is {fraction}; expected a number between 0 and 1.")
        one_stack = len({sample.image_path for sample in self.samples}) == 1
        groups: dict[str, list[Sample]] = {}
        for sample in self.samples:
            whole = sample.plane is None or one_stack
            groups.setdefault(sample.name if whole else str(sample.image_path.name), []).append(sample)
        if len(groups) < 2:
            are = "is" if len(self) == 1 else "are"
            raise RetinaJError(
                f"There {are} {counted(len(self), 'annotated image')}; training needs two at least, one for validation."
            )

        # A hash rather than a random generator: NumPy's may give other numbers in another version, and so an image keeps
        # its side when a few are added.
        def chance(name: str) -> bytes:
            return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogatepass")).digest()

        order = sorted(groups, key=chance)
        count = min(max(round(fraction * len(order)), 1), len(order) - 1)
        taken = {sample.name for name in order[:count] for sample in groups[name]}
        training = tuple(sample for sample in self.samples if sample.name not in taken)
        validation = tuple(sample for sample in self.samples if sample.name in taken)
        parts = replace(self, samples=training), replace(self, samples=validation, notes=(), warnings=())
        present = self.counts()
        doubts = [
            f"no object of {name!r} is among the {what} images: `retinaj split` shares rare classes out"
            for what, part in zip(("training", "validation"), parts, strict=True)
            for name, count in part.counts().items()
            if present[name] and not count
        ]
        if one_stack:
            doubts.append(_ONE_STACK.format(self.samples[0].image_path.name))
        return replace(parts[0], notes=(*doubts, *self.notes)), parts[1]


def load_dataset(
    images: Path,
    annotations: Path,
    *,
    names: Path | None = None,
    class_names: Sequence[str] | None = None,
    reading: Reading | None = None,
    planes: PlaneChoice | None = None,
) -> Dataset:
    """Read annotations, find their images and check that the two fit.

    The annotations are checked as by `retinaj check`, without comparing pixels: errors are refused, warnings are in the data
    set's `warnings`. An image without an annotation file is left out (nobody looked at it), while one whose annotation has no
    objects is a valid empty image. Boxes without an area, of at most 1 x 1 pixel (as from a click) or outside their image are
    dropped, and boxes that reach over its border are cut; whatever is left out is listed in the notes.

    Args:
        images: folder of the images.
        annotations: a file or folder of any format in `retinaj.annotations.FORMATS`.
        names: a text file with one image name per line, with or without suffix (as in VOC's ImageSets): only these.
        class_names: the classes of a trained model, in its order; default: those that have boxes, in the order of a file
            that has them all (COCO's category ids), else sorted by name.
        reading: how to read the annotations, where they leave it open; the folder of images is known here.
        planes: how images are read and stacks become planes; default: every plane that has boxes by itself.

    Raises:
        RetinaJError: if a file or folder is missing or broken, the check finds errors, boxes on a stack do not say on which
            plane they lie, a listed image is missing, a class is not among `class_names`, or nothing is left.
    """
    planes = planes or AS_STORED
    images, annotations = Path(images), Path(annotations)
    files = ImageFiles(images)
    reading = replace(reading or Reading(), images=images)
    see_all = f'`retinaj check "{images}" "{annotations}"` lists all there is to say about these data.'
    try:
        _, entries, broken = read_source(annotations, reading)
    except RetinaJError:
        require_images(files, [annotations])
        raise
    pairs = pair(entries, files)
    if not pairs.annotations:
        require_images(files, [annotations])
    require_no_errors([*broken, *pairs.findings], see_all)
    notes: list[str] = []
    paired = pairs.annotations
    labels = unique_labels(images, list(paired))
    chosen = [(labels[path], path) for path in paired]
    if names is not None:
        chosen = _limit(chosen, files, read_names(Path(names)), Path(names), notes)
    else:
        notes += [str(each) for each in check_missing(pairs, images)]
        unannotated = [path for path in files.paths if path not in paired]
        notes += _list_unannotated(unannotated, annotations, one_file=any(entry.stem is None for entry in entries))
    if not chosen:
        raise RetinaJError(
            f"No image in {images} has an annotation in {annotations}. Expected an annotation named after each image "
            "(cell1.xml for cell1.png), or COCO with the images' file names."
        )

    wanted = {path: paired[path] for _, path in chosen}
    headers, unreadable = read_headers(list(wanted), planes.header)
    findings = [*unreadable, *check_entries(wanted, headers), *check_classes(wanted)]
    require_no_errors(findings, see_all)
    left_out, warnings = notes_and_warnings(findings)
    notes += left_out
    cleaned = {path: _clean(entry, headers[path]) for path, entry in wanted.items()}
    if class_names is None:
        class_names = _classes(entries, cleaned.values())
        if not class_names:
            raise RetinaJError(_why_empty(images, annotations, wanted, headers))
    samples: list[Sample] = []
    for label, path in chosen:
        boxes = relabel(cleaned[path], class_names, f"{paired[path].source} ({path.name})")
        samples += _divide(label, path, boxes, planes, headers[path], notes)
        if len(headers[path].series) > 1 and planes.series is None:
            count, first = len(headers[path].series), headers[path].series[0]
            notes.append(f"{path.name}: holds {count} images, of which the first, {first!r}, is used; --series takes another")
    return Dataset(tuple(class_names), tuple(samples), tuple(notes), tuple(warnings))


def _divide(
    label: str, path: Path, boxes: Boxes, planes: PlaneChoice, header: ImageHeader, notes: list[str]
) -> Iterator[Sample]:
    """One sample for each plane that is used."""
    parts, doubts = planes.divide(boxes, header.sizes, path.name)
    notes += doubts
    for plane, found in parts:
        yield Sample(label + plane_suffix(plane, header.sizes), path, found, plane, planes)


def _list_unannotated(paths: list[Path], annotations: Path, *, one_file: bool) -> list[str]:
    if one_file:  # one file per split is usual, so that most images are in another one
        return [f"{len(paths)} images are not in {annotations.name} and are left out"] if paths else []
    return [f"{path.name}: has no annotation in {annotations} and is left out" for path in paths]


def _limit(
    chosen: list[tuple[str, Path]], files: ImageFiles, wanted: list[str], source: Path, notes: list[str]
) -> list[tuple[str, Path]]:
    """The images that are listed, in the order of the list."""
    index = {path.name: (label, path) for label, path in chosen} | {label: (label, path) for label, path in chosen}
    limited: dict[Path, str] = {}
    absent: list[str] = []
    for name in wanted:
        key = listed_name(name, index)
        if key in index:
            label, path = index[key]
            limited[path] = label
        elif key in files.by_name or key in files.by_stem:
            notes.append(f"{key}: is listed in {source.name}, but has no annotation and is left out")
        else:
            absent.append(key)
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise RetinaJError(
            f"{source} lists images that are not in {files.folder}: {', '.join(map(repr, absent[:3]))}{more}. "
            "Expected one image name per line, with or without its suffix."
        )
    return [(label, path) for path, label in limited.items()]


def _clean(entry: Annotation, header: ImageHeader) -> Boxes:
    """The boxes that are usable on the image as it is."""
    boxes = replace(without_crowds(entry).boxes, score=None)
    return boxes.clipped(header.width, header.height).select(~BoxKinds.of(boxes, header).unusable)


def _why_empty(images: Path, annotations: Path, wanted: Mapping[Path, Annotation], headers: Mapping[Path, ImageHeader]) -> str:
    """What to tell the user where no box is left."""
    among = counted(len(wanted), "image")
    boxes = sum(len(entry.boxes) for entry in wanted.values())
    outside = sum(int(BoxKinds.of(entry.boxes, headers[path]).outside.sum()) for path, entry in wanted.items())
    if not outside:
        return f"{annotations} has no objects for the {among} in {images}: {'it is' if len(wanted) == 1 else 'all are'} empty."
    first = next(path for path, entry in wanted.items() if BoxKinds.of(entry.boxes, headers[path]).outside.any())
    size = f"{first.name} is {headers[first].width} x {headers[first].height} pixels"
    return (
        f"Of the {counted(boxes, 'box')} in {annotations}, {'all' if outside == boxes else f'{outside:,}'} lie outside the "
        f"{among} in {images}, and none can be used: {size}. These may be the wrong images, or their axes are not what they "
        "seem: see --axes."
    )


def _classes(entries: Sequence[Annotation], boxes: Iterable[Boxes]) -> tuple[str, ...]:
    used = {name for each in boxes for name in each.names}
    return tuple(name for name in common_classes(entries) if name in used)
