"""RetinaJ in ImageJ: models find boxes on the active image and put them into the ROI Manager.

    run("RetinaJ Detect...", "model=[/path/of/the/model] threshold=0.40 overlap=0.50");

In a macro run by `run_macro` (on the command line `retinaj imagej MACRO.ijm`), in the window of `open_window` (`retinaj
imagej`), or, after `register`, in an ImageJ that a notebook started. TensorFlow is imported when a model folder is opened,
not before; packages run without it.
"""

from retinaj_bridge.command import register
from retinaj_bridge.macros import MacroOutcome, run_macro
from retinaj_bridge.pixels import to_xarray
from retinaj_bridge.startup import RunningImageJ, start
from retinaj_bridge.window import open_window

__all__ = ["MacroOutcome", "RunningImageJ", "open_window", "register", "run_macro", "start", "to_xarray"]
