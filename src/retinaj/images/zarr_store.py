"""Opening one array of a Zarr folder that nobody vouches for: nothing outside it is read, and nothing it names is run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import zarr
from zarr.storage import LocalStore

from retinaj.errors import RetinaJError
from retinaj.images.zarr_chunks import require_bounded

# A sharded array's zarr.json has a few kilobytes, the metadata of an image with 10,000 wells a few megabytes.
_LARGEST_METADATA = 32 * 2**20
# What one chunk may unpack to: the memory that reading a single pixel takes.
_LARGEST_CHUNK = 2**30
_WIDEST = 8  # bytes of a pixel
# Chunks of noise do not shrink, and get a header.
_SLACK = 2**16
_METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup")
# Codecs that only pack and unpack numbers. Zarr 2 has one, pickle, that runs what it reads.
_CODECS = frozenset(
    {"blosc", "zstd", "gzip", "zlib", "lz4", "shuffle", "delta", "crc32", "adler32", "fletcher32"}
    | {"bytes", "transpose", "sharding_indexed", "crc32c"}
)


class ConfinedStore(LocalStore):
    """A Zarr folder that is only read, and whose links lead nowhere outside of it.

    Args:
        root: the folder of an array.
        outer: the folder that it must not leave.
        packing: the outermost codec of its chunks.
        largest: bytes that a chunk may unpack to.
    """

    def __init__(self, root: Path, outer: Path, packing: str, largest: int) -> None:
        super().__init__(root, read_only=True)
        self._outer, self._packing, self._largest = outer.resolve(), packing, largest

    async def get(self, key: str, *args: Any, **options: Any) -> Any:
        """As LocalStore, after looking at where the file lies, how large it is and what it unpacks to."""
        path = Path(self.root) / key
        if not path.exists():
            return None
        require_inside(path, self._outer)
        if path.stat().st_size > self._largest:
            raise RetinaJError(f"{path} has {path.stat().st_size:,} bytes, more than its pixels can need; it is damaged.")
        found = await super().get(key, *args, **options)
        # Of a shard only parts are fetched, and its index.
        if found is not None and not key.endswith(_METADATA) and self._packing != "sharding_indexed":
            require_bounded(path, self._packing, found.to_bytes(), self._largest)
        return found


def require_inside(path: Path, outer: Path) -> Path:
    """`path` itself, if it does not lead out of `outer`, also not by a link.

    Raises:
        RetinaJError: naming the path.
    """
    if not path.resolve().is_relative_to(outer.resolve()):
        raise RetinaJError(f"{path} leads out of {outer}, by a link or '..'; RetinaJ reads only what lies inside an OME-Zarr.")
    return path


def read_metadata(path: Path, outer: Path) -> dict[str, Any]:
    """The JSON object in a metadata file; {} if there is no such file.

    Raises:
        RetinaJError: if it is not JSON, too large, nested too deeply, or lies elsewhere.
    """
    if not path.is_file():
        return {}
    require_inside(path, outer)
    if path.stat().st_size > _LARGEST_METADATA:
        raise RetinaJError(f"{path} has {path.stat().st_size:,} bytes; RetinaJ reads metadata up to {_LARGEST_METADATA:,}.")
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise RetinaJError(f"{path} is damaged: it is not readable as JSON ({str(error)[:100]}).") from error
    if not isinstance(found, dict):
        raise RetinaJError(f"{path} is damaged: expected a JSON object, found {type(found).__name__}.")
    return found


def open_array(folder: Path, name: str, max_ndim: int = 5) -> zarr.Array[Any]:
    """One array of numbers inside a Zarr folder.

    Args:
        folder: the Zarr.
        name: the array's path in it, with "/" between parts, as its metadata have it.
        max_ndim: the most axes.

    Raises:
        RetinaJError: if the path leads out of the folder, there is no array, or its metadata are damaged, absurd, or name a
            codec that does more than unpacking numbers.
    """
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "\\" in name or ":" in name:
        raise RetinaJError(f"{folder} keeps its pixels at {name[:80]!r}, outside of itself; RetinaJ does not follow that.")
    place = require_inside(folder / name, folder)
    metadata = read_metadata(place / "zarr.json", folder) or read_metadata(place / ".zarray", folder)
    if not metadata:
        raise RetinaJError(f"{folder} has no pixels at {name[:80]!r}: {place} is not a Zarr array. Copy it again.")
    codecs = list(_codecs(metadata))
    for codec in codecs:
        if codec not in _CODECS:
            raise RetinaJError(
                f"{folder} packs its pixels with {codec[:80]!r}, which RetinaJ does not open. Use blosc or zstd."
            )
    shape = _lengths(place, metadata, "shape")
    try:
        stored = metadata.get("chunks") or metadata["chunk_grid"]["configuration"]["chunk_shape"]
    except (KeyError, TypeError) as error:
        raise RetinaJError(f"{place}: its metadata lack the size of chunks.") from error
    chunk = _lengths(place, {"chunks": stored}, "chunks")
    if len(shape) > max_ndim or len(chunk) != len(shape):
        raise RetinaJError(f"{place} has the shape {shape} in chunks of {chunk}; expected up to {max_ndim} axes in both.")
    try:
        array = zarr.open_array(ConfinedStore(place, folder, _packing(metadata), math.prod(chunk) * _WIDEST + _SLACK), mode="r")
        kind, itemsize = array.dtype.kind, array.dtype.itemsize
    except RetinaJError:
        raise
    except Exception as error:  # damaged metadata make zarr raise nearly anything
        raise RetinaJError(f"{place} is damaged or of a kind that cannot be read: {str(error)[:200]}.") from error
    if kind not in "uifb":
        raise RetinaJError(f"{place} has pixels of a type that RetinaJ does not know ({array.dtype}).")
    if math.prod(array.chunks) * itemsize > _LARGEST_CHUNK:  # of a shard, only its chunks are unpacked
        raise RetinaJError(
            f"{place} says that its chunks have {' x '.join(map(str, array.chunks))} pixels; RetinaJ unpacks up to "
            f"{_LARGEST_CHUNK:,} bytes at once. Save it in smaller chunks."
        )
    return array


def _lengths(place: Path, metadata: Mapping[str, Any], key: str) -> tuple[int, ...]:
    found = metadata.get(key)
    if not isinstance(found, list) or not all(type(length) is int and 0 < length < 2**48 for length in found):
        raise RetinaJError(f"{place}: the {key} in its metadata are {str(found)[:80]}; expected a list of lengths.")
    return tuple(found)


def _packing(metadata: Mapping[str, Any]) -> str:
    """The codec whose bytes are in the files."""
    chain = metadata.get("codecs") or [*(metadata.get("filters") or []), metadata.get("compressor")]
    last = next((codec for codec in reversed(chain) if codec), None)
    return str(last.get("name", last.get("id"))) if isinstance(last, dict) else ""


def _codecs(metadata: Mapping[str, Any]) -> Iterable[str]:
    """The names of all codecs, also those of the chunks in a shard."""
    waiting = [metadata.get("codecs"), metadata.get("filters"), metadata.get("compressor")]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, list):
            waiting += entry
        elif isinstance(entry, dict):
            yield str(entry.get("name", entry.get("id")))
            inner = entry.get("configuration")
            if isinstance(inner, dict):
                waiting += [inner.get("codecs"), inner.get("index_codecs")]
