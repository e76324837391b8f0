"""Letters for a Java on a Linux without fonts, as in small containers: there, even invisible parts of ImageJ fail."""

from __future__ import annotations

import atexit
import ctypes
import importlib.util
import sys
import tempfile
from pathlib import Path

_FAMILIES = ("serif", "sansserif", "monospaced", "dialog", "dialoginput")
_STYLES = ("plain", "bold", "italic", "bolditalic")
# How a fontconfig.properties names a font; Java puts the size in for %d.
_FONT = "-dejavu-dejavu sans-medium-r-normal--*-%d-*-*-p-*-iso10646-1"


def font_options() -> list[str]:
    """The options that let a Java find letters: none where the system has some, else those that come with matplotlib."""
    if not sys.platform.startswith("linux") or system_has_fonts():
        return []
    return bundled_font_options()


def system_has_fonts() -> bool:
    """Whether fontconfig, through which Java looks for fonts on Linux, is installed and finds any."""
    try:
        fontconfig = ctypes.CDLL("libfontconfig.so.1")
        get_fonts = fontconfig.FcConfigGetFonts
    except (OSError, AttributeError):
        return False
    # The font set begins with its number of fonts; None is the current configuration, 0 the set of the system.
    get_fonts.restype = ctypes.POINTER(ctypes.c_int)
    get_fonts.argtypes = [ctypes.c_void_p, ctypes.c_int]
    found = get_fonts(None, 0) if fontconfig.FcInit() else None
    return bool(found) and found[0] > 0


def bundled_font_options() -> list[str]:
    """The option that lets Java write everything in the DejaVu Sans of matplotlib; none if that is not installed.

    It names a file that lives as long as this process: Java reads it when it first needs a letter.
    """
    matplotlib = importlib.util.find_spec("matplotlib")  # finds it without importing it
    if matplotlib is None or matplotlib.origin is None:
        return []
    font = Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    lines = ["version=1", "sequence.allfonts=default"]
    lines += [f"{family}.{style}.default={_FONT}" for family in _FAMILIES for style in _STYLES]
    lines += [f"filename.{_FONT.replace(' ', '_')}={font}"]
    with tempfile.NamedTemporaryFile("w", prefix="retinaj-", suffix=".properties", delete=False) as stream:
        stream.write("\n".join(lines) + "\n")
    atexit.register(Path(stream.name).unlink, missing_ok=True)
    return [f"-Dsun.awt.fontconfig={stream.name}"]
