"""Images that are in different parts of the data although they show the same: figures on them flatter the model."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retinaj.checking.findings import Corners, Finding
from retinaj.checking.fingerprints import Fingerprint, fingerprint, grey
from retinaj.checking.images import unreadable
from retinaj.checking.overlap import Detail, Shift, detail_of, find_copy, find_shift, peaks, spectra, square_of, turns, vectors
from retinaj.errors import RetinaJError
from retinaj.images.plane_choice import AS_STORED, PlaneChoice

_CANDIDATES = 2  # of each image: the most similar ones
_LEAST_PEAK = 0.15  # below, no two images of the same field were seen
_LEAST_LIKENESS = 0.9  # of small versions of copies
_MANY_PAIRS = 400_000  # from here on, images are averaged down once more
_CHUNK = 1024  # images compared with one at a time, which bounds the memory
_KEPT = 256  # images kept ready for the comparison of candidates, about 0.3 MB each

Progress = Callable[[int, int], None]


@dataclass
class Comparison:
    """What comparing images gave.

    Attributes:
        findings: copies and overlaps, images that cannot be decoded, and what could not be compared.
        images: how many were read.
        pairs: how many were compared, of `all_pairs`.
    """

    findings: list[Finding] = field(default_factory=list[Finding])
    images: int = 0
    pairs: int = 0
    all_pairs: int = 0


def compare_parts(
    parts: Mapping[str, Sequence[Path]],
    *,
    planes: PlaneChoice = AS_STORED,
    seconds: float = 60,
    progress: Progress | None = None,
) -> Comparison:
    """Find images that show the same and are in different parts; of a single part, only identical ones.

    Copies are found also where they were stored in another format, with another contrast, resized, turned by 90 degrees or
    mirrored; overlapping fields among images of equal size, where they share half of the field or more, often also with less. A
    regular pattern, such as a grid of lines, may be taken for an overlap.

    Args:
        parts: the images of each part; one that is in several counts for the first.
        planes: how the images are read.
        seconds: for reading all images, and again for comparing them: what is not done by then is left out, and said.
        progress: called with (steps done, steps in all): one for reading each image, and one for comparing it.
    """
    part_of: dict[Path, str] = {}
    for part, paths in parts.items():
        for path in paths:
            part_of.setdefault(path, part)
    found = Comparison()
    prints = _read_all(list(part_of), planes, found, time.monotonic() + seconds, progress)
    found.images = len(prints)
    same = _identical(prints, part_of)
    found.findings += [_identical_finding(*pair, part_of) for pair in same]
    if len(parts) > 1:

        def tell(share: float) -> None:
            if progress is not None:
                progress(len(part_of) + int(share * len(part_of)), 2 * len(part_of))

        _compare_all(prints, part_of, {frozenset(pair) for pair in same}, planes, found, time.monotonic() + seconds, tell)
    return found


def _read_all(
    paths: list[Path], planes: PlaneChoice, found: Comparison, deadline: float, progress: Progress | None
) -> dict[Path, Fingerprint]:
    prints: dict[Path, Fingerprint] = {}
    for done, (path, future) in enumerate(_in_threads(partial(fingerprint, planes=planes), paths)):
        if progress is not None:
            progress(done, 2 * len(paths))
        if time.monotonic() > deadline:
            message = f"reading took too long: {len(paths) - done} of {len(paths)} images were not compared with others"
            found.findings.append(Finding("not-compared", path.parent, message))
            break
        try:
            prints[path] = future.result()
        except RetinaJError as error:
            found.findings.append(unreadable(path, error))
    return prints


def _in_threads(function: Callable[[Path], Fingerprint], paths: list[Path]) -> Iterator[tuple[Path, Future[Fingerprint]]]:
    """Results in the order of the paths, a few ahead; leaving the loop early cancels what has not begun."""
    workers = min(4, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers)
    try:
        todo = iter(paths)
        waiting = [(path, pool.submit(function, path)) for path in islice(todo, 2 * workers)]
        while waiting:
            path, future = waiting.pop(0)
            yield path, future
            waiting += [(path, pool.submit(function, path)) for path in islice(todo, 1)]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _identical(prints: Mapping[Path, Fingerprint], part_of: Mapping[Path, str]) -> list[tuple[Path, Path]]:
    """Each image with the first one of the same pixels, preferably one in another part."""
    first: dict[bytes, list[Path]] = {}
    pairs: list[tuple[Path, Path]] = []
    for path, each in prints.items():
        if each.flat:
            continue
        earlier = first.setdefault(each.digest, [])
        if earlier:
            pairs.append((next((other for other in earlier if part_of[other] != part_of[path]), earlier[0]), path))
        earlier.append(path)
    return pairs


def _identical_finding(one: Path, other: Path, part_of: Mapping[Path, str]) -> Finding:
    if part_of[one] != part_of[other]:
        message = f"has the same pixels as {other.name} (in {part_of[one]} and in {part_of[other]})"
        return Finding("identical-across-parts", one, message, image=one, other_image=other)
    return Finding("identical-images", one, f"has the same pixels as {other.name}", image=one, other_image=other)


def _compare_all(
    prints: Mapping[Path, Fingerprint],
    part_of: Mapping[Path, str],
    known: set[frozenset[Path]],
    planes: PlaneChoice,
    found: Comparison,
    deadline: float,
    tell: Callable[[float], None],
) -> None:
    """Copies and overlaps across the parts, but for the pairs that are known to be identical."""
    paths = [path for path, each in prints.items() if not each.flat]
    if not paths:
        return
    part = np.array([sorted(set(part_of.values())).index(part_of[path]) for path in paths])
    sizes = [prints[path].size for path in paths]
    thumbs = np.stack([prints[path].thumb for path in paths])
    copies = _likely_copies(thumbs, part)
    overlaps = _likely_overlaps(thumbs, part, sizes, found, deadline, tell)
    if found.pairs < found.all_pairs:
        message = f"comparing took too long: {found.pairs:,} of {found.all_pairs:,} pairs across the parts were compared"
        found.findings.append(Finding("not-compared", paths[0].parent, message))
    details = lru_cache(_KEPT)(lambda path: detail_of(grey(planes.whole(path))))
    squares = lru_cache(_KEPT)(lambda path: square_of(grey(planes.whole(path))))
    left = len(copies) + len(overlaps)
    for at, (one, other) in enumerate([*copies, *overlaps]):
        pair = (paths[one], paths[other])
        tell(0.5 + 0.5 * at / left)
        if frozenset(pair) in known:
            continue
        if time.monotonic() > deadline:
            message = f"comparing took too long: {left - at:,} pairs that look alike were not compared closely"
            found.findings.append(Finding("not-compared", paths[0].parent, message))
            return
        shift = find_copy(squares(pair[0]), squares(pair[1])) if at < len(copies) else _shift(details, pair)
        if shift is not None:
            known.add(frozenset(pair))
            found.findings.append(_alike(pair, shift, (prints[pair[0]].size, prints[pair[1]].size), part_of))


def _shift(details: Callable[[Path], Detail], pair: tuple[Path, Path]) -> Shift | None:
    return find_shift(details(pair[0]), details(pair[1]))


def _likely_copies(thumbs: NDArray[np.float32], part: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Pairs across parts whose small versions are nearly equal, perhaps turned or mirrored."""
    small = vectors(thumbs)
    flat = small.reshape(len(small), -1)
    found: dict[tuple[int, int], None] = {}
    for turned in turns(small):
        other = np.ascontiguousarray(turned).reshape(len(small), -1)
        for start in range(0, len(flat), _CHUNK):
            likeness = flat[start : start + _CHUNK] @ other.T
            likeness[part[start : start + _CHUNK, None] == part[None]] = 0
            for one, two in np.argwhere(likeness >= _LEAST_LIKENESS).tolist():
                found[min(start + one, two), max(start + one, two)] = None
    return list(found)


