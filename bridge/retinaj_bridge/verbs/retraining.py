"""The verbs `retrain`, `trainings` and `stop training`: training that goes on in the background from a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from retinaj.annotations import read_annotations
from retinaj.annotations.imagej_names import DEFAULT_CLASS
from retinaj.annotations.writing import common_classes
from retinaj.errors import RetinaJError
from retinaj_bridge.growing_dataset import GrowingDataset
from retinaj_bridge.server import Answer, Call, Verb
from retinaj_bridge.trainings import Training, Trainings
from retinaj_bridge.verbs.checking import number_of, path_of, text_of
from retinaj_bridge.wire import Fields

DEFAULT_MINUTES = 20.0

# Files that stand for the folder they lie in.
_DESCRIPTIONS = ("model.json", "rdf.yaml", "bioimageio.yaml")


def retrain_verb(trainings: Trainings) -> Verb:
    """`retrain`: begin to train, and answer at once.

    Request: model, to start from; dataset, a folder that `annotate` made; output, the model folder to make, empty for the next
    number beside the model; minutes, empty for 20. Answer: as `trainings`, of this one; note, sentences on how many images
    train and validate, and on classes that come or go.
    """

    def answer(fields: Fields, call: Call) -> Answer:
        model = path_of(fields, "model", "The model")
        if model.name in _DESCRIPTIONS:
            model = model.parent
        dataset = GrowingDataset(path_of(fields, "dataset", "The folder of the data set"))
        output = path_of(fields, "output", "The new model") if text_of(fields, "output") else None
        minutes = number_of(fields, "minutes", DEFAULT_MINUTES)
        call.report(-1, f"looking at {model.name}")
        classes = _trainable_classes(model)
        about = _about_classes(classes, dataset) if dataset.annotations.exists() else ""
        training, note = trainings.start(model, dataset, output, DEFAULT_MINUTES if minutes is None else minutes)
        return {**_described([training]), "note": note + about}

    return answer


def trainings_verb(trainings: Trainings) -> Verb:
    """`trainings`: -> the last twenty trainings, the newest first, as lists.

    Answer: ids; models, to start from; outputs, to make; states: running, done, stopped or failed; fractions: 0 to 1, negative
    as long as that cannot be told; words: how far each is, or how it ended; logs: paths.
    """

    def answer(fields: Fields, call: Call) -> Answer:
        return _described(trainings.all())

    return answer


def stop_training_verb(trainings: Trainings) -> Verb:
    """`stop training`: id -> nothing. It leaves the best model so far, if there is one."""

    def answer(fields: Fields, call: Call) -> Answer:
        trainings.stop(text_of(fields, "id"))
        return {}

    return answer


def _described(found: list[Training]) -> dict[str, list[str]]:
    return {
        "ids": [training.id for training in found],
        "models": [str(training.job.model) for training in found],
        "outputs": [str(training.job.output) for training in found],
        "states": [training.state for training in found],
        "fractions": [repr(training.fraction) for training in found],
        "words": [training.words for training in found],
        "logs": [str(training.log) for training in found],
    }


def _trainable_classes(model: Path) -> tuple[str, ...]:
    """The classes of a model that can be trained on: others are refused at once, not by the training after a while.

    Raises:
        RetinaJError: if it is not a model, or none that was trained by RetinaJ.
    """
    from retinaj_zoo.info import describe_model

    info = describe_model(model)
    if info.training is None:
        raise RetinaJError(
            f"The model {model} is a {info.kind}, which RetinaJ can use but not train. Train one of RetinaJ's own on "
            "the data set: `retinaj train`."
        )
    if info.kind == "package" and "keras_v3" not in {entry.format for entry in info.weights}:
        raise RetinaJError(
            f"The package {model} has no keras_v3 weights, which training starts from. Start from the model folder that it was "
            "made of."
        )
    return info.class_names


def _about_classes(known: Sequence[str], dataset: GrowingDataset) -> str:
    """Which classes the new model gains and loses; "" if none.

    Raises:
        RetinaJError: if the class of ROIs without a name is new, which is nearly always an oversight.
    """
    found = common_classes(read_annotations(dataset.annotations))
    new, lost = (sorted(set(a) - set(b)) for a, b in ((found, known), (known, found)))
    if DEFAULT_CLASS in new:
        raise RetinaJError(
            f"Some boxes of the data set are of the class {DEFAULT_CLASS!r}, which the model does not know: so ROIs without a "
            f"name of their own are called. Rename them in the ROI Manager, to one of {', '.join(known)}, and run the command "
            "again."
        )
    said = f" New classes: {', '.join(new)}." if new else ""
    if lost:
        said += f" The new model will not know the classes that no image of the data set has: {', '.join(lost)}."
    return said


_trainings = Trainings()
retrain, trainings, stop_training = retrain_verb(_trainings), trainings_verb(_trainings), stop_training_verb(_trainings)
