"""Pictures of boxes on an image, readable whether it is 60 or 20,000 pixels wide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from retinaj.boxes import Boxes
from retinaj.colours import RGB, class_colours
from retinaj.images.reducing import reduced
from retinaj.lettering import letters

LONGEST_SIDE = 2400
_SHORTEST_SIDE = 700
_LARGEST_ZOOM = 8.0

# Channels of a fluorescence image that is not RGB: green and magenta are told apart in every colour blindness.
_CHANNEL_COLOURS = np.array([(0, 255, 0), (255, 0, 255), (0, 160, 255), (255, 200, 0), (255, 255, 255)], np.float32)
_DARK = 128  # an 8-bit image whose brightest spots are below is brightened


def draw_overlay(image: xr.DataArray, boxes: Boxes) -> Image.Image:
    """An RGB picture of an image with its boxes, coloured by class, labelled with scores, and a legend with counts.

    Images other than 8-bit, and dark ones, are stretched between percentiles. Small images are enlarged and large ones
    reduced. Of a stack the plane with most boxes is shown, and named in the legend.

    Args:
        image: dims a subset of t, c, z, y, x in that order.
        boxes: in the pixels of the image, with planes if it is a stack.
    """
    title = ""
    if boxes.plane is not None:
        (t, z), boxes = busiest_plane(boxes)
        stack = {axis: at for axis, at in (("t", t), ("z", z)) if axis in image.dims}
        title = ", ".join(f"{axis} {at + 1} of {image.sizes[axis]}" for axis, at in stack.items())
        image = image.isel(stack)
    image = image.isel({axis: 0 for axis in ("t", "z") if axis in image.dims})
    plane, factor = reduced(image, 2 * LONGEST_SIDE)  # more than is shown, so that lines and pixels are made small together
    return draw_boxes(to_rgb(plane), replace(boxes, xyxy=boxes.xyxy / np.float32(factor)), title=title)


def draw_boxes(
    pixels: NDArray[np.uint8], boxes: Boxes, *, title: str = "", legend: bool = True, colours: Mapping[str, RGB] | None = None
) -> Image.Image:
    """A picture of boxes on displayable pixels.

    Args:
        pixels: uint8 [y, x, 3].
        boxes: drawn with the worst score first, so that the best are on top.
        title: written before the legend.
        legend: whether a strip with the classes and their counts is put below.
        colours: (red, green, blue) of each class by name; default: `retinaj.colours.class_colours`.
    """
    chosen = class_colours(boxes.class_names) if colours is None else colours
    look = _Look.for_image(pixels, boxes)
    picture = _resize(pixels, look.zoom)
    draw = ImageDraw.Draw(picture)
    order = range(len(boxes)) if boxes.score is None else np.argsort(boxes.score, kind="stable").tolist()
    names = boxes.names
    scaled = boxes.xyxy * look.zoom
    for at in order:
        _draw_frame(draw, scaled[at].tolist(), chosen[names[at]], look)
    if boxes.score is not None and look.labels:
        for at in order:
            _draw_label(draw, scaled[at].tolist(), f"{boxes.score[at]:.2f}", chosen[names[at]], look, picture.width)
    return _with_legend(picture, boxes, chosen, title) if legend else picture


def to_rgb(plane: xr.DataArray) -> NDArray[np.uint8]:
    """One plane as a person expects to see it.

    Args:
        plane: dims y, x, or c, y, x; any pixel type.

    Returns:
        uint8 [y, x, 3]: three 8-bit channels are RGB, one is grey, others are added up in colours of their own.
    """
    channels = plane.to_numpy() if "c" in plane.dims else plane.to_numpy()[None]
    if channels.dtype == np.uint8 and len(channels) in (1, 3):
        # One range for all channels: stretched one by one, a stained slide would change its colour.
        shown = _stretch(channels) if np.percentile(channels, 99.8) < _DARK else channels
        return np.ascontiguousarray(np.moveaxis(np.repeat(shown, 3, axis=0) if len(shown) == 1 else shown, 0, -1))
    return mix_channels(np.stack([_stretch(channel) for channel in channels]))


def mix_channels(channels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Channels uint8 [c, y, x] as one picture uint8 [y, x, 3]: one is grey, others are added up in colours of their own."""
    if len(channels) == 1:
        return np.repeat(channels[0][..., None], 3, axis=-1)
    total = np.zeros((*channels[0].shape, 3), np.float32)
    for at, channel in enumerate(channels):
        total += channel[..., None] * (_CHANNEL_COLOURS[at % len(_CHANNEL_COLOURS)] / 255)
    return np.clip(total, 0, 255).astype(np.uint8)