def _likely_overlaps(
    thumbs: NDArray[np.float32],
    part: NDArray[np.intp],
    sizes: Sequence[tuple[int, int]],
    found: Comparison,
    deadline: float,
    tell: Callable[[float], None],
) -> list[tuple[int, int]]:
    """Pairs across parts and of one size whose small versions fit at some shift, the best first."""
    groups = [np.flatnonzero([size == each for each in sizes]) for size in dict.fromkeys(sizes)]
    across = [[part[group[at + 1 :]] != part[group[at]] for at in range(len(group))] for group in groups]
    found.all_pairs = int(sum(mask.sum() for masks in across for mask in masks))
    if found.all_pairs > _MANY_PAIRS:
        half = thumbs.shape[1] // 2
        thumbs = thumbs.reshape(len(thumbs), half, 2, half, 2).mean(axis=(2, 4))
    side = thumbs.shape[1]
    best = np.full((len(thumbs), _CANDIDATES), _LEAST_PEAK, np.float32)
    partner = np.full((len(thumbs), _CANDIDATES), -1, np.intp)
    for group, masks in zip(groups, across, strict=True):
        spectrum = spectra(thumbs[group])
        for at, mask in enumerate(masks):
            tell(0.5 * found.pairs / max(1, found.all_pairs))
            others = np.flatnonzero(mask) + at + 1
            for start in range(0, len(others), _CHUNK):
                if time.monotonic() > deadline:
                    return _ranked(best, partner)
                some = others[start : start + _CHUNK]
                fit = peaks(spectrum[some], spectrum[at], side)
                _keep(best, partner, group[some], np.full(len(some), group[at]), fit)
                top = np.argsort(-fit)[:_CANDIDATES]
                for value, other in zip(fit[top], group[some[top]], strict=True):
                    _keep(best, partner, group[at : at + 1], np.array([other]), np.array([value], np.float32))
                found.pairs += len(some)
    return _ranked(best, partner)


