"""Which Fiji is meant where none was named."""

from __future__ import annotations

from pathlib import Path

from retinaj.errors import RetinaJError
from retinaj_bridge.fiji.folder import FijiFolder, find_fijis, open_fiji, usual_places
from retinaj_bridge.fiji.manifest import FOLDER, MANIFEST_NAME


def choose_fiji(given: Path | None, *, command: str, installed: bool) -> FijiFolder:
    """The Fiji at `given`, or else the only one there is where they usually lie.

    Args:
        given: what the user named, if anything.
        command: what to type with the folder after it, for messages, such as "retinaj fiji install".
        installed: whether only those that RetinaJ is installed in count, where there are several.

    Raises:
        RetinaJError: if nothing was found, or several, which are listed; and as `open_fiji`.
    """
    if given is not None:
        return open_fiji(given)
    found = find_fijis()
    if not found:
        places = ", ".join(str(place) for place in usual_places() if place.is_dir())
        raise RetinaJError(
            f"No Fiji was found in {places}. Say where it is: `{command} FOLDER`. Fiji itself can be had from https://fiji.sc."
        )
    with_retinaj = [fiji for fiji in found if (fiji.plugins / FOLDER / MANIFEST_NAME).is_file()]
    candidates = with_retinaj if installed and with_retinaj else found
    if len(candidates) > 1:
        lines = "".join(f'\n  {command} "{fiji.path}"' for fiji in candidates)
        raise RetinaJError(f"There are {len(candidates)} Fijis on this computer. Choose one of these commands:{lines}")
    return candidates[0]