def _stretch(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Between the .2 and 99.8 percentiles to 0..255; what is not a number becomes 0."""
    finite = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = np.percentile(finite, [0.2, 99.8])
    return (np.clip((finite - low) / max(high - low, 1e-12), 0, 1) * 255).round().astype(np.uint8)


@dataclass(frozen=True)
class _Look:
    """How large everything is drawn.

    Attributes:
        zoom: picture pixels per image pixel.
        line: width of a frame.
        font: height of a label, in picture pixels.
        labels: whether scores fit beside their boxes at all.
    """

    zoom: float
    line: int
    font: int
    labels: bool

    @classmethod
    def for_image(cls, pixels: NDArray[np.uint8], boxes: Boxes) -> _Look:
        height, width = pixels.shape[:2]
        zoom = min(max(1.0, _SHORTEST_SIDE / min(height, width)), _LARGEST_ZOOM, LONGEST_SIDE / max(height, width))
        side = float(np.median(np.minimum(boxes.width, boxes.height))) * zoom if len(boxes) else 100.0
        line = max(1, min(round(side / 25), round(max(height, width) * zoom / 300), 4))
        font = int(np.clip(side / 3.2, 9, 20))
        return cls(zoom, line, font, labels=side >= 14)


def _resize(pixels: NDArray[np.uint8], zoom: float) -> Image.Image:
    picture = Image.fromarray(pixels, "RGB")
    if zoom == 1:
        return picture
    size = (max(1, round(picture.width * zoom)), max(1, round(picture.height * zoom)))
    return picture.resize(size, Image.Resampling.BICUBIC if zoom > 1 else Image.Resampling.BOX)


def _draw_frame(draw: ImageDraw.ImageDraw, corners: list[float], colour: RGB, look: _Look) -> None:
    """A frame along the inner edge of a box, with a dark line around it: seen on bright and on dark images."""
    x_min, y_min, x_max, y_max = (round(value) for value in corners)
    x_max, y_max = max(x_min, x_max - 1), max(y_min, y_max - 1)
    draw.rectangle((x_min - 1, y_min - 1, x_max + 1, y_max + 1), outline=(0, 0, 0), width=1)
    draw.rectangle((x_min, y_min, x_max, y_max), outline=colour, width=look.line)


def _draw_label(draw: ImageDraw.ImageDraw, corners: list[float], text: str, colour: RGB, look: _Look, width: int) -> None:
    font = letters(look.font)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    text_width, text_height = right - left + 4, bottom - top + 4
    x = min(max(corners[0], 0), max(0, width - text_width))
    y = corners[1] - text_height if corners[1] >= text_height else corners[1] + look.line
    draw.rectangle((x, y, x + text_width, y + text_height), fill=colour)
    draw.text((x + 2 - left, y + 2 - top), text, fill=_ink(colour), font=font)


def _ink(colour: RGB) -> RGB:
    """Black or white, whichever is read more easily on a colour."""
    red, green, blue = colour
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else (255, 255, 255)


def _with_legend(picture: Image.Image, boxes: Boxes, colours: Mapping[str, RGB], title: str) -> Image.Image:
    """The picture on a strip that names each class, its colour and its count, in as many lines as they need."""
    font = letters(16)
    measure = ImageDraw.Draw(picture)
    counts = Counter(boxes.names)
    entries: list[tuple[str, RGB | None]] = [(title, None)] if title else []
    entries += [(f"{name} {counts[name]}", colours[name]) for name in boxes.class_names]
    line, gap, swatch = 26, 18, 14
    places: list[tuple[int, int]] = []
    x = y = 0
    for text, colour in entries:
        width = round(measure.textlength(text, font=font)) + (swatch + 6 if colour else 0)
        if x and x + width > picture.width - gap:
            x, y = 0, y + line
        places.append((x + gap // 2, y))
        x += width + gap
    whole = Image.new("RGB", (picture.width, picture.height + y + line), (24, 24, 24))
    whole.paste(picture, (0, 0))
    draw = ImageDraw.Draw(whole)
    for (text, colour), (left, top) in zip(entries, places, strict=True):
        top += picture.height
        if colour:
            draw.rectangle((left, top + 6, left + swatch, top + 6 + swatch), fill=colour)
            left += swatch + 6
        draw.text((left, top + 4), text, fill=(240, 240, 240), font=font)
    return whole


def busiest_plane(boxes: Boxes) -> tuple[tuple[int, int], Boxes]:
    """(t, z) of the plane with most boxes, the first of equals, and its boxes."""
    if boxes.plane is None or not len(boxes):
        return (0, 0), boxes
    places = Counter((int(t), int(z)) for t, _, z in boxes.plane)
    best = max(sorted(places), key=lambda place: places[place])
    return best, boxes.select((boxes.plane[:, 0] == best[0]) & (boxes.plane[:, 2] == best[1]))
