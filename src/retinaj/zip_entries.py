"""Reading single entries of a ZIP file that nobody vouches for."""

from __future__ import annotations

import copy
import zipfile
import zlib
from pathlib import Path

from retinaj.errors import RetinaJError

# What ImageJ and bioimage.io write. zipfile unpacks bzip2 and LZMA in one go, however large the result.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_entry(origin: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The content of one entry; never more than a byte beyond its declared size is unpacked into memory.

    Args:
        origin: the ZIP file, for messages.
        archive: the same, open.
        entry: one of `archive.infolist()`, whose `file_size` the caller has found acceptable.

    Raises:
        RetinaJError: if the entry is damaged, encrypted, compressed by another method than "deflate", or not of the size
            that it declares.
    """
    if entry.compress_type not in _METHODS:
        raise RetinaJError(
            f"{origin} holds {entry.filename!r}, compressed by method {entry.compress_type}; expected the usual method, "
            '"deflate", or none. Make the ZIP again.'
        )
    # Allowed one byte more, zipfile shows whether there is more than was declared, instead of hiding it.
    wider = copy.copy(entry)
    wider.file_size += 1
    try:
        with archive.open(wider) as stream:
            data = stream.read(wider.file_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, OverflowError) as error:
        raise RetinaJError(f"{origin} is damaged at {entry.filename!r}: {error}. Copy or download it again.") from error
    if len(data) != entry.file_size:
        raise RetinaJError(
            f"{origin} is damaged at {entry.filename!r}: it declares {entry.file_size:,} bytes and has "
            f"{'more' if len(data) > entry.file_size else f'{len(data):,}'}. Copy or download it again."
        )
    return data
