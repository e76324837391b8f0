"""How many windows a large image is worth, and where in it they lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retinaj.augmentation import AugmentationConfig
from retinaj.counting import counted

# Up to 4 x 4 windows an image is like any other: one window in a pass over all images.
_SMALL = 16
# Of the cells that count, as many as this share of those with objects may be empty: three windows in four lie round an object.
_EMPTY_SHARE = 1 / 3


@dataclass(frozen=True)
class WindowCounts:
    """What each image counts in a pass over all of them.

    Attributes:
        parts: int64 [images], the windows that are cut from it in a pass; 1 for a small image.
        large: bool [images], whether it is larger than 4 x 4 windows.
    """

    parts: NDArray[np.int64]
    large: NDArray[np.bool_]

    @classmethod
    def of(cls, sizes: Sequence[tuple[float, float]], boxes: Sequence[NDArray[np.float32]], window: int) -> WindowCounts:
        """The counts of some images.

        An image of up to 4 x 4 windows counts once. A larger one counts once for each 16 of its cells, squares of a window's
        side, in which the centre of an object lies; of its empty cells up to a third as many count, too.

        Args:
            sizes: (width, height) of each image, in downsampled pixels.
            boxes: float32 [N, 4] of each image, in the same pixels.
            window: side of a window, in the same pixels.

        >>> sparse, dense = np.array([[5, 5, 9, 9]]), np.stack([np.arange(0, 6400, 64)] * 4, axis=1)
        >>> WindowCounts.of([(300, 300), (6400, 6400), (6400, 6400)], [sparse, sparse, dense], 64).parts.tolist()
        [1, 1, 9]
        """
        parts: list[int] = []
        large: list[bool] = []
        for (width, height), xyxy in zip(sizes, boxes, strict=True):
            large.append(width * height > _SMALL * window**2)
            cells = math.ceil(width / window) * math.ceil(height / window)
            centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
            occupied = len(np.unique(np.floor(centre / window), axis=0)) if large[-1] else 0
            counting = occupied + min(_EMPTY_SHARE * occupied, cells - occupied)
            parts.append(max(1, math.ceil(counting / _SMALL)))
        return cls(np.array(parts, np.int64), np.array(large, np.bool_))

    def words(self, windows: int, config: AugmentationConfig) -> str:
        """What was decided, for people.

        Args:
            windows: of an epoch.
            config: the strengths of the run.
        """
        said = f"{counted(windows, 'window')} per epoch from {counted(len(self.parts), 'image')}"
        number = int(self.large.sum())
        if not number:
            return f"{said}."
        share = round(100 * self.parts[self.large].sum() / self.parts.sum())
        are = "is" if number == 1 else "are"
        return (
            f"{said}; {number} of them {are} larger than 4 x 4 windows: {share} % of the windows are cut from there, "
            f"{in_large_image(config).on_object:.0%} of those round an object."
        )


def in_large_image(config: AugmentationConfig) -> AugmentationConfig:
    """The strengths for windows of a large image: those that lie anywhere, mostly on background, are half as many.

    >>> in_large_image(AugmentationConfig(on_object=0.5)).on_object, in_large_image(AugmentationConfig(on_object=0)).on_object
    (0.75, 0.0)
    """
    return config.model_copy(update={"on_object": (1 + config.on_object) / 2}) if config.on_object else config
