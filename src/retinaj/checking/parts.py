"""The parts of a data set: training, validation and test images, as files of names or as annotations of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retinaj.annotations import Annotation
from retinaj.checking.findings import Finding
from retinaj.checking.pairing import Pairs
from retinaj.errors import RetinaJError
from retinaj.images.files import ImageFiles, listed_name, read_names, unique_labels

TRAINING, VALIDATION, TEST = "training", "validation", "test"
_VOC_LISTS = {TRAINING: "train.txt", VALIDATION: "val.txt", TEST: "test.txt"}
_TRAINING_NAMES = (TRAINING, "train")


@dataclass(frozen=True)
class Part:
    """One part of a data set.

    Attributes:
        name: "training", "validation", "test", or what its annotation file is called.
        annotations: the file or folder.
        names: a text file with the names of its images; None takes all that are annotated there.
        rest: instead: all that no other part takes.
    """

    name: str
    annotations: Path
    names: Path | None = None
    rest: bool = False

    @property
    def is_training(self) -> bool:
        """Whether models are trained on it, as far as its name says."""
        return self.name.lower() in _TRAINING_NAMES


def find_parts(images: Path, annotations: Sequence[Path], given: Mapping[str, Path] | None = None) -> list[Part]:
    """The parts that a data set has.

    Args:
        images: folder of the images.
        annotations: one file or folder for all images, or one for each part, which is then called like the file.
        given: for "training", "validation" and "test": a text file (.txt) of names, or annotations of their own. Without
            "training", that is all other images. If nothing is given, VOC's ImageSets/Main is looked for beside the images
            and the annotations.

    Returns:
        One part or more; a single one if the data set has no parts.

    Raises:
        RetinaJError: if there are several annotations and also something given, or annotations that are there twice.
    """
    annotations = [Path(path) for path in annotations]
    given = dict(given or {})
    if len(annotations) > 1:
        if given:
            raise RetinaJError(
                f"There are {len(annotations)} annotations, each of a part of the data, and lists of names as well; "
                "expected one or the other."
            )
        names = _file_names(annotations)
        return [Part(name, path) for name, path in zip(names, annotations, strict=True)]
    [whole] = annotations
    if not given:
        given = _voc_lists(Path(images), whole)
    if not given:
        return [Part("all", whole)]
    parts = [_given_part(name, given[name], whole) for name in (TRAINING, VALIDATION, TEST) if name in given]
    if TRAINING not in given:
        parts.insert(0, Part(TRAINING, whole, rest=True))
    return parts


def _given_part(name: str, path: Path, whole: Path) -> Part:
    is_list = path.suffix.lower() == ".txt" and not path.is_dir()
    return Part(name, whole, names=path) if is_list else Part(name, path)


def _file_names(paths: Sequence[Path]) -> list[str]:
    for names in ([path.stem for path in paths], [path.name for path in paths], [str(path) for path in paths]):
        if len(set(names)) == len(names):
            return names
    raise RetinaJError(f"The same annotations are given twice: {', '.join(map(str, paths))}.")


def _voc_lists(images: Path, annotations: Path) -> dict[str, Path]:
    for beside in dict.fromkeys((annotations.parent, images.parent)):
        folder = beside / "ImageSets" / "Main"
        found = {name: folder / file for name, file in _VOC_LISTS.items() if (folder / file).is_file()}
        if len(found) > 1:
            return found
    return {}


def divide(
    parts: Sequence[Part], pairs: Mapping[Path, Pairs], files: ImageFiles
) -> tuple[dict[str, dict[Path, Annotation]], list[Finding]]:
    """The annotated images of each part, and what is wrong with the division.

    Args:
        parts: as `find_parts` gives them.
        pairs: for each of the parts' annotations.
        files: the images.
    """
    findings: list[Finding] = []
    members: dict[str, dict[Path, Annotation]] = {}
    for part in parts:
        annotated = pairs[part.annotations].annotations
        if part.names is None:
            members[part.name] = dict(annotated)
        else:
            listed = list(_listed(part.names, files, findings))
            members[part.name] = {path: annotated[path] for path in listed if path in annotated}
    for part in parts:
        if part.rest:
            taken = {path for other in parts if other is not part for path in members[other.name]}
            members[part.name] = {path: entry for path, entry in members[part.name].items() if path not in taken}
    if len(parts) > 1:
        findings += _in_two(members)
        used = {path for each in members.values() for path in each}
        annotated = {path: entry for each in pairs.values() for path, entry in each.annotations.items()}
        findings += [
            Finding("no-part", path, f"is in none of {', '.join(members)}", image=path)
            for path in annotated
            if path not in used
        ]
    return members, findings


def _listed(names: Path, files: ImageFiles, findings: list[Finding]) -> Iterator[Path]:
    labels = unique_labels(files.folder, files.paths)
    known = {label: path for path, label in labels.items()} | files.by_name
    for line in read_names(names):
        name = listed_name(line, known)
        if name in known:
            yield known[name]
        else:
            findings.append(Finding("listed-missing", names, f"lists {name!r}, which is not in {files.folder}"))


def _in_two(members: Mapping[str, Mapping[Path, Annotation]]) -> Iterator[Finding]:
    first: dict[Path, str] = {}
    for part, paths in members.items():
        for path in paths:
            if path in first:
                yield Finding("in-two-parts", path, f"is in {first[path]} and in {part}", image=path)
            else:
                first[path] = part
