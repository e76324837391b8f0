"""How pixel values become network input. It is chosen once per data set and saved with the model, never guessed again.

Each step is one that the bioimage.io format can describe (`scale_range`, `clip`, `scale_linear`), so that a package repeats
it exactly in any consumer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from retinaj.plain_record import PlainRecord
from retinaj.streamed_percentiles import percentiles_of_blocks


class FixedScale(PlainRecord):
    """`pixel * gain + offset`: for 8-bit images, whose range is known. The defaults give about -2..2."""

    kind: Literal["fixed"] = "fixed"
    gain: float = 1 / 64
    offset: float = -2.0

    def __call__(self, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
        """Normalise `pixels` [y, x, channel] of any type to float32 of the same shape.

        >>> FixedScale()(np.array([[[0], [128]]], np.uint8)).ravel().tolist()
        [-2.0, 0.0]
        """
        return pixels.astype(np.float32) * np.float32(self.gain) + np.float32(self.offset)


class PercentileScale(PlainRecord):
    """Each channel of each image between two of its own percentiles, clipped to 0..1, then `* gain + offset`.

    For 16-bit, 32-bit and float images, whose range differs from one acquisition to the next.
    """

    kind: Literal["percentile"] = "percentile"
    low: Annotated[float, Field(ge=0, lt=100)] = 1.0
    high: Annotated[float, Field(gt=0, le=100)] = 99.8
    gain: float = 4.0
    offset: float = -2.0
    eps: Annotated[float, Field(gt=0)] = 1e-6

    def __call__(self, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
        """Normalise `pixels` [y, x, channel] of any type to float32 of the same shape; NaN pixels become the low end."""
        values = pixels.astype(np.float32)
        return self.between(values, np.nanpercentile(values, [self.low, self.high], axis=(0, 1)).astype(np.float32))

    def between(self, pixels: NDArray[np.generic], limits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalise a part [y, x, channel] of an image of which `limits`, its percentiles `low` and `high`, are known.

        Args:
            pixels: of any type.
            limits: float32 [2, channel].
        """
        values = pixels.astype(np.float32, copy=False)
        bottom, top = limits
        scaled = (values - bottom) / (top - bottom + np.float32(self.eps))
        clipped = np.clip(np.nan_to_num(scaled, nan=0.0), 0, 1)
        return (clipped * np.float32(self.gain) + np.float32(self.offset)).astype(np.float32)


def scale_of_blocks(
    normalization: FixedScale | PercentileScale, blocks: Callable[[], Iterable[NDArray[np.generic]]]
) -> Callable[[NDArray[np.generic]], NDArray[np.float32]]:
    """How to normalise parts of an image so that they are parts of the normalised image.

    Args:
        normalization: of the model.
        blocks: gives all pixels of the image, [y, x, channel] at a time; called only where its percentiles count.
    """
    if isinstance(normalization, FixedScale):
        return normalization
    limits = percentiles_of_blocks(blocks, (normalization.low, normalization.high))
    return partial(normalization.between, limits=limits)


Normalization = Annotated[FixedScale | PercentileScale, Field(discriminator="kind")]


# In images of one kind of exposure the widest range is not twice the narrowest, outliers left aside.
_UNEQUAL = 2.0


def choose_normalization(
    dtypes: set[np.dtype[np.generic]], channels: int = 3, spans: Sequence[float] = ()
) -> FixedScale | PercentileScale:
    """The normalisation for a data set: fixed when all images are 8-bit and exposed alike, else percentiles.

    Fluorescence is often saved as 8-bit with most of the range unused, in one image more than in the next: stretching each to
    the same range shows the network what is alike in them. Colours are left as they are.

    Args:
        dtypes: the pixel types of the images.
        channels: of the network's input.
        spans: of each 8-bit image, how many grey values it uses.

    >>> choose_normalization({np.dtype(np.uint8)}).kind, choose_normalization({np.dtype(np.uint16)}).kind
    ('fixed', 'percentile')
    >>> choose_normalization({np.dtype(np.uint8)}, channels=1, spans=[30, 90, 240]).kind
    'percentile'
    """
    if not dtypes <= {np.dtype(np.uint8)}:
        return PercentileScale()
    low, high = np.percentile(spans, [10, 90]) if len(spans) else (0.0, 0.0)
    return PercentileScale() if channels == 1 and high > _UNEQUAL * low else FixedScale()
