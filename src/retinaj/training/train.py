"""Training a model: from annotated images to a model folder."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from retinaj.annotations import Reading
from retinaj.errors import RetinaJError
from retinaj.files import remove_unfinished, require_absent
from retinaj.model_folder import TRAINING_FOLDER, ModelRecord
from retinaj.training.console import tell, tell_notes
from retinaj.training.following import follow
from retinaj.training.initial_network import initial_network
from retinaj.training.leakage_warning import leakage_lines
from retinaj.training.plan import plan_model
from retinaj.training.precision import best_precision, has_gpu
from retinaj.training.presets import preset_line, with_preset
from retinaj.training.replicas import Replicas, find_replicas, join_machines
from retinaj.training.run_folder import Run, add_to_log, has_sample, load_run, require_same_images, save_run, save_sample
from retinaj.training.sets import load_sets
from retinaj.training.settings import TrainingSettings, difference_in_words
from retinaj.training.start import StartingPoint, require_same_start
from retinaj.training.state import STATE_FILE
from retinaj.training.trainer import AfterEpoch, Trainer


def train(
    images: Path,
    annotations: Path,
    output: Path,
    *,
    names: Path | None = None,
    validation: Path | None = None,
    settings: TrainingSettings | None = None,
    reading: Reading | None = None,
    start: StartingPoint | None = None,
    resume: bool = False,
    devices: int | None = None,
    console: Console | None = None,
    after_epoch: AfterEpoch | None = None,
) -> ModelRecord:
    """Train a RetinaNet on annotated images.

    Args:
        images: folder of images.
        annotations: a file or folder of any format in `retinaj.annotations.FORMATS`.
        output: the model folder to make; it must not exist, unless `resume`.
        names: a text file with the names of the images to use, one a line; default: all.
        validation: a text file with the names of the validation images, or annotations of their own; default: the
            share `settings.validation` of the training images, drawn with the seed.
        settings: all options, where those that were not given to `TrainingSettings(...)` are its preset's to decide; on
            `resume`, the stored ones are used, and other ones are refused.
        reading: how to read the annotations, where they leave it open.
        start: a trained model to start from, instead of random or ImageNet weights. Its network with its anchors, and its
            normalisation, are taken over; classes may differ. On `resume` it may be left out.
        resume: continue the run that was interrupted in `output`, exactly as if it had not been.
        devices: GPUs to train on, of each machine; default: all. Several machines train together where the environment
            variable TF_CONFIG names them: each is to be given the same images and annotations; the settings and `output` of
            the first hold, and only it writes.
        console: where progress is shown; default: standard error.
        after_epoch: called with the row of each epoch, after it was validated and saved, and with the number of epochs that
            there will be (on the first machine). What it raises ends the run, which can be resumed after that epoch.

    Returns:
        The record of the best model, which lies in `output` (of the first machine).

    Raises:
        RetinaJError: if images or annotations cannot be used, the output exists, the run cannot be resumed, the loss
            exploded or ceased to be a number, or another machine of the run ended.
        KeyboardInterrupt: on Ctrl-C, after a usable model was left in `output`.
    """
    output = Path(output)
    console = console or Console(stderr=True)
    machines = join_machines(lambda line: tell(console, line), devices)
    with (machines or Replicas()).explained():
        if machines is not None and not machines.leads:
            return follow(images, annotations, machines, names=names, validation=validation, reading=reading, console=console)
        said: list[str] = []
        run = load_run(output) if resume else None
        has_state = (output / TRAINING_FOLDER / STATE_FILE).is_file()
        if run is not None:
            settings = _stored_settings(run, settings)
            require_same_start(run.record, start, has_state=has_state, folder=output)
        else:
            require_absent(output)
            settings = settings or TrainingSettings(**(start.settings() if start else {}))
            asked = settings
            settings, decided = with_preset(asked, gpu=has_gpu(), fixed=start.settings() if start else ())
            said.append(preset_line(asked, settings, decided))
        replicas = machines or find_replicas(devices, settings.batch_size, lambda line: tell(console, line))
        replicas.shares(settings.batch_size)
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
        tell_notes(console, training_set, validation_set)
        if run is not None:
            require_same_images(run, training_set, validation_set, output)
            for folder in (output, output / TRAINING_FOLDER):
                remove_unfinished(folder)
            replicas.told(run.model_dump_json().encode())
            network = initial_network(run.record, start, replicas, resuming=has_state)
        else:

            def say(line: str) -> None:
                said.append(line)
                tell(console, line)

            tell(console, said[0])
            for line in leakage_lines(*([each.image_path for each in part.samples] for part in (training_set, validation_set))):
                say(line)
            settings = settings.model_copy(update={"precision": settings.precision or best_precision()})
            record = plan_model(output.name, training_set, validation_set, settings, say, start)
            run = Run.of(record, training_set, validation_set)
            replicas.told(run.model_dump_json().encode())
            # Before anything is written: fetching weights can fail.
            network = initial_network(record, start, replicas, resuming=False)
            save_run(output, run)
            add_to_log(output, said)
        if not has_sample(output):  # nor has a run that was killed between the two
            sample = save_sample(output, validation_set.samples)
            tell(
                console,
                f"Keeping a copy of {sample.image_path.name} in the model, for its test and cover when it is packaged.",
            )
        return Trainer(output, run, network, training_set, validation_set, console, replicas, after_epoch).run()


def _stored_settings(run: Run, given: TrainingSettings | None) -> TrainingSettings:
    stored = run.record.training.settings
    if given is None or given == stored:
        return stored
    if given.preset == "auto":
        given = given.model_copy(update={"preset": stored.preset})
    if given.preset != "auto":  # as it is stored by a RetinaJ that knew no presets
        given, _ = with_preset(given, gpu=False)
    # How many epochs fit, and which precision is best, was decided when the run began.
    decided = {name: getattr(given, name) or getattr(stored, name) for name in ("epochs", "precision")}
    given = given.model_copy(update=decided)
    if given == stored:
        return stored
    raise RetinaJError(
        f"The run began with {difference_in_words(stored, given)}. Resume without that option, or train into a new folder."
    )
