"""The macros that come with RetinaJ, under the names by which Fiji shows them in Plugins > RetinaJ > Examples."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from retinaj.errors import RetinaJError

_FOLDER = "Examples"


def example_macros() -> dict[str, bytes]:
    """Path in the folder plugins/RetinaJ -> content, such as "Examples/Count_over_time.ijm".

    ImageJ makes a menu command of a macro whose name has an underscore, and shows spaces for underscores.

    Raises:
        RetinaJError: if RetinaJ was installed without its macros.
    """
    return {f"{_FOLDER}/{menu_name(path)}": path.read_bytes() for path in sorted(macros_folder().glob("*.ijm"))}


def menu_name(macro: Path) -> str:
    """What a macro is called in Fiji.

    >>> menu_name(Path("macros/count_over_time.ijm"))
    'Count_over_time.ijm'
    """
    return macro.name[0].upper() + macro.name[1:]


def macros_folder() -> Path:
    """The folder macros/ of the checkout, or where `pip install` puts it.

    Raises:
        RetinaJError: if it is in neither place.
    """
    checkout = Path(__file__).resolve().parents[3] / "macros"
    installed = Path(sysconfig.get_path("data")) / "share" / "retinaj" / "macros"
    for folder in (checkout, installed):
        if any(folder.glob("*.ijm")):
            return folder
    raise RetinaJError(f"RetinaJ's macros are neither in {checkout} nor in {installed}: install RetinaJ again.")
