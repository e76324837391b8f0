"""Which images train and which validate. Imports no TensorFlow."""

from __future__ import annotations

from pathlib import Path

from retinaj.annotations import Reading
from retinaj.dataset import Dataset, load_dataset
from retinaj.errors import RetinaJError
from retinaj.images.plane_choice import PlaneChoice


def load_sets(
    images: Path,
    annotations: Path,
    *,
    names: Path | None,
    validation: Path | None,
    share: float,
    seed: int,
    reading: Reading | None = None,
    planes: PlaneChoice | None = None,
) -> tuple[Dataset, Dataset]:
    """Read annotated images and divide them into (training, validation).

    Args:
        images, annotations, names, reading, planes: as for `retinaj.dataset.load_dataset`.
        validation: a text file (.txt) with the names of the validation images, or annotations of their own; None draws them.
        share: of the images that is drawn for validation when there is no such file.
        seed: of the draw.

    Raises:
        RetinaJError: as `load_dataset`, or if an image is in both.
    """
    dataset = load_dataset(images, annotations, names=names, reading=reading, planes=planes)
    if validation is None:
        return dataset.split(share, seed)
    if validation.suffix.lower() != ".txt":
        chosen = load_dataset(images, validation, class_names=dataset.class_names, reading=reading, planes=planes)
    else:
        chosen = load_dataset(
            images, annotations, names=validation, class_names=dataset.class_names, reading=reading, planes=planes
        )
        if names is None:
            reserved = {sample.name for sample in chosen.samples}
            return dataset.subset([sample.name for sample in dataset.samples if sample.name not in reserved]), chosen
    shared = sorted({sample.name for sample in chosen.samples} & {sample.name for sample in dataset.samples})
    if shared:
        raise RetinaJError(
            f"{len(shared)} images are in both the training and the validation images, for example {shared[0]!r}: validation "
            "on training images says nothing. Take them out of one of the two."
        )
    return dataset, chosen
