"""Writing annotations in any format: whole or not at all, and saying what the format cannot hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from retinaj.annotations.annotation import Annotation, relabel
from retinaj.annotations.format import FEATURES, LIMITS, AnnotationFormat, ImageSizes, features
from retinaj.errors import RetinaJError
from retinaj.files import atomic_folder, atomic_path, require_absent


def write_annotations(
    target: Path,
    annotations: Sequence[Annotation],
    chosen: AnnotationFormat,
    *,
    class_names: Sequence[str] | None = None,
    images: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write annotations in a format, whole or not at all.

    Args:
        target: the file or folder to make; it must not exist.
        annotations: of different images.
        chosen: the format.
        class_names: the order of the classes; default: those of the annotations, in their order if all agree, else sorted.
        images: folder of the images, for formats that need the sizes of images (or the images) and annotations that do not
            give them.
        progress: is called with (images done, images in all).

    Raises:
        RetinaJError: if the target exists, there is nothing to write, two annotations would go to one file, a size is needed
            and not known, or the format cannot hold a coordinate or name.
    """
    target = Path(target)
    require_absent(target)
    if not annotations:
        raise RetinaJError(f"There are no annotations to write to {target}.")
    names = common_classes(annotations) if class_names is None else tuple(class_names)
    prepared = _reported(_prepared(annotations, names, chosen, images), len(annotations), progress)
    if chosen.layout == "file":
        with atomic_path(target) as temporary:
            chosen.write(temporary, prepared, names, images)
    else:
        with atomic_folder(target) as temporary:
            chosen.write(temporary, prepared, names, images)


def common_classes(annotations: Iterable[Annotation]) -> tuple[str, ...]:
    """The classes of all annotations: in their order if all have the same, else those that have boxes, sorted."""
    each = {annotation.boxes.class_names for annotation in annotations}
    if len(each) == 1:
        return each.pop()
    return tuple(sorted({name for annotation in annotations for name in annotation.boxes.names}))


def losses(annotations: Iterable[Annotation], chosen: AnnotationFormat) -> str | None:
    """One line about what the annotations say and the format cannot hold, or changes; None if it holds everything."""
    found = Counter[str]()
    for annotation in annotations:
        found.update(features(annotation))
    lost = [f"{FEATURES[name]} ({found[name]:,})" for name in FEATURES if found[name] and name not in chosen.holds]
    parts = [f"{', '.join(lost)}: left out"] if lost else []
    for name, (what, outcome) in LIMITS.items():
        if found[name] and name in chosen.limits:
            parts.append(f"{what} ({found[name]:,}): {outcome}")
    said = [f"{chosen.title} cannot hold {'; '.join(parts)}."] if parts else []
    return " ".join([*said, chosen.caveat] if chosen.caveat else said) or None


def _reported(
    annotations: Iterator[Annotation], total: int, progress: Callable[[int, int], None] | None
) -> Iterator[Annotation]:
    for done, annotation in enumerate(annotations):
        if progress is not None:
            progress(done, total)
        yield annotation


def _prepared(
    annotations: Sequence[Annotation], names: tuple[str, ...], chosen: AnnotationFormat, images: Path | None
) -> Iterator[Annotation]:
    """The annotations with labels into the common classes, and with sizes where they are needed."""
    sizes = ImageSizes(images, f"{chosen.title} needs the sizes of the images")
    for annotation in annotations:
        size = annotation.size
        if size is None:
            look_up = sizes.size if chosen.needs_size else sizes.size_if_there
            size = look_up(annotation.image_name, annotation.stem, annotation.source)
        yield replace(annotation, boxes=relabel(annotation.boxes, names, str(annotation.source)), size=size)
