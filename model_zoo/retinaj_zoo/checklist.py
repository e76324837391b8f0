"""What the BioImage Model Zoo asks of a package, gone through on this computer: what is right, must or should be changed.

Format and test are bioimageio.core's own, in a fresh process. The rest is what the zoo's reviewers look at, and what the
format recommends.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image, UnidentifiedImageError

from retinaj.errors import RetinaJError
from retinaj_zoo.checking import check_package
from retinaj_zoo.metadata import DATA_NOT_STATED, LIMITS_NOT_STATED, UNKNOWN_AUTHOR
from retinaj_zoo.package_files import PackageFiles, open_files
from retinaj_zoo.untrusted_yaml import MAX_YAML_BYTES, load_yaml
from retinaj_zoo.validation import NOT_EVALUATED
from retinaj_zoo.weight_formats import ONNX_OPSET

_MAX_FILE_BYTES = 2 * 1024**3
_MAX_COVER_BYTES = 500_000
_COVER_RATIOS = (1.0, 2.0)  # width to height
_SECTIONS = ("Using it", "Input and output", "Training", "Validation", "Limits")
_NAME = r"[A-Za-z0-9_+\- ()]{5,128}"
_GOOD_NAME, _GOOD_DESCRIPTION = 64, 512  # characters; the format warns about more
_OWN_TAGS = frozenset({"object-detection", "2d", "tensorflow", "fiji", "imagej", "retinanet", "retinaj"})
_RETINANET_DOI = "10.1109/ICCV.2017.324"


@dataclass(frozen=True)
class Item:
    """One line of the checklist.

    Attributes:
        level: "ok"; "must" for what the zoo refuses; "should" for what its reviewers will ask about.
        subject: what was looked at.
        detail: what was found, and what to do about it.
    """

    level: Literal["ok", "must", "should"]
    subject: str
    detail: str


def zoo_checklist(package: Path) -> tuple[Item, ...]:
    """Go through a package as the zoo's checks and reviewers will. Nothing is looked up online.

    Args:
        package: the zip.

    Returns:
        Every line, in the order of looking.

    Raises:
        RetinaJError: if it is no package, or a hostile one.
    """
    package = Path(package)
    if not package.is_file():
        state = "is a folder" if package.is_dir() else "does not exist"
        raise RetinaJError(f"{package} {state}; expected a package.zip made by `retinaj package`.")
    with open_files(package) as files:
        data = load_yaml(files.read(files.description_name, MAX_YAML_BYTES), f"{files.description_name} in {files.origin}")
        items = [item for look in _LOOKS for item in look(data, files)]
    return (*_format_and_test(package), *items)


def _format_and_test(package: Path) -> Iterator[Item]:
    try:
        result = check_package(package)
    except RetinaJError as error:
        yield Item("must", "format and test", str(error))
        return
    yield Item("ok", "format and test", f"bioimageio.core passed it: {result.checks} checks in {result.seconds:.0f} s")
    for warning in result.warnings:
        yield Item("should", "format", warning)


def _identity(data: dict[str, Any], files: PackageFiles) -> Iterator[Item]:
    if data.get("id") is not None:
        yield Item("must", "id", f"the package names itself {data['id']!r}, but the zoo gives identifiers: remove the field id")
    name, description = str(data.get("name") or ""), str(data.get("description") or "")
    if not re.fullmatch(_NAME, name):
        yield Item("must", "name", f"{name!r} has other than 5 to 128 letters, digits, spaces, _ + - ( )")
    elif len(name) > _GOOD_NAME:
        yield Item("should", "name", f"it has {len(name)} characters; {_GOOD_NAME} are easier to read")
    else:
        yield Item("ok", "name", name)
    if not description:
        yield Item("must", "description", "there is none: one or two sentences, as description")
    elif len(description) > _GOOD_DESCRIPTION:
        yield Item("should", "description", f"it has {len(description)} characters; at most {_GOOD_DESCRIPTION} are wanted")
    else:
        yield Item("ok", "description", f"{len(description)} characters")


def _people(data: dict[str, Any], files: PackageFiles) -> Iterator[Item]:
    authors, maintainers = _mappings(data.get("authors")), _mappings(data.get("maintainers"))
    names = [str(author.get("name", "")) for author in authors]
    if not names or UNKNOWN_AUTHOR in names:
        yield Item("must", "authors", "nobody stands for the model: package it again with authors")
    else:
        yield Item("ok", "authors", ", ".join(names))
        without = [name for name, author in zip(names, authors, strict=True) if not author.get("orcid")]
        if without:
            yield Item("should", "authors", f"no orcid is given for {', '.join(without)}")
    reachable = [str(person["github_user"]) for person in [*maintainers, *authors] if person.get("github_user")]
    if reachable:
        yield Item("ok", "maintainers", f"GitHub: {', '.join(dict.fromkeys(reachable))}")
    else:
        yield Item("must", "maintainers", "the zoo writes to a GitHub account: give maintainers, or an author, a github_user")


def _licence(data: dict[str, Any], files: PackageFiles) -> Iterator[Item]:
    licence = data.get("license")
    if isinstance(licence, str) and licence:  # that it is one of SPDX's is for the format to say
        yield Item("ok", "licence", licence)
    else:
        yield Item("must", "licence", "there is none: an SPDX identifier such as CC-BY-4.0, as license")


def _citations(data: dict[str, Any], files: PackageFiles) -> Iterator[Item]:
    cited = _mappings(data.get("cite"))
    others = [entry for entry in cited if entry.get("doi") != _RETINANET_DOI]
    if others:
        yield Item("ok", "citations", f"{len(cited)}")
    else:
        yield Item("should", "citations", "only RetinaNet is cited: add the paper or the address of the training data, as cite")
    own = {*_OWN_TAGS, *(str(value) for value in _words(data))}
    if any(tag not in own for tag in data.get("tags") or ()):
        yield Item("ok", "tags", ", ".join(str(tag) for tag in data["tags"]))
    else:
        yield Item("should", "tags", "only those that follow from the model: add modality, stain and organism, as tags")


def _words(data: dict[str, Any]) -> Iterator[str]:
    """The tags that packaging makes out of the model."""
    config = data.get("config")
    record = config.get("retinaj") if isinstance(config, dict) else None
    if isinstance(record, dict):
        network = record.get("network")
        yield str(network.get("backbone")) if isinstance(network, dict) else ""
        for name in record.get("class_names") or ():
            yield re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-")


def _cover(data: dict[str, Any], files: PackageFiles) -> Iterator[Item]:
    covers = data.get("covers")
    if not isinstance(covers, list) or not covers:
        yield Item("must", "cover", "there is none")
        return
    for cover in covers:
        name = _source(cover)
        content = files.read(name, _MAX_FILE_BYTES)
        try:
            with Image.open(io.BytesIO(content)) as picture:
                width, height = picture.size
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
            yield Item("must", "cover", f"{name} is not a picture: {error}")
            continue
        if len(content) > _MAX_COVER_BYTES:
            yield Item("must", "cover", f"{name} has {len(content):,} bytes; at most {_MAX_COVER_BYTES:,} are allowed")
        elif width / height not in _COVER_RATIOS:
            yield Item("should", "cover", f"{name} is {width} x {height}; the zoo's cards are 1:1 or 2:1")
        else:
            yield Item("ok", "cover", f"{name}, {width} x {height}, {len(content) / 1000:.0f} kB")


def _documentation(data: dict[str, Any], files: PackageFiles) -> Iterator[Item]:
    name = _source(data.get("documentation"))
    if not name.endswith(".md"):
        yield Item("must", "documentation", "there is no Markdown file, as documentation")
        return
    text = files.read(name, MAX_YAML_BYTES).decode("utf-8", errors="replace")
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    missing = [section for section in _SECTIONS if section not in headings]
    if "Validation" in missing:
        yield Item("must", "documentation", f"{name} has no heading 'Validation'")
    if set(missing) - {"Validation"}:
        listed = ", ".join(section for section in missing if section != "Validation")
        yield Item("should", "documentation", f"{name} lacks the headings {listed}")
    for phrase, advice in (
        (NOT_EVALUATED, "no evaluation was made: run `retinaj evaluate` on images kept back, then package again"),
        (DATA_NOT_STATED, "it does not say where the training images come from: training_data"),
        (LIMITS_NOT_STATED, "it does not say what is known not to work: limits"),
    ):
        if phrase in text:
            yield Item("should", "documentation", advice)
    if not missing:
        yield Item("ok", "documentation", f"{name} has all headings: {', '.join(_SECTIONS)}")


def _weights(data: dict[str, Any], files: PackageFiles) -> Iterator[Item]:
    weights = data.get("weights")
    entries = {name: entry for name, entry in weights.items() if isinstance(entry, dict)} if isinstance(weights, dict) else {}
    for name, entry in entries.items():
        source = _source(entry)
        content = files.read(source, _MAX_FILE_BYTES)
        if entry.get("sha256") != hashlib.sha256(content).hexdigest():
            yield Item("must", "weights", f"{source} is not the file that was described: its SHA-256 differs; package it again")
        else:
            yield Item("ok", "weights", f"{name}, {len(content) / 1e6:.1f} MB")
    opset = entries.get("onnx", {}).get("opset_version")
    if isinstance(opset, int) and opset > ONNX_OPSET:
        yield Item("should", "weights", f"ONNX opset {opset}: deepImageJ reads up to {ONNX_OPSET}")


def _source(entry: Any) -> str:
    """The file that an entry of the description names."""
    return str(entry.get("source", "")) if isinstance(entry, dict) else str(entry or "")


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


_LOOKS: tuple[Callable[[dict[str, Any], PackageFiles], Iterator[Item]], ...] = (
    _identity,
    _people,
    _licence,
    _citations,
    _cover,
    _documentation,
    _weights,
)
