"""The verb `recent`: models that were used lately, for a dialog to offer."""

from __future__ import annotations

from retinaj_bridge.recent_models import recent_models
from retinaj_bridge.server import Answer, Call, Verb
from retinaj_bridge.wire import Fields


def recent_verb() -> Verb:
    """`recent`: -> models, their paths, the last one first; names, what each is called."""

    def answer(fields: Fields, call: Call) -> Answer:
        found = recent_models()
        return {"models": [str(model.path) for model in found], "names": [model.name for model in found]}

    return answer
