"""Whether two images show the same thing: copies, also resized, turned or mirrored ones, and fields that overlap.

First, all pairs by phase correlation of small versions, which gives candidates; then each candidate on larger versions. There
the images, shifted onto each other, must agree in each of their structures: two sparse images with one bright cell each would
agree as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label

from retinaj.checking.fingerprints import reduced

DETAIL = 192  # pixels: longest side of what candidates are compared on
SQUARE = 128  # side of what turned and resized copies are compared on
_LEAST_SHARE = 0.25  # of the image: neighbours that share less are not taken for the same field
_BLOCK = 18  # pixels
_LEAST_BLOCKS = 8  # with structure, for an overlap
_FULL = 0.3  # share of such blocks from which on they need not be in separate groups
_AGREEMENT = 0.84  # correlation that three of four blocks with structure reach; chosen on real images, see the tests
_COPY = 0.97  # correlation of copies as a whole
_PEAKS = 3  # shifts that are tried for a pair


@dataclass(frozen=True)
class Shift:
    """How two images lie over each other.

    Attributes:
        x, y: where the second image's left top corner lies in the first, in shares of the width and of the height.
        area: share of the image that both show, 0..1.
        agreement: correlation there, 0..1.
        turned: the second image must be turned or mirrored for it.
    """

    x: float
    y: float
    area: float
    agreement: float
    turned: bool = False

    @property
    def is_copy(self) -> bool:
        """Whether it is the same image rather than one of the same place."""
        return self.turned or (self.area > 0.99 and self.agreement >= _COPY)


@dataclass(frozen=True)
class Detail:
    """An image prepared for `find_shift`: its structures, float32 [y, x], and their spectrum."""

    structure: NDArray[np.float32]
    spectrum: NDArray[np.complex64]


def detail_of(grey: NDArray[np.float32]) -> Detail:
    """An image of any size, float32 [y, x], prepared for `find_shift`."""
    height, width = grey.shape
    scale = DETAIL / max(height, width)
    small = reduced(grey, max(1, round(width * scale)), max(1, round(height * scale)))
    structure = _structure(small, 9)
    return Detail(structure, np.asarray(scipy.fft.rfft2(structure), np.complex64))


def square_of(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """An image of any size prepared for `find_copy`: float32 [SQUARE, SQUARE]."""
    return _structure(reduced(grey, SQUARE, SQUARE), 9)


def spectra(thumbs: NDArray[np.float32]) -> NDArray[np.complex64]:
    """The spectra of small images [N, S, S] with equal weight for all but the finest structures: for `peaks`."""
    side = thumbs.shape[1]
    window = np.hanning(side + 2)[1:-1].astype(np.float32)
    centred = thumbs - thumbs.mean(axis=(1, 2), keepdims=True)
    found = np.asarray(scipy.fft.rfft2(centred * (window[:, None] * window), workers=-1))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    weight = np.exp(-((frequency / 0.25) ** 2) / 2)
    weight[0, 0] = 0
    found = found / np.maximum(np.abs(found), 1e-6) * weight
    return (found / np.sqrt(_energy(weight))).astype(np.complex64)


def peaks(others: NDArray[np.complex64], one: NDArray[np.complex64], side: int) -> NDArray[np.float32]:
    """How well `one` fits onto each of `others` at the best shift: float32 [N], 1 for the same image."""
    fitted = np.asarray(scipy.fft.irfft2(others * one.conj(), s=(side, side), workers=-1), np.float32)
    return fitted.reshape(len(others), side * side).max(axis=1) * (side * side)


def _energy(weight: NDArray[np.float64]) -> float:
    """Of a whole spectrum, of which `weight` has the half that rfft2 gives."""
    twice = np.full(weight.shape[1], 2.0)
    twice[[0, -1]] = 1
    return float((weight**2 * twice).sum())


def find_shift(first: Detail, second: Detail) -> Shift | None:
    """How two images of one size overlap; None if they do not, or by less than a quarter of the image."""
    height, width = first.structure.shape
    cross = first.spectrum * second.spectrum.conj()
    cross /= np.sqrt(np.abs(cross)) + 1e-6
    fitted = np.asarray(scipy.fft.irfft2(cross, s=(height, width)), np.float32)
    best: Shift | None = None
    for peak in np.argpartition(fitted.ravel(), -_PEAKS)[-_PEAKS:].tolist():
        y, x = divmod(peak, width)
        # The correlation is cyclic: a shift by x may as well be one by x - width.
        for dy in (y, y - height):
            for dx in (x, x - width):
                found = _compare(first.structure, second.structure, dy, dx)
                if found is not None and (best is None or found.agreement > best.agreement):
                    best = found
    return best


def _compare(first: NDArray[np.float32], second: NDArray[np.float32], dy: int, dx: int) -> Shift | None:
    height, width = first.shape
    high, wide = height - abs(dy), width - abs(dx)
    area = high * wide / (height * width)
    if area < _LEAST_SHARE or min(high, wide) < 2 * _BLOCK:
        return None
    a = first[max(dy, 0) :, max(dx, 0) :][:high, :wide]
    b = second[max(-dy, 0) :, max(-dx, 0) :][:high, :wide]
    agreement = _correlation(a, b)
    if agreement < 0.5:
        return None
    if not (area > 0.9 and agreement >= _COPY):
        structured = _blocks_with_structure(a, b, float((first**2).mean()), float((second**2).mean()))
        if structured.sum() < _LEAST_BLOCKS or not _is_spread(structured, wide // _BLOCK):
            return None
        each = _block_correlation(a, b)[structured]
        agreement = float(np.quantile(each, 0.25))
        if agreement < _AGREEMENT:
            return None
    return Shift(dx / width, dy / height, area, agreement)


def _is_spread(structured: NDArray[np.bool_], columns: int) -> bool:
    """Not one object alone, which fits onto every other one of its kind."""
    _, groups = cast("tuple[object, int]", label(structured.reshape(-1, columns), np.ones((3, 3))))
    return groups > 1 or float(structured.mean()) >= _FULL


def find_copy(first: NDArray[np.float32], second: NDArray[np.float32]) -> Shift | None:
    """Whether the second image is the first one, perhaps resized, turned by 90 degrees or mirrored.

    Args:
        first, second: as `square_of` makes them.
    """
    for at, turned in enumerate(turns(second)):
        agreement = _correlation(first, turned)
        if agreement >= _COPY:
            return Shift(0, 0, 1, agreement, turned=at > 0)
    return None


def turns(square: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
    """The eight ways in which a square can lie, itself first; the last two axes are the square's."""
    quarter = [np.rot90(square, times, axes=(-2, -1)) for times in range(4)]
    return [*quarter, *(np.swapaxes(each, -2, -1) for each in quarter)]


