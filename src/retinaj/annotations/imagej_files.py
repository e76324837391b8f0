"""The bytes of ROIs in .roi files and RoiSet.zips that nobody vouches for."""

from __future__ import annotations

import zipfile
from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj.files import require_file
from retinaj.zip_entries import read_entry

MAX_ROIS = 1_000_000
MAX_ROI_BYTES = 64 * 1024**2  # one ROI: a freehand outline of eight million points
MAX_TOTAL_BYTES = 1024**3


def read_contents(path: Path) -> list[tuple[str, bytes]]:
    """(name, bytes) of each ROI in a file. Nothing is unpacked to disk, so entry names lead nowhere.

    Raises:
        RetinaJError: if the file is missing, damaged, has no ROIs, or unpacks to an absurd size.
    """
    require_file(path, "an ImageJ ROI file (.roi or .zip)")
    if not zipfile.is_zipfile(path):
        if path.stat().st_size > MAX_ROI_BYTES:
            raise RetinaJError(f"{path} is larger than {MAX_ROI_BYTES // 2**20} MB; that is not one ROI.")
        data = path.read_bytes()
        if not data.startswith(b"Iout"):
            raise RetinaJError(f"{path} is not an ImageJ ROI or is damaged: expected a .roi file or a ZIP of them.")
        return [(path.stem, data)]
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [info for info in archive.infolist() if _is_roi(info.filename)]
            if archive.infolist() and not entries:
                raise RetinaJError(f"{path} is a ZIP without any .roi in it; expected one that ImageJ's ROI Manager saved.")
            if len(entries) > MAX_ROIS:
                raise RetinaJError(f"{path} has {len(entries):,} ROIs; RetinaJ reads up to {MAX_ROIS:,}.")
            sizes = [info.file_size for info in entries]
            if max(sizes, default=0) > MAX_ROI_BYTES or sum(sizes) > MAX_TOTAL_BYTES:
                raise RetinaJError(f"{path} unpacks to far more than ROIs need; it is not read.")
            return [(info.filename.rsplit("/", 1)[-1][:-4], read_entry(path, archive, info)) for info in entries]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise RetinaJError(f"{path} is not a readable ZIP of ROIs: {error}.") from error


def _is_roi(entry: str) -> bool:
    name = entry.rsplit("/", 1)[-1].lower()
    return name.endswith(".roi") and not name.startswith("._")  # macOS adds such copies
