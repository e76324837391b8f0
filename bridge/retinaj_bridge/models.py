"""Opened models, kept between calls: a macro that searches a hundred images opens its model once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj.prediction.detector import Detector

# Files that stand for the folder they lie in: what a file dialog can choose of a model folder or an unpacked package.
_DESCRIPTIONS = ("model.json", "rdf.yaml", "bioimageio.yaml")

# (name, size, time of change in ns) of the files that make up a model.
_State = tuple[tuple[str, int, int], ...]


class Models:
    """The last few models that were opened. A model that changed on disk is opened again. Safe to use from any thread.

    Args:
        keep: how many to keep; each holds its weights in memory.
        open_model: path -> Detector; default: `retinaj_zoo.open_model`.
    """

    def __init__(self, keep: int = 2, open_model: Callable[[Path], Detector] | None = None) -> None:
        self._keep = keep
        self._open = open_model if open_model is not None else _open_model
        self._opened: OrderedDict[Path, tuple[_State, Detector]] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, path: Path) -> Detector:
        """The detector of a model folder or a package.

        Args:
            path: the folder, the package.zip, or the model.json or rdf.yaml in a folder.

        Raises:
            RetinaJError: if there is nothing at `path`, or it is not a model.
        """
        path = path.resolve()
        if path.name in _DESCRIPTIONS:
            path = path.parent
        with self._lock:
            state = _state(path)
            known = self._opened.get(path)
            if known is None or known[0] != state:
                # Forget the old one first: two generations of a model need not fit into memory.
                self._opened.pop(path, None)
                known = (state, self._open(path))
                self._opened[path] = known
                if len(self._opened) > self._keep:
                    self._opened.popitem(last=False)
            self._opened.move_to_end(path)
            return known[1]


def _open_model(path: Path) -> Detector:
    from retinaj_zoo import open_model  # here, so that importing the bridge stays quick

    return open_model(path)


def _state(path: Path) -> _State:
    try:
        files = sorted(entry for entry in path.iterdir() if entry.is_file()) if path.is_dir() else [path]
        found = [(file.name, file.stat()) for file in files]
    except OSError as error:
        what = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise RetinaJError(
            f"The model {path} {what}; expected a model folder (from `retinaj train`) or a package.zip."
        ) from error
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)
