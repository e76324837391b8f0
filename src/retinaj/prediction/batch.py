"""Detection on an image or a folder of images, with a table, a ROI set and a picture for each."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from retinaj.annotations.imagej_roi import write_roi_set
from retinaj.boxes import Boxes
from retinaj.errors import RetinaJError
from retinaj.files import atomic_path
from retinaj.images import ImageHeader, find_images, is_ome_zarr, open_image, read_header
from retinaj.prediction.contact_sheet import CONTACT_SHEET, Thumbnail, write_contact_sheet
from retinaj.prediction.detector import DEFAULT_THRESHOLD, Detector, check_fraction
from retinaj.prediction.outputs import count_classes, join_csv, read_csv, write_csv
from retinaj.prediction.overlay import draw_overlay
from retinaj.prediction.record import SETTINGS_FILE, PredictionRecord, image_state
from retinaj.prediction.tiles import Found, find_objects
from retinaj.prediction.tiling import TileChoice

COUNTS_FILE = "counts.csv"
ALL_BOXES_FILE = "detections.csv"


@dataclass(frozen=True)
class ImageOutcome:
    """What became of one image.

    Attributes:
        source: the image file.
        csv, rois, overlay: the files made for it; they exist unless there is an error.
        counts: how many boxes of each class were found.
        full: whether a pass over it, or over a plane or a tile of it, gave as many boxes as the model can; see `Found.is_full`.
        skipped: whether an earlier run had finished it.
        error: why there is no result, or None.
    """

    source: Path
    csv: Path
    rois: Path
    overlay: Path
    counts: dict[str, int]
    full: bool = False
    skipped: bool = False
    error: str | None = None


def predict(
    source: Path,
    detector: Detector,
    output: Path,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    overlap: float | None = None,
    tiles: TileChoice = "auto",
    axes: str | None = None,
    series: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    outcome_made: Callable[[ImageOutcome], None] | None = None,
    sheet_progress: Callable[[int, int], None] | None = None,
) -> list[ImageOutcome]:
    """Detect objects on one image, or on every image of a folder, and write the results.

    For each image, named after it: NAME.csv (see `retinaj.prediction.outputs.write_csv`), NAME_RoiSet.zip for ImageJ's ROI
    Manager, and NAME_overlay.png. Beside them counts.csv, with the number of objects of each class on each image;
    prediction.json, with the settings and the images that are done; and of a folder, when all images are done, detections.csv,
    with the boxes of all images, and contact_sheet.png, with a thumbnail of each. Images whose names differ only in the suffix
    keep it: a_png.csv and a_tif.csv.

    A run into the output of an interrupted one with the same source and settings goes on where that stopped: images that
    have all three files are not detected again, unless their size or date changed. An image that cannot be read does not
    stop the others.

    Args:
        source: a PNG, JPEG, TIFF or OME-Zarr image (also a stack), or a folder of them.
        detector: the model.
        output: folder to make, or the one of an interrupted run.
        threshold: the lowest score that is kept, above 0 up to 1.
        overlap: see `Detector.detect`; default: the model's.
        tiles: how large images are searched; see `retinaj.prediction.tiling.Tiling.cut`.
        axes: what the axes of the images are where their files are wrong; see `retinaj.images.read_image`.
        series: which image of files that hold several, from 1.
        progress: called as progress(images done, images in all) before the first and after each image; of a single image, with
            the numbers of its tiles. An exception from it stops the run.
        outcome_made: called with the outcome of each image.
        sheet_progress: called as progress(thumbnails done, thumbnails in all) while the contact sheet is drawn.

    Returns:
        One outcome per image, in natural order of their names; look at `error` of each.

    Raises:
        RetinaJError: if `source` does not exist or has no images, an option is out of range, or `output` holds something else,
            or results of another source or other settings.
    """
    source, output = Path(source), Path(output)
    overlap = detector.overlap if overlap is None else overlap
    check_fraction("threshold", threshold)
    check_fraction("overlap", overlap)
    images = _images(source)
    settings = _settings(source, detector, threshold, overlap) | {"tiles": tiles, "axes": axes, "series": series}
    record = PredictionRecord.claim(output, settings)
    read = partial(open_image, axes=axes, series=series)
    of_tiles = progress if len(images) == 1 else None
    search = partial(find_objects, detector, tiles=tiles, threshold=threshold, overlap=overlap, progress=of_tiles)
    outcomes: list[ImageOutcome] = []
    try:
        for path, name in zip(images, output_names(images), strict=True):
            if progress is not None and of_tiles is None:
                progress(len(outcomes), len(images))
            outcomes.append(_predict_one(path, name, read, search, record, threshold))
            if outcome_made is not None:
                outcome_made(outcomes[-1])
        if progress is not None and of_tiles is None:
            progress(len(outcomes), len(images))
    finally:  # also when interrupted: the counts of what is there
        _write_counts(output / COUNTS_FILE, outcomes, detector.class_names)
    if images != [source]:
        _write_summary(output, outcomes, detector.class_names, partial(read_header, axes=axes, series=series), sheet_progress)
    return outcomes


def output_names(images: Sequence[Path]) -> list[str]:
    """A name for the results of each image: its stem; where that is not unique, with the suffix.

    Upper and lower case count as equal, because they are on Windows and macOS. The names of the summary and the settings are
    not given to an image.

    >>> output_names([Path("a.png"), Path("A.tif"), Path("b.png"), Path("counts.png")])
    ['a_png', 'A_tif', 'b', 'counts-2']
    """
    stems = Counter(path.stem.casefold() for path in images)
    names = [path.stem if stems[path.stem.casefold()] == 1 else path.name.replace(".", "_") for path in images]
    used = {Path(name).stem for name in (COUNTS_FILE, SETTINGS_FILE, ALL_BOXES_FILE, CONTACT_SHEET)}
    for at, name in enumerate(names):
        number = 2
        while names[at].casefold() in used:
            names[at] = f"{name}-{number}"
            number += 1
        used.add(names[at].casefold())
    return names


def _images(source: Path) -> list[Path]:
    if source.is_file() or is_ome_zarr(source):
        return [source]
    if not source.exists():
        raise RetinaJError(f"{source} does not exist; expected an image or a folder of images.")
    images = find_images(source)
    if not images:
        raise RetinaJError(f"{source} has no images in it; expected PNG, JPEG, TIFF or OME-Zarr.")
    return images


def _predict_one(
    path: Path,
    name: str,
    read: Callable[[Path], xr.DataArray],
    search: Callable[[xr.DataArray], Found],
    record: PredictionRecord,
    threshold: float,
) -> ImageOutcome:
    output = record.path.parent
    table, rois, overlay = output / f"{name}.csv", output / f"{name}_RoiSet.zip", output / f"{name}_overlay.png"
    try:
        state = image_state(path)
        full_state = state | {"full": True}
        known = record.images.get(name)
        if known in (state, full_state) and all(result.is_file() for result in (table, rois, overlay)):
            return ImageOutcome(path, table, rois, overlay, count_classes(table), full=known != state, skipped=True)
        image = read(path)  # a large image stays on the disk: planes and tiles are read one after the other
        found = search(image)
        boxes, full = found.boxes, found.is_full(threshold)
        write_roi_set(rois, boxes, plain_stack=_is_plain_stack(image))
        with atomic_path(overlay) as temporary:
            draw_overlay(image, boxes).save(temporary, "PNG")
        write_csv(table, boxes)
        record.add(name, full_state if full else state)  # last: for what is listed there, all files are complete
    except RetinaJError as error:
        return ImageOutcome(path, table, rois, overlay, {}, error=str(error))
    except OSError as error:  # a full disk or a lost network drive concerns all images that follow
        raise RetinaJError(f"The results of {path} cannot be written to {output}: {error.strerror or error}.") from error
    return ImageOutcome(path, table, rois, overlay, _counts(boxes), full=full)


def _is_plain_stack(image: xr.DataArray) -> bool:
    """Whether ImageJ shows the image as a stack with one slider, not as a hyperstack."""
    channels = 1 if image.attrs.get("rgb") else image.sizes.get("c", 1)
    return channels == 1 and sum(image.sizes.get(axis, 1) > 1 for axis in "tz") == 1


def _counts(boxes: Boxes) -> dict[str, int]:
    return dict(Counter(boxes.names))


def _settings(source: Path, detector: Detector, threshold: float, overlap: float) -> dict[str, Any]:
    return {
        "format": "retinaj-prediction",
        "source": str(source.resolve()),
        "model": detector.name,
        "weights_sha256": detector.weights_sha256,
        "classes": list(detector.class_names),
        "threshold": threshold,
        "overlap": overlap,
    }


def _write_counts(path: Path, outcomes: Sequence[ImageOutcome], class_names: Sequence[str]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["image", *class_names, "error"])
        for outcome in outcomes:
            numbers = ["" if outcome.error else outcome.counts.get(name, 0) for name in class_names]
            writer.writerow([outcome.source.name, *numbers, outcome.error or ""])


def _write_summary(
    output: Path,
    outcomes: Sequence[ImageOutcome],
    class_names: Sequence[str],
    header_of: Callable[[Path], ImageHeader],
    progress: Callable[[int, int], None] | None,
) -> None:
    """All boxes in one table, and the contact sheet."""
    done = [outcome for outcome in outcomes if outcome.error is None]

    def thumbnail(at: int) -> Thumbnail:
        header = header_of(done[at].source)
        boxes = read_csv(done[at].csv, class_names)
        return Thumbnail(done[at].source.name, (header.width, header.height), done[at].overlay, boxes)

    try:
        join_csv(output / ALL_BOXES_FILE, ((outcome.source.name, outcome.csv) for outcome in done))
        write_contact_sheet(output, len(done), thumbnail, class_names, progress=progress)
    except OSError as error:
        raise RetinaJError(f"The summary of the results cannot be written to {output}: {error.strerror or error}.") from error
