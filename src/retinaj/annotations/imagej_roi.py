"""ImageJ ROI files: one .roi, or a RoiSet.zip as ImageJ's ROI Manager saves it."""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import roifile
from numpy.typing import NDArray

from retinaj.annotations.annotation import Annotation, clean_name
from retinaj.annotations.files import annotation_files, file_stem, first_files
from retinaj.annotations.format import AnnotationFormat, Reading
from retinaj.boxes import Boxes
from retinaj.colours import RGB, class_colours
from retinaj.errors import RetinaJError
from retinaj.files import atomic_path, require_file
from retinaj.zip_entries import read_entry

# The class of a ROI that has no name but the one that ImageJ makes from its place, such as 0024-0043.
DEFAULT_CLASS = "object"

MAX_ROIS = 1_000_000
MAX_ROI_BYTES = 64 * 1024**2  # one ROI: a freehand outline of eight million points
MAX_TOTAL_BYTES = 1024**3

_AUTOMATIC_NAME = re.compile(r"\d+(-\d+)+")
# The score's separator is tried once per run of spaces and underscores, not at each: names of thousands of them stay cheap.
_NAME = re.compile(r"(?P<name>.*?)(?:(?<![\s_])[\s_]++(?P<score>0?\.\d+|1\.0+))?(?:-\d+)?", re.DOTALL)


def read_roi_set(path: Path, class_names: Sequence[str] | None = None) -> Boxes:
    """Read the ROIs of one image as boxes: of any shape, by the smallest rectangle around it.

    The class is the ROI's name without a score and without the number that ImageJ adds to repeated names:
    "RBC 0.97-2" is an RBC with score 0.97. Names made by ImageJ from the position are of the class "object".

    Args:
        path: a .roi file or a ZIP of them.
        class_names: the order of the classes; default: those found, sorted.

    Returns:
        Boxes in sub-pixel coordinates where the ROI has them, in the order of the file; with scores if every
        name has one; with planes if some ROI has a position (position 0, "all", becomes plane 0). Points and
        straight lines may have boxes without an area.

    Raises:
        RetinaJError: if the file is missing, damaged, not ROIs, or unpacks to an absurd size, or a class is
            not among `class_names`.
    """
    path = Path(path)
    rois = [_decode(path, name, data) for name, data in _contents(path)]
    parsed = [parse_name(roi.name) for roi in rois]
    found = sorted({name for name, _ in parsed}) if class_names is None else list(class_names)
    index = {name: label for label, name in enumerate(found)}
    for name, _ in parsed:
        if name not in index:
            raise RetinaJError(f"{path} has a ROI of the class {name!r}, which is none of {found}; rename the ROI.")
    scores = [score for _, score in parsed if score is not None]
    positions = np.array([_position(roi) for roi in rois], np.int32).reshape(-1, 3)
    return Boxes(
        np.array([_bounds(roi) for roi in rois], np.float32).reshape(-1, 4),
        np.array([index[name] for name, _ in parsed], np.int32),
        tuple(found),
        np.array(scores, np.float32) if scores and len(scores) == len(parsed) else None,
        np.maximum(positions - 1, 0) if (positions > 0).any() else None,
    )


def write_roi_set(path: Path, boxes: Boxes, *, colours: Mapping[str, RGB] | None = None, plain_stack: bool = False) -> None:
    """Write boxes as a RoiSet.zip of rectangles that ImageJ's ROI Manager opens, replacing the file whole.

    Each is named by class and score ("RBC 0.97"), drawn in its class's colour, and keeps its sub-pixel
    coordinates. Boxes with planes get the time frame and slice, counted from 1 as in ImageJ, and channel 0,
    "all channels", because a detection is made on all channels together.

    Args:
        path: the ZIP file.
        boxes: what to write.
        colours: (red, green, blue) of each class by name; default: `retinaj.colours.class_colours`.
        plain_stack: whether the image has time frames or slices but not both, and no channels. ImageJ counts the planes of
            such a stack with one number, and ignores the positions of a hyperstack on it.

    Raises:
        RetinaJError: if a coordinate is outside what ImageJ's format can hold (-5,000 to 60,536).
    """
    chosen = class_colours(boxes.class_names) if colours is None else colours
    used: set[str] = set()
    with atomic_path(Path(path)) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for at, (name, class_name) in enumerate(zip(roi_names(boxes), boxes.names, strict=True)):
            # A ZIP entry's name must be unique, short and free of folders; the name that ImageJ shows is
            # inside.
            stem = re.sub(r"[^\w .()+-]", "_", name)[:80]
            entry = f"{stem}.roi" if stem not in used else f"{stem}-{at + 1}.roi"
            used.add(stem)
            roi = _rectangle(boxes, at, name, chosen[class_name], plain_stack)
            # A fixed date: the same boxes give the same file.
            archive.writestr(zipfile.ZipInfo(entry), roi.tobytes(), zipfile.ZIP_DEFLATED)


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
    if not name or _AUTOMATIC_NAME.fullmatch(name) or found is None or not found["name"].strip():
        return DEFAULT_CLASS, None
    return found["name"].strip(), None if found["score"] is None else float(found["score"])


