"""What the worker can be asked for: a file per verb or family of verbs. None of them runs text that it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from retinaj_bridge.models import Models
from retinaj_bridge.server import Answer, Call, Verb
from retinaj_bridge.verbs.detect import detect_verb, open_verb
from retinaj_bridge.verbs.recent import recent_verb
from retinaj_bridge.wire import Fields


def all_verbs(models: Models) -> Mapping[str, Verb]:
    """Every verb by its name."""
    return {
        "open": open_verb(models),
        "detect": detect_verb(models),
        "recent": recent_verb(),
        "folder": _later("folder", "folder_verb", models),
        "check annotations": _later("annotations", "check_annotations"),
        "annotate": _later("annotations", "annotate"),
        "retrain": _later("retraining", "retrain"),
        "trainings": _later("retraining", "trainings"),
        "stop training": _later("retraining", "stop_training"),
        "info": _later("info", "info_verb", models),
    }


def _later(module: str, name: str, models: Models | None = None) -> Verb:
    """A verb whose module is imported when it is first asked for: who waits for a detection does not wait for the others'.

    Args:
        module: in this folder.
        name: of the verb there, or of what makes it.
        models: to make it with.
    """

    def answer(fields: Fields, call: Call) -> Answer:
        found = getattr(import_module(f"{__name__}.{module}"), name)
        verb = found if models is None else cast(Callable[[Models], Verb], found)(models)
        return verb(fields, call)

    return answer