def vectors(thumbs: NDArray[np.float32], side: int = 32) -> NDArray[np.float32]:
    """Small images [N, S, S] as [N, side, side] of unit length without slow changes: products of two are their correlation."""
    factor = thumbs.shape[1] // side
    small = thumbs.reshape(len(thumbs), side, factor, side, factor).mean(axis=(2, 4))
    fine = gaussian_filter(small, (0, 0.5, 0.5)) - gaussian_filter(small, (0, 4, 4))
    length = np.sqrt((fine**2).sum(axis=(1, 2), keepdims=True))
    return (fine / np.maximum(length, 1e-9)).astype(np.float32)


def _structure(pixels: NDArray[np.float32], coarse: float) -> NDArray[np.float32]:
    """Without noise and without shading."""
    return np.asarray(gaussian_filter(pixels, 0.75) - gaussian_filter(pixels, coarse, truncate=3), np.float32)


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-12))


def _blocks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """[blocks, pixels of a block]; what is left over at the right and bottom is cut off."""
    high, wide = (length // _BLOCK for length in values.shape)
    cut = values[: high * _BLOCK, : wide * _BLOCK].reshape(high, _BLOCK, wide, _BLOCK)
    return cut.swapaxes(1, 2).reshape(high * wide, _BLOCK * _BLOCK)


def _block_correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    one, other = _blocks(a), _blocks(b)
    return (one * other).mean(axis=1) / np.sqrt((one**2).mean(axis=1) * (other**2).mean(axis=1) + 1e-12)


def _blocks_with_structure(
    a: NDArray[np.float32], b: NDArray[np.float32], energy_a: float, energy_b: float
) -> NDArray[np.bool_]:
    """Blocks that show something, in one of the two at least, and not only straight lines, which fit at many shifts."""
    strength = np.maximum(
        (_blocks(a) ** 2).mean(axis=1) / (energy_a + 1e-12), (_blocks(b) ** 2).mean(axis=1) / (energy_b + 1e-12)
    )
    dy, dx = (np.asarray(each, np.float32) for each in np.gradient(a))
    yy, xx, xy = (_blocks(each).mean(axis=1) for each in (dy * dy, dx * dx, dx * dy))
    spread = np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    weaker, stronger = (xx + yy) / 2 - spread, (xx + yy) / 2 + spread
    return (strength > 0.25) & (weaker > 0.15 * stronger)
