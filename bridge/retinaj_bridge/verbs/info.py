"""The verb `info`: what a model is, as a page for people."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup, escape
from PIL import Image

from retinaj.colours import class_colour, hex_colour
from retinaj.errors import RetinaJError
from retinaj.prediction.detector import DEFAULT_THRESHOLD
from retinaj.prediction.overlay import draw_overlay
from retinaj_bridge.models import Models
from retinaj_bridge.server import Answer, Call, Verb
from retinaj_bridge.verbs.checking import path_of
from retinaj_bridge.wire import Fields
from retinaj_zoo.info import ModelInfo, describe_model
from retinaj_zoo.package_files import PackageFiles, open_files
from retinaj_zoo.reading import is_model_folder, read_description
from retinaj_zoo.sample_image import find_image

_LARGEST_TEXT = 200_000
_LARGEST_PICTURE = 20 * 2**20
_MOST_PIXELS = 50_000_000
_SIDE = 480  # of the picture on the page
_MOST_CLASSES = 200
# Files that stand for the folder they lie in.
_DESCRIPTIONS = ("model.json", "rdf.yaml", "bioimageio.yaml")


def info_verb(models: Models) -> Verb:
    """`info`: model -> what it is.

    Answer: name; text, lines for a terminal; html, a page for a simple viewer (Java's: HTML 3.2), in which PICTURE stands for
    the address of the picture; picture, a PNG, empty if there is none; width and height of it.
    """

    def answer(fields: Fields, call: Call) -> Answer:
        path = path_of(fields, "model", "The model")
        if path.name in _DESCRIPTIONS:
            path = path.parent
        call.report(-1, f"looking at {path.name}")
        info = describe_model(path)
        if is_model_folder(path):
            words, picture, caption = "", *_example(path, models, call)
        else:
            with open_files(path) as files:
                words, picture = _card(files), _cover(files)
            caption = "The cover of the package." if picture is not None else ""
        png = b"" if picture is None else _png(picture)
        return {
            "name": info.name,
            "text": _text(info, words),
            "html": str(_page(info, words, caption, None if picture is None else picture.size)),
            "picture": png,
            "width": "0" if picture is None else str(picture.width),
            "height": "0" if picture is None else str(picture.height),
        }

    return answer


def _example(path: Path, models: Models, call: Call) -> tuple[Image.Image | None, str]:
    """The image that training kept, with what the model finds on it, and a caption."""
    try:
        image, source = find_image(path, None)
    except RetinaJError:
        return None, ""
    call.report(-1, "searching the example image")
    boxes = models.open(path).detect(image)
    drawn = _fitted(draw_overlay(image, boxes))
    return drawn, f"What it finds on {source.partition(' (')[0]}, a validation image, at the threshold {DEFAULT_THRESHOLD:g}."


def _card(files: PackageFiles) -> str:
    """The description and the documentation of a package, as text."""
    fields = read_description(files).fields
    parts = [fields["description"]] if isinstance(fields.get("description"), str) else []
    name = fields.get("documentation")
    if isinstance(name, str) and name.lower().endswith(".md"):
        try:
            parts.append(files.read(name, _LARGEST_TEXT).decode(errors="replace"))
        except RetinaJError as error:
            parts.append(f"(The documentation cannot be shown: {error})")
    return "\n\n".join(parts)[:_LARGEST_TEXT]


def _cover(files: PackageFiles) -> Image.Image | None:
    covers = read_description(files).fields.get("covers")
    if not (isinstance(covers, list) and covers and isinstance(covers[0], str)):
        return None
    try:
        content = files.read(covers[0], _LARGEST_PICTURE)
        with warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning):
            picture = Image.open(io.BytesIO(content), formats=["PNG", "JPEG", "GIF"])
            if picture.width * picture.height > _MOST_PIXELS:
                return None
            return _fitted(picture.convert("RGB"))
    except (RetinaJError, OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None  # a package without its cover is as good a model


def _fitted(picture: Image.Image) -> Image.Image:
    scale = _SIDE / max(picture.size)
    if scale >= 1:
        return picture
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def _text(info: ModelInfo, words: str) -> str:
    lines = info.lines()
    width = max(len(label) for label, _ in lines)
    shown = [f"{label:{width}}  {text}" for label, text in (*lines, ("path", info.path))]
    return os.linesep.join(shown) + (f"{os.linesep * 2}{words}" if words else "")


def _page(info: ModelInfo, words: str, caption: str, size: tuple[int, int] | None) -> Markup:
    body = [Markup("<h1>{}</h1>").format(info.name)]
    if size is not None:
        body.append(Markup('<p><img src="PICTURE" width="{}" height="{}"><br><i>{}</i></p>').format(*size, caption))
    body.append(_classes(info))
    rows = [line for line in info.lines() if line[0] not in ("name", "classes")] + [("path", info.path)]
    body.append(_table([(label, text) for label, text in rows]))
    if words:
        paragraphs = [Markup("<p>{}</p>").format(part.strip()) for part in words.split("\n\n") if part.strip()]
        body.append(Markup("<h2>Card</h2>") + Markup("").join(paragraphs))
    return Markup("<html><body>") + Markup("\n").join(body) + Markup("</body></html>")


def _classes(info: ModelInfo) -> Markup:
    """The classes in their colours, with the numbers that they were trained on."""
    counts = {} if info.training is None else info.training.class_counts
    items = [
        Markup('<tr><td bgcolor="{}">&nbsp;&nbsp;&nbsp;&nbsp;</td><td>{}</td><td>{}</td></tr>').format(
            hex_colour(class_colour(label)), name, f"{counts[name]:,} training objects" if name in counts else ""
        )
        for label, name in enumerate(info.class_names[:_MOST_CLASSES])
    ]
    more = len(info.class_names) - _MOST_CLASSES
    rest = escape(f"and {more:,} more") if more > 0 else Markup("")
    return Markup('<h2>Classes</h2><table cellpadding="3">') + Markup("").join(items) + Markup("</table>") + rest


def _table(rows: Sequence[tuple[str, str]]) -> Markup:
    lines = [Markup('<tr><td valign="top"><b>{}</b></td><td>{}</td></tr>').format(label, text) for label, text in rows]
    return Markup('<h2>Model</h2><table cellpadding="3">') + Markup("").join(lines) + Markup("</table>")