def _contents(path: Path) -> list[tuple[str, bytes]]:
    """(name, bytes) of each ROI in the file. Nothing is unpacked to disk, so entry names lead nowhere."""
    require_file(path, "an ImageJ ROI file (.roi or .zip)")
    if not zipfile.is_zipfile(path):
        if path.stat().st_size > MAX_ROI_BYTES:
            raise RetinaJError(f"{path} is larger than {MAX_ROI_BYTES // 2**20} MB; that is not one ROI.")
        return [(path.stem, path.read_bytes())]
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [info for info in archive.infolist() if info.filename.lower().endswith(".roi")]
            if len(entries) > MAX_ROIS:
                raise RetinaJError(f"{path} has {len(entries):,} ROIs; RetinaJ reads up to {MAX_ROIS:,}.")
            sizes = [info.file_size for info in entries]
            if max(sizes, default=0) > MAX_ROI_BYTES or sum(sizes) > MAX_TOTAL_BYTES:
                raise RetinaJError(f"{path} unpacks to far more than ROIs need; it is not read.")
            return [(info.filename.rsplit("/", 1)[-1][:-4], read_entry(path, archive, info)) for info in entries]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise RetinaJError(f"{path} is not a readable ZIP of ROIs: {error}.") from error


def _decode(path: Path, name: str, data: bytes) -> roifile.ImagejRoi:
    logger = logging.getLogger("roifile")
    disabled, logger.disabled = logger.disabled, True
    try:
        roi = roifile.ImagejRoi.frombytes(data)
    except Exception as error:  # damaged bytes make it raise nearly anything
        raise RetinaJError(f"{path}: the ROI {name!r} is not an ImageJ ROI or is damaged: {error}.") from error
    finally:
        logger.disabled = disabled
    roi.name = clean_name(roi.name or name, f"{path}: the ROI {name[:40]!r}")
    return roi


def _bounds(roi: roifile.ImagejRoi) -> tuple[float, float, float, float]:
    """The rectangle around a ROI, half open: integer outlines run along pixel borders in ImageJ."""
    if roi.subpixelrect:
        return roi.xd, roi.yd, roi.xd + roi.widthd, roi.yd + roi.heightd
    points: NDArray[np.floating] | None = roi.subpixel_coordinates
    if roi.roitype == roifile.ROI_TYPE.LINE:
        points = np.array([[roi.x1, roi.y1], [roi.x2, roi.y2]])
    if points is not None and len(points):
        low, high = points.min(axis=0), points.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])
    return float(roi.left), float(roi.top), float(roi.right), float(roi.bottom)


def _position(roi: roifile.ImagejRoi) -> tuple[int, int, int]:
    """(t, c, z), 1-based as stored; 0 is "not set". A plain stack has one number for its slice."""
    if roi.t_position or roi.c_position or roi.z_position:
        return roi.t_position, roi.c_position, roi.z_position
    return 0, 0, roi.position


def _rectangle(boxes: Boxes, at: int, name: str, colour: RGB, plain_stack: bool) -> roifile.ImagejRoi:
    x_min, y_min, x_max, y_max = boxes.xyxy[at].astype(np.float64).tolist()
    top, left, bottom, right = int(np.floor(y_min)), int(np.floor(x_min)), int(np.ceil(y_max)), int(np.ceil(x_max))
    if min(top, left) < -5000 or max(bottom, right) > 60536:
        raise RetinaJError(f"The box {boxes.xyxy[at].tolist()} is outside what ImageJ's ROIs can hold.")
    t, _, z = (0, 0, 0) if boxes.plane is None else (boxes.plane[at] + 1).tolist()
    position = 0
    if plain_stack and boxes.plane is not None:
        # Given both, ImageJ would take the hyperstack's and forget this one.
        position, t, z = t + z - 1, 0, 0
    # Version 228 and this option make it a rectangle with sub-pixel corners; `frompoints` would make a
    # freehand outline.
    return roifile.ImagejRoi(
        roitype=roifile.ROI_TYPE.RECT,
        version=228,
        options=roifile.ROI_OPTIONS.SUB_PIXEL_RESOLUTION,
        name=name,
        top=top,
        left=left,
        bottom=bottom,
        right=right,
        xd=x_min,
        yd=y_min,
        widthd=x_max - x_min,
        heightd=y_max - y_min,
        stroke_color=bytes((255, *colour)),
        position=position,
        z_position=z,
        t_position=t,
    )


_SUFFIXES = (".roi", ".zip")


def _recognises(path: Path) -> bool:
    return bool(first_files(path, _SUFFIXES))


def _read_all(path: Path, reading: Reading) -> list[Annotation]:
    return [_read_one(file) for file in annotation_files(path, _SUFFIXES)]


def _read_one(path: Path) -> Annotation:
    stem = path.stem
    for ending in ("_RoiSet", "-RoiSet", "_rois"):
        stem = stem.removesuffix(ending)
    return Annotation(path, stem, read_roi_set(path), stem=stem)


def _write_all(target: Path, annotations: Iterable[Annotation], class_names: Sequence[str], images: Path | None) -> None:
    target.mkdir(exist_ok=True)
    for annotation in annotations:
        file = target / f"{file_stem(annotation)}_RoiSet.zip"
        if file.exists():
            raise RetinaJError(f"{annotation.source}: two images would both go to {file.name}; rename one.")
        write_roi_set(file, annotation.boxes)


FORMAT = AnnotationFormat(
    name="imagej",
    title="ImageJ ROIs (one .roi or RoiSet.zip per image)",
    layout="folder",
    suffix="_RoiSet.zip",
    holds=frozenset({"score", "plane", "fraction", "empty"}),
    recognises=_recognises,
    read=_read_all,
    write=_write_all,
)
