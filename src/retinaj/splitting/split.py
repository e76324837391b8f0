"""A data set divided into training, validation and test images: what was asked, what came out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retinaj.dataset import Dataset, Sample
from retinaj.errors import RetinaJError
from retinaj.splitting.grouping import Grouping, group_images
from retinaj.splitting.stratification import Unit, stratify

# A part with less than half or more than twice the images that were asked for is not what was asked for.
_TOLERANCE = 2.0
_FEW_OBJECTS = 20  # whose shares are a matter of single images


@dataclass(frozen=True)
class Part:
    """One part of a split.

    Attributes:
        name: "train", "validation" or "test".
        share: of the images, as asked for.
        samples: its images, in the order of the data set.
        names: what lists call these images, each once.
        groups: its groups, sorted; empty without grouping.
    """

    name: str
    share: float
    samples: tuple[Sample, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...] = ()

    @property
    def empty(self) -> int:
        """How many of its images have no objects."""
        return sum(not len(sample.boxes) for sample in self.samples)


@dataclass(frozen=True)
class Split:
    """A division of a data set.

    Attributes:
        class_names: of the data set.
        seed: that it was made with.
        parts: training, validation and test images, without those that were not asked for.
        grouping: how images were kept together, or None.
        group_of: the group of each image by its name; empty without grouping.
        notes: what the user should know, one sentence each.
    """

    class_names: tuple[str, ...]
    seed: int
    parts: tuple[Part, ...]
    grouping: Grouping | None
    group_of: Mapping[str, str]
    notes: tuple[str, ...]

    def counts(self, part: Part) -> dict[str, int]:
        """How many objects of each class a part has."""
        return Dataset(self.class_names, part.samples).counts()


def split_dataset(
    dataset: Dataset, images: Path, *, validation: float, test: float, seed: int, grouping: Grouping | None = None
) -> Split:
    """Divide a data set by chance, so that each part has its share of the images and of each class's objects.

    The same images, boxes, options and seed give the same parts on every machine, whatever the order of the samples.

    Args:
        dataset: what to divide.
        images: the folder of its images.
        validation: share of the images for validation, from 0 to below 1.
        test: the same for the test; with 0 there is no such part. The rest is for training.
        seed: any whole number.
        grouping: which images must stay together; None: each is on its own.

    Raises:
        RetinaJError: if the shares are out of range, there are too few images or groups for as many parts, the grouping
            cannot be used, or groups are so large that a part would be far from its share.
    """
    shares = _shares(validation, test)
    samples = dataset.samples
    names = _listed(samples)
    groups = names if grouping is None else group_images(samples, images, grouping)
    members: dict[str, list[int]] = defaultdict(list)
    for at, group in enumerate(groups):
        members[group].append(at)
    if len(members) < len(shares):
        what = "annotated images" if grouping is None else f"groups of images ({', '.join(sorted(members))})"
        raise RetinaJError(f"There are {len(members)} {what}, but {len(shares)} parts: each needs one at least.")
    quotas = _quotas(len(samples), list(shares.values()))
    keys = sorted(members)
    units = [_unit(key, [samples[at] for at in members[key]], len(dataset.class_names)) for key in keys]
    dealt = dict(zip(keys, stratify(units, quotas, seed), strict=True))
    parts = tuple(
        Part(
            name,
            share,
            tuple(sample for sample, group in zip(samples, groups, strict=True) if dealt[group] == index),
            tuple(dict.fromkeys(name for name, group in zip(names, groups, strict=True) if dealt[group] == index)),
            () if grouping is None else tuple(key for key in keys if dealt[key] == index),
        )
        for index, (name, share) in enumerate(shares.items())
    )
    _require_shares(parts, quotas, max(units, key=lambda unit: unit.images))
    named = {} if grouping is None else dict(zip(names, groups, strict=True))
    split = Split(dataset.class_names, seed, parts, grouping, named, ())
    return replace(split, notes=(*_about_classes(split), *_about_groups(split)))


def _listed(samples: Sequence[Sample]) -> list[str]:
    """The name that a list has for the image of each sample: planes of one file have one name, and so stay together."""
    return [sample.name if sample.plane is None else sample.image_path.name for sample in samples]


def _shares(validation: float, test: float) -> dict[str, float]:
    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1:
            raise RetinaJError(f"--{name} is {share:g}; expected a share of the images such as 0.15, from 0 to below 1.")
    if validation + test == 0:
        raise RetinaJError("--validation and --test are both 0, so that there is nothing to divide.")
    if validation + test >= 1:
        raise RetinaJError(
            f"--validation {validation:g} and --test {test:g} together leave no image for training; expected less than 1."
        )
    shares = {"train": 1 - validation - test, "validation": validation, "test": test}
    return {name: share for name, share in shares.items() if share > 0}


def _quotas(images: int, shares: Sequence[float]) -> list[int]:
    """How many images each part should have: rounded, at least one, and the rest for the first, training.

    >>> _quotas(10, [0.7, 0.15, 0.15]), _quotas(3, [0.9, 0.05, 0.05])
    ([6, 2, 2], [1, 1, 1])
    """
    quotas = [max(1, round(share * images)) for share in shares]
    while sum(quotas[1:]) > images - 1:
        largest = max(range(1, len(quotas)), key=lambda at: quotas[at])
        quotas[largest] -= 1
    return [images - sum(quotas[1:]), *quotas[1:]]


def _unit(key: str, samples: Sequence[Sample], classes: int) -> Unit:
    """Images without objects are shared out like one more class."""
    found = Counter(int(label) for sample in samples for label in sample.boxes.label)
    empty = sum(not len(sample.boxes) for sample in samples)
    return Unit(key, len(samples), (*(found[label] for label in range(classes)), empty))


def _require_shares(parts: Sequence[Part], quotas: Sequence[int], largest: Unit) -> None:
    for part, quota in zip(parts, quotas, strict=True):
        count = len(part.samples)
        if not count or not quota / _TOLERANCE <= count <= quota * _TOLERANCE:
            images = sum(quotas)
            possible = ", ".join(f"{each.name} {len(each.samples)}" for each in parts)
            raise RetinaJError(
                f"The groups are too large for these parts: {part.name} would get {count} of the {images} images where "
                f"{quota} were asked for. The largest group, {largest.key!r}, has {largest.images}. The nearest that was "
                f"found: {possible}. Ask for other shares, leave out --test, or group by something smaller."
            )


def _about_classes(split: Split) -> list[str]:
    notes: list[str] = []
    for label, name in enumerate(split.class_names):
        having = [sum(bool((sample.boxes.label == label).any()) for sample in part.samples) for part in split.parts]
        without = [part.name for part, count in zip(split.parts, having, strict=True) if not count]
        if without and sum(having):
            images = sum(having)
            have = f"{images} images of the data set have" if images > 1 else "one image of the data set has"
            notes.append(f"No object of {name!r} is in {' and '.join(without)}: {have} any.")
    return notes


def _about_groups(split: Split) -> list[str]:
    """What grouping cost, as far as it is much."""
    if split.grouping is None:
        return []
    parts = split.parts
    images = sum(len(part.samples) for part in parts)
    if sum(len(part.groups) for part in parts) == images:
        return [f"Each of the {images} images is a group of its own, so that --group-by keeps none together."]
    counts = {part.name: split.counts(part) for part in parts}
    notes: list[str] = []
    for name in split.class_names:
        total = sum(each[name] for each in counts.values())
        for part in parts:
            share = counts[part.name][name] / max(total, 1)
            if total >= _FEW_OBJECTS and share and not part.share / _TOLERANCE <= share <= part.share * _TOLERANCE:
                notes.append(
                    f"{part.name} gets {share:.0%} of the objects of {name!r} rather than {part.share:.0%}, because the groups "
                    "differ so much. Another --seed may do better."
                )
    return notes
