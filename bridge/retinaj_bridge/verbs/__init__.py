"""What the worker can be asked for: a file per verb or family of verbs. None of them runs text that it is sent."""

from __future__ import annotations

from collections.abc import Mapping

from retinaj_bridge.models import Models
from retinaj_bridge.server import Verb
from retinaj_bridge.verbs.detect import detect_verb, open_verb
from retinaj_bridge.verbs.recent import recent_verb


def all_verbs(models: Models) -> Mapping[str, Verb]:
    """Every verb by its name."""
    return {"open": open_verb(models), "detect": detect_verb(models), "recent": recent_verb()}
