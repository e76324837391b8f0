"""Training on several machines, as those see it that follow the first."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from retinaj.annotations import Reading
from retinaj.counting import counted
from retinaj.dataset import Dataset
from retinaj.errors import RetinaJError
from retinaj.model_folder import ModelRecord
from retinaj.training.console import tell
from retinaj.training.initial_network import initial_network
from retinaj.training.replicas import Replicas
from retinaj.training.run_folder import Run
from retinaj.training.sets import load_sets
from retinaj.training.trainer import Trainer


def follow(
    images: Path,
    annotations: Path,
    replicas: Replicas,
    *,
    names: Path | None,
    validation: Path | None,
    reading: Reading | None,
    console: Console,
) -> ModelRecord:
    """Train by the plan of the first machine, on this machine's copy of the images; nothing is written here.

    Args:
        images, annotations, names, validation, reading: as for `retinaj.training.train.train`.
        replicas: the devices of all machines.
        console: where it is said how this machine takes part.

    Returns:
        The record of the model as the first machine has it.

    Raises:
        RetinaJError: if the images or annotations are not those of the first machine, or cannot be read.
    """
    run = Run.model_validate_json(replicas.told(b""))
    settings = run.record.training.settings
    training_set, validation_set = load_sets(
        images,
        annotations,
        names=names,
        validation=validation,
        share=settings.validation,
        seed=settings.seed,
        reading=reading,
        planes=settings.planes,
    )
    _require_same_images(run, training_set, validation_set)
    tell(
        console,
        f"Training by the plan of the first machine, on {counted(len(training_set.samples), 'image')}; it shows how far the "
        "run has come, and keeps the model.",
    )
    network = initial_network(run.record, None, replicas, resuming=True)  # the first machine's weights come later
    quiet = Console(quiet=True)
    record = Trainer(Path(), run, network, training_set, validation_set, quiet, replicas).run()
    tell(console, "Done. The model is on the first machine.")
    return record


def _require_same_images(run: Run, training: Dataset, validation: Dataset) -> None:
    given = Run.of(run.record, training, validation)
    for kind, first, here in (
        ("training", run.training, given.training),
        ("validation", run.validation, given.validation),
    ):
        if first != here:
            changed = sorted(set(first) ^ set(here))
            example = f", for example {changed[0]!r}" if changed else " in their order"
            raise RetinaJError(
                f"The {kind} images of this machine are not those of the first: {len(first)} there, {len(here)} here{example}. "
                "Copy the same images, annotations and lists to all machines."
            )
    if given.boxes_sha256 != run.boxes_sha256:
        raise RetinaJError(
            "The annotations of this machine are not those of the first. Copy the same images and annotations to all machines."
        )
