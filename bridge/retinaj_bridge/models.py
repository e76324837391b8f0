"""Opened models, kept between calls: a macro that searches a hundred images opens its model once."""

from __future__ import annotations

import hashlib
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj.prediction.detector import Detector

# Files that stand for the folder they lie in: what a file dialog can choose of a model folder or an unpacked package.
_DESCRIPTIONS = ("model.json", "rdf.yaml", "bioimageio.yaml")

_EXPECTED = "expected a model folder (from `retinaj train`) or a package.zip"

# Seconds to wait for a model that is being replaced.
_PAUSES = (0.1, 0.3, 1.0)


@dataclass(frozen=True)
class OpenedModel:
    """A model that was opened.

    Attributes:
        path: its folder or package.
        identity: changes whenever the files that make it up do.
        detector: what it opened as.
    """

    path: Path
    identity: str
    detector: Detector


class Models:
    """The last few models that were opened. A model that changed on disk is opened again. Safe to use from any thread.

    Args:
        keep: how many to keep; each holds its weights in memory.
        open_model: path -> Detector; default: `retinaj_zoo.open_model`.
    """

    def __init__(self, keep: int = 2, open_model: Callable[[Path], Detector] | None = None) -> None:
        self._keep = keep
        self._open = open_model if open_model is not None else _open_model
        self._opened: OrderedDict[Path, OpenedModel] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, path: Path) -> Detector:
        """The detector of a model folder or a package.

        Args:
            path: the folder, the package.zip, or the model.json or rdf.yaml in a folder.

        Raises:
            RetinaJError: if there is nothing at `path`, it is not a model, or it is only being written.
        """
        return self.opened(path).detector

    def opened(self, path: Path) -> OpenedModel:
        """What `open` opens, and which one it is.

        Raises:
            RetinaJError: as `open`.
        """
        path = _folder_or_package(path)
        with self._lock:
            for pause in (*_PAUSES, None):
                identity = _identity(path)
                known = self._opened.get(path)
                if known is not None and known.identity == identity:
                    self._opened.move_to_end(path)
                    return known
                # Forget the old one first: two generations of a model need not fit into memory.
                self._opened.pop(path, None)
                try:
                    detector = self._open(path)
                except (RetinaJError, OSError) as error:
                    if _is_still(path, identity):
                        raise error if isinstance(error, RetinaJError) else _missing(path, error) from error
                else:
                    if _is_still(path, identity):
                        return self._keep_opened(OpenedModel(path, identity, detector))
                # It is being replaced: weights of one model may have come with the description of another.
                if pause is not None:
                    time.sleep(pause)
            raise RetinaJError(f"The model {path} is being written just now: wait until it is whole, then run this again.")

    def _keep_opened(self, opened: OpenedModel) -> OpenedModel:
        self._opened[opened.path] = opened
        if len(self._opened) > self._keep:
            self._opened.popitem(last=False)
        return opened


def _open_model(path: Path) -> Detector:
    from retinaj_zoo import open_model  # here, so that importing the bridge stays quick

    return open_model(path)


def _folder_or_package(path: Path) -> Path:
    try:
        path = path.resolve()
        if path.name in _DESCRIPTIONS:
            path = path.parent
        kind = path.stat().st_mode
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, characters that no path has
        raise _missing(path, error) from error
    if not (stat.S_ISDIR(kind) or stat.S_ISREG(kind)):  # reading from a device may never end
        raise RetinaJError(f"The model {path} is neither a folder nor a file; {_EXPECTED}.")
    return path


def _identity(path: Path) -> str:
    """A digest of the names, sizes and times of change of the files that make up a model."""
    try:
        files = sorted(entry for entry in path.iterdir() if entry.is_file()) if path.is_dir() else [path]
        found = [(file.name, file.stat()) for file in files]
    except OSError as error:
        raise _missing(path, error) from error
    state = [(name, each.st_size, each.st_mtime_ns) for name, each in found]
    return hashlib.sha256(repr(state).encode(errors="surrogateescape")).hexdigest()[:16]


def _is_still(path: Path, identity: str) -> bool:
    try:
        return _identity(path) == identity
    except RetinaJError:  # gone
        return False


def _missing(path: Path, error: Exception) -> RetinaJError:
    reason = getattr(error, "strerror", None) or str(error)
    what = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {reason}"
    return RetinaJError(f"The model {path} {what}; {_EXPECTED}.")
