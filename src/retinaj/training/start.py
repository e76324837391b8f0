"""Starting from the weights of an earlier model instead of random ones: what is taken over, and what may differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retinaj.errors import RetinaJError
from retinaj.model_folder import ModelRecord, StartRecord, load_network
from retinaj.network.config import NetworkConfig
from retinaj.normalization import FixedScale, PercentileScale
from retinaj.training.settings import TrainingSettings
from retinaj.weights_file import network_arrays

# The one layer whose size depends on the classes.
_CLASS_PREDICTION = "class_head_prediction/"
# Settings that decide what the weights mean: the source's are kept. Of imagenet_weights, that BatchNorm stays frozen.
_TIED = ("backbone", "imagenet_weights", "norm", "separable")
# Those that were left to the data when the source was trained: what its network has is kept.
_TIED_IN_NETWORK = ("shared_tower", "pyramid_width")


@dataclass(frozen=True)
class StartingPoint:
    """A trained model to start from.

    Attributes:
        record: of that model.
        arrays: its weights by variable path, as `retinaj.weights_file.network_arrays` gives them.
    """

    record: ModelRecord
    arrays: Mapping[str, NDArray[np.generic]]

    @classmethod
    def of_folder(cls, folder: Path) -> StartingPoint:
        """A model folder as a starting point.

        Raises:
            RetinaJError: if it is not a model folder, or its weights were changed.
        """
        record, network = load_network(folder)
        return cls(record, network_arrays(network))

    def settings(self) -> dict[str, Any]:
        """The settings that training from here has, unless the user says otherwise where that is possible."""
        # What fitted ImageNet's weights has been trained since: it is not frozen again.
        frozen = self.record.training.settings.freeze_batch_norm
        return self._tied() | {"freeze": "none", "freeze_batch_norm": frozen}

    def _tied(self) -> dict[str, Any]:
        tied = {name: getattr(self.record.training.settings, name) for name in _TIED}
        return tied | {name: getattr(self.record.network, name) for name in _TIED_IN_NETWORK}

    def require_settings(self, settings: TrainingSettings) -> None:
        """Refuse settings under which these weights would mean something else.

        Raises:
            RetinaJError: naming the option, its value and the source's.
        """
        anchors = self.record.network.anchors
        needed = self._tied()
        for name in _TIED_IN_NETWORK:
            if getattr(settings, name) is None:
                del needed[name]
        if settings.levels is not None:
            needed["levels"] = (anchors.min_level, anchors.max_level)
        if settings.downsampling is not None:
            needed["downsampling"] = self.record.network.downsampling
        for name, value in needed.items():
            if getattr(settings, name) != value:
                raise RetinaJError(
                    f"--{name.replace('_', '-')} is {getattr(settings, name)!r}, but the model to start from, "
                    f"{self.record.name!r}, has {value!r}, and its weights fit no other. Leave the option out, or train "
                    "without --weights-from."
                )

    def network(self, num_classes: int, fill: tuple[float, ...], max_detections: int, max_candidates: int) -> NetworkConfig:
        """The source's network for other classes and images; it never reports fewer boxes than the source."""
        source = self.record.network
        return NetworkConfig.model_validate(
            source.model_dump()
            | {
                "num_classes": num_classes,
                "fill": fill,
                "max_detections": max(max_detections, source.max_detections),
                "max_candidates": max(max_candidates, source.max_candidates),
            }
        )

    def normalization(self, chosen: FixedScale | PercentileScale) -> FixedScale | PercentileScale:
        """The source's, which its weights are used to; except for its 8-bit scale on images that need another, `chosen`."""
        source = self.record.normalization
        return chosen if isinstance(source, FixedScale) and isinstance(chosen, PercentileScale) else source

    def channels(self, have: int) -> int:
        """The source's number of channels, for images that have `have`; grey is repeated for an RGB model.

        Raises:
            RetinaJError: if the images fit it in no way.
        """
        channels = self.record.network.channels
        if have == channels or (have == 1 and channels == 3):
            return channels
        raise RetinaJError(
            f"The images have {have} channels, but the model to start from, {self.record.name!r}, was trained on images with "
            f"{channels}. Train without --weights-from."
        )

    def described(self, class_names: tuple[str, ...], log: Callable[[str], None]) -> StartRecord:
        """What the new model's record says about its start; the user is told, too."""
        source = self.record
        kept = tuple(name for name in class_names if name in source.class_names)
        fresh = [name for name in class_names if name not in kept]
        dropped = [name for name in source.class_names if name not in kept]
        lists = (("kept", list(kept)), ("new", fresh), ("left out", dropped))
        classes = "; ".join(f"{what}: {', '.join(names)}" for what, names in lists if names)
        log(f"Starting from the weights of {source.name!r} (SHA-256 {source.weights_sha256[:12]}…). Classes {classes}.")
        return StartRecord(
            name=source.name, weights_sha256=source.weights_sha256, class_names=source.class_names, kept_classes=kept
        )

    def assign(self, network: Any, record: ModelRecord) -> None:
        """Set the weights of a network made for `record`; of the class prediction, those of classes that both models have.

        Args:
            network: made by `build_network(record.network)`. Classes that only it has keep its values.
            record: made with `network` and `described`.
        """
        for variable in network.variables:
            array = self.arrays[variable.path]
            # Of a separable convolution, the depthwise part sees every class alike.
            if variable.path.startswith(_CLASS_PREDICTION) and not variable.path.endswith("depthwise_kernel"):
                array = self._class_rows(np.asarray(variable), array, record)
            variable.assign(array)

    def _class_rows(self, fresh: NDArray[np.generic], trained: NDArray[np.generic], record: ModelRecord) -> NDArray[np.generic]:
        """The last axis holds, for each anchor of a cell, one value a class."""
        names = self.record.class_names
        anchors = record.network.anchors.per_cell
        merged = fresh.reshape(*fresh.shape[:-1], anchors, len(record.class_names)).copy()
        source = trained.reshape(*trained.shape[:-1], anchors, len(names))
        for index, name in enumerate(record.class_names):
            if name in names:
                merged[..., index] = source[..., names.index(name)]
        return merged.reshape(fresh.shape)


def require_same_start(record: ModelRecord, start: StartingPoint | None, *, has_state: bool, folder: Path) -> None:
    """Refuse to resume a run with another starting point than it began with.

    Args:
        record: as planned.
        start: given now; it may be left out once the run has a state of its own.
        has_state: whether an epoch was finished.
        folder: of the run.

    Raises:
        RetinaJError: saying which one the run began with.
    """
    before = record.training.started_from
    if start is not None and (before is None or start.record.weights_sha256 != before.weights_sha256):
        began = "random weights" if before is None else f"the weights of {before.name!r} ({before.weights_sha256[:12]}…)"
        raise RetinaJError(
            f"The run in {folder} began with {began}, not with those of {start.record.name!r} "
            f"({start.record.weights_sha256[:12]}…). Resume without --weights-from, or train into a new folder."
        )
    if before is not None and start is None and not has_state:
        raise RetinaJError(
            f"The run in {folder} stopped before its first epoch was done. It began with the weights of {before.name!r}: give "
            "them again with --weights-from."
        )