def _keep(
    best: NDArray[np.float32],
    partner: NDArray[np.intp],
    at: NDArray[np.intp],
    other: NDArray[np.intp],
    fit: NDArray[np.float32],
) -> None:
    """Remember `other` among the best partners of each image `at`, in place."""
    worst = best[at].argmin(axis=1)
    better = fit > best[at, worst]
    best[at[better], worst[better]] = fit[better]
    partner[at[better], worst[better]] = other[better]


def _ranked(best: NDArray[np.float32], partner: NDArray[np.intp]) -> list[tuple[int, int]]:
    pairs: dict[tuple[int, int], float] = {}
    for one, place in np.argwhere(partner >= 0).tolist():
        other = int(partner[one, place])
        pairs[min(one, other), max(one, other)] = float(best[one, place])
    return sorted(pairs, key=lambda pair: -pairs[pair])


def _alike(
    pair: tuple[Path, Path], shift: Shift, sizes: tuple[tuple[int, int], tuple[int, int]], part_of: Mapping[Path, str]
) -> Finding:
    one, other = pair
    if shift.turned:
        how = "shows the same, turned or mirrored, as"
    elif shift.is_copy:
        how = "shows the same as"
    elif shift.area > 0.98:
        how = "shows nearly the same field as"
    else:
        how = f"shows {shift.area:.0%} of the field of"
    message = f"{how} {other.name} (in {part_of[one]} and in {part_of[other]})"
    check = "identical-across-parts" if shift.is_copy else "overlap-across-parts"
    boxes = (
        ((), ()) if shift.turned else tuple((_common(shift, size, sign),) for size, sign in zip(sizes, (1, -1), strict=True))
    )
    return Finding(check, one, message, image=one, boxes=boxes[0], other_image=other, other_boxes=boxes[1])


def _common(shift: Shift, size: tuple[int, int], sign: int) -> Corners:
    """What both show, in the pixels of the first (sign 1) or the second image (-1)."""
    x, y = sign * shift.x * size[0], sign * shift.y * size[1]
    return max(x, 0.0), max(y, 0.0), min(size[0] + x, size[0]), min(size[1] + y, size[1])
