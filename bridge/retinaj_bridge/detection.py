"""One run of "RetinaJ Detect...": the image that is active in ImageJ, searched plane by plane, into the ROI Manager."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.prediction.detector import Detector, limit_words
from retinaj_bridge.jvm import java_class
from retinaj_bridge.models import Models
from retinaj_bridge.options import DetectOptions
from retinaj_bridge.pixels import count_planes, is_palette, read_planes
from retinaj_bridge.rois import add_to_results, add_to_roi_manager, make_rois


class DetectionCanceledError(Exception):
    """The user pressed Escape."""


def detect_active_image(options: DetectOptions, models: Models) -> Boxes:
    """Search the active image, and leave the boxes in the ROI Manager and in the Results table: all of them, or none.

    Args:
        options: model, threshold and so on.
        models: where opened models are kept.

    Returns:
        The boxes, with planes if the image is a stack.

    If there are as many on the image, or on a plane of it, as the model can give, the Log window says so.

    Raises:
        RetinaJError: without an image, for a model that cannot be opened, or an image that does not fit the model.
        DetectionCanceledError: if Escape was pressed in the meantime.
    """
    ij = java_class("ij.IJ")
    image = java_class("ij.WindowManager").getCurrentImage()
    if image is None:
        raise RetinaJError("There is no image open; open the image to search, then run RetinaJ Detect... again.")
    ij.resetEscape()
    with _locked(image):
        ij.showStatus(f"RetinaJ: opening {options.model.name}")
        detector = models.open(options.model)
        try:
            boxes = detect_image(image, detector, options)
        finally:
            ij.showProgress(1.0)
        rois = make_rois(boxes, image, channel=options.channel)
    add_to_roi_manager(rois, image, replace=options.replace)
    add_to_results(boxes, image, channel=options.channel, replace=options.replace)
    # What a macro may want to know of the run: getInfo("retinaj.classes") gives the model's classes, one a line.
    java_class("java.lang.System").setProperty("retinaj.classes", "\n".join(detector.class_names))
    full = detector.is_full(boxes)
    if full:  # in the Log window: a dialog would stop a macro
        ij.log(f"RetinaJ: {_place(boxes, image)} there are {limit_words(detector)}.")
    ij.showStatus(f"RetinaJ: {len(boxes)} objects" + ", as many as the model can give; see the Log window" * full)
    return boxes


def detect_image(image: Any, detector: Detector, options: DetectOptions) -> Boxes:
    """The boxes that a model finds on an ij.ImagePlus; ImageJ's progress bar shows how far it is.

    Returns:
        Boxes with scores, highest first in each plane; with planes (t, c, z), 0-based, if the image is a stack.

    Raises:
        RetinaJError: if the image does not fit the model.
        DetectionCanceledError: if Escape was pressed in the meantime.
    """
    ij = java_class("ij.IJ")
    channels, slices, frames = count_planes(image)
    total = slices * frames
    parts: list[Boxes] = []
    for done, ((t, z), plane) in enumerate(read_planes(image, channel=options.channel), 1):
        try:
            found = detector.detect(plane, threshold=options.threshold, overlap=options.overlap)
        except RetinaJError as error:
            raise RetinaJError(f"{image.getTitle()}: {error}{_hint(image, options)}") from error
        parts.append(found.on_plane(t, (options.channel or 1) - 1, z) if channels * total > 1 else found)
        ij.showProgress(done, total)
        if total > 1:
            ij.showStatus(f"RetinaJ: plane {done}/{total}")
        if bool(ij.escapePressed()):
            raise DetectionCanceledError
    return Boxes.concatenate(parts)


def _place(boxes: Boxes, image: Any) -> str:
    """Where the model has given all that it can, as the start of a sentence."""
    return f"on {image.getTitle()}" if boxes.plane is None else f"on some planes of {image.getTitle()}"


def _hint(image: Any, options: DetectOptions) -> str:
    """What ImageJ offers to make an image fit a model."""
    channels = count_planes(image)[0]
    if channels > 1 and options.channel is None:
        return f" Or choose one of its channels, channel=1 to channel={channels}."
    if is_palette(image):
        return " Its colours come from a table; Image > Lookup Tables > Grays shows the values behind them."
    return ""


@contextmanager
def _locked(image: Any) -> Generator[None]:
    """Keep other commands from changing the image meanwhile, as ImageJ's own commands do."""
    if not bool(image.lockSilently()):
        raise RetinaJError(f"The image {image.getTitle()} is in use by another command; wait until it is done.")
    try:
        yield
    finally:
        image.unlock()
