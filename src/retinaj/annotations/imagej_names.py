"""Where an ImageJ ROI says its class, its score and more: in its name, its group or its properties."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.name_pattern import NamePattern

# The class of a ROI that has no name but the one that ImageJ makes from its place, such as 0024-0043.
DEFAULT_CLASS = "object"

MAX_GROUP = 255

_AUTOMATIC_NAME = re.compile(r"\d+(-\d+)+")
# The score's separator is tried once per run of spaces and underscores, not at each: names of thousands of them stay cheap.
_NAME = re.compile(r"(?P<name>.*?)(?:(?<![\s_])[\s_]++(?P<score>0?\.\d+|1\.0+))?(?:-\d+)?", re.DOTALL)

_PROPERTY = re.compile(r"((?:[^\\:]|\\.)*):(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


@dataclass(frozen=True)
class RoiText:
    """What a ROI says in words.

    Attributes:
        name: as in the ROI Manager's list.
        group: its group from 1, or None.
        properties: keys and values.
    """

    name: str
    group: int | None = None
    properties: Mapping[str, str] = field(default_factory=dict[str, str])


def roi_names(boxes: Boxes) -> list[str]:
    """The name of each box's ROI: its class, and its score with two digits if it has one.

    >>> roi_names(Boxes([[0, 0, 1, 1]], [0], ("RBC",), [0.974]))
    ['RBC 0.97']
    """
    if boxes.score is None:
        return boxes.names
    return [f"{name} {score:.2f}" for name, score in zip(boxes.names, boxes.score.tolist(), strict=True)]


def parse_name(name: str) -> tuple[str, float | None]:
    """The class and the score, if any, in the name of a ROI.

    >>> parse_name("RBC 0.97"), parse_name("Living Cell"), parse_name("WBC-2"), parse_name("0024-0043")
    (('RBC', 0.97), ('Living Cell', None), ('WBC', None), ('object', None))
    """
    name = name.strip()
    found = _NAME.fullmatch(name)
    if is_automatic(name) or found is None or not found["name"].strip():
        return DEFAULT_CLASS, None
    return found["name"].strip(), None if found["score"] is None else float(found["score"])


def is_automatic(name: str) -> bool:
    """Whether a ROI's name is empty or the one that ImageJ makes from its place.

    >>> is_automatic("0001-0024-0043"), is_automatic("cell-2")
    (True, False)
    """
    return not name or _AUTOMATIC_NAME.fullmatch(name) is not None


def class_rule(class_from: str) -> Callable[[RoiText], str]:
    """How to find the class of a ROI.

    Args:
        class_from: "name" (without score and repeat number; see `parse_name`), "group", "property:KEY", or a regular
            expression with one group that is searched for in the name.

    Returns:
        A function from a ROI's text to its class, for the ROIs of one file; raises ValueError, with the end of a sentence that
        begins with the ROI's place, where the ROI does not say its class.

    Raises:
        RetinaJError: if `class_from` is none of these.

    >>> class_rule("group")(RoiText("0024-0043", 3)), class_rule("property:type")(RoiText("a", None, {"type": "RBC"}))
    ('group 3', 'RBC')
    >>> class_rule(r"^plate\\d+_(\\w+?)_")(RoiText("plate12_RBC_7"))
    'RBC'
    """
    if class_from == "name":
        return lambda roi: parse_name(roi.name)[0]
    if class_from == "group":
        return _class_of_group
    if class_from.startswith("property:"):
        return _by_property(class_from.removeprefix("property:").strip())
    return _by_expression(class_from)


def group_of(group: int, properties: Mapping[str, str]) -> int | None:
    """The group of a ROI: ImageJ's, or else the property "group", where `write_roi_set` puts what ImageJ cannot count.

    >>> group_of(3, {}), group_of(0, {"group": "300"}), group_of(0, {"group": "control"})
    (3, 300, None)
    """
    text = properties.get("group", "")
    if not group and re.fullmatch(r"-?[0-9]{1,9}", text) and not 0 < int(text) <= MAX_GROUP:
        return int(text)
    return group or None


def score_of(roi: RoiText, class_from: str) -> float | None:
    """The score in a ROI's name; in full if the property "score" agrees, or if it is not the name that says the class."""
    named = parse_name(roi.name)[1]
    try:
        stored = float(roi.properties.get("score", "nan"))
    except ValueError:
        return named
    if not 0 <= stored <= 1:
        return named
    if named is None:  # a name without a score: it was made, or corrected, by a person
        return None if class_from == "name" else stored
    return stored if abs(stored - named) < 0.0051 else named


def read_properties(text: str) -> dict[str, str]:
    r"""The properties of a ROI, as ImageJ writes them ("key: value" lines) or as `write_properties` does.

    >>> read_properties("class: red cell\nscore: 0.97\nµ\\:1: a\\nb\n")
    {'class': 'red cell', 'score': '0.97', 'µ:1': 'a\nb'}
    """
    found: dict[str, str] = {}
    for line in text.split("\n"):
        if (parts := _PROPERTY.fullmatch(line.rstrip("\r"))) and (key := _unescape(parts[1].strip())):
            found[key] = _unescape(parts[2].strip(" "))
    return found


def write_properties(properties: Mapping[str, str]) -> str:
    r"""Properties for a ROI, so that ImageJ reads them right: it decodes them as Java does and knows no letters beyond ASCII.

    >>> write_properties({"cell type": "µ"})
    'cell\\ type: \\u00b5\n'
    """
    lines = [f"{_escape(key, ' :=#!')}: {_escape(value, '')}\n" for key, value in properties.items()]
    return "".join(lines)


def _escape(text: str, also: str) -> str:
    pieces: list[str] = []
    for at, character in enumerate(text):
        if character == "\\" or character in also or (character == " " and at == 0):
            pieces.append(f"\\{character}")
        elif " " <= character <= "~":
            pieces.append(character)
        else:
            units = character.encode("utf-16-be", "surrogatepass")
            pieces += [f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)]
    return "".join(pieces)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(
        lambda found: chr(int(found[1][1:], 16)) if len(found[1]) == 5 else _ESCAPES.get(found[1], found[1]), text
    )
    return plain.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")  # pairs of halves become one character


def _class_of_group(roi: RoiText) -> str:
    if roi.group is None:
        raise ValueError("is in no group, which should say its class; give it one in ImageJ (Edit > Selection > Properties)")
    return f"group {roi.group}"


def _by_property(key: str) -> Callable[[RoiText], str]:
    if not key:
        raise RetinaJError('The class of ROIs is to be taken from "property:" without a key; expected property:KEY.')

    def find(roi: RoiText) -> str:
        if value := roi.properties.get(key, "").strip():
            return value
        known = ", ".join(list(roi.properties)[:5]) or "none"
        raise ValueError(f"has no property {key!r}, which should say its class; its properties: {known}")

    return find


def _by_expression(text: str) -> Callable[[RoiText], str]:
    try:
        pattern = NamePattern(text, "--class-from")
    except RetinaJError as error:
        raise RetinaJError(
            f'The class of ROIs comes from "name", "group", "property:KEY" or a regular expression with one group; {error}'
        ) from error

    def find(roi: RoiText) -> str:
        name = (pattern.find(roi.name) or "").strip()
        if not name:
            raise ValueError(f"has the name {roi.name[:80]!r}, in which the expression {text!r} finds no class")
        return name

    return find
