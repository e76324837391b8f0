"""The dialog of "RetinaJ Detect...": the same options as in a macro, and the macro line for the recorder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jpype

from retinaj.errors import RetinaJError
from retinaj.prediction.detector import DEFAULT_THRESHOLD
from retinaj_bridge.jvm import java_class
from retinaj_bridge.options import DetectOptions, make_options, recorded
from retinaj_bridge.pixels import count_planes

_DEFAULT_OVERLAP = 0.5  # of RetinaJ's models; what one was made with is known only after opening it

# Where ImageJ's preferences keep what was typed last.
_PREFERENCES = {"model": "retinaj.model", "threshold": "retinaj.threshold", "overlap": "retinaj.overlap"}


def ask_options(title: str) -> DetectOptions | None:
    """Ask for the options until they are right, remember them, and let ImageJ's recorder write them if it runs.

    Args:
        title: of the dialog, and the name of the command for the recorder.

    Returns:
        The options, or None if the user canceled.
    """
    preferences = java_class("ij.Prefs")
    defaults = {"model": "", "threshold": f"{DEFAULT_THRESHOLD:.2f}", "overlap": f"{_DEFAULT_OVERLAP:.2f}"}
    typed = {name: str(preferences.get(key, defaults[name])) for name, key in _PREFERENCES.items()}
    typed |= {"channel": "", "replace": ""}
    while True:
        answer = _show(title, typed)
        if answer is None:
            return None
        typed = answer
        try:
            options = make_options(
                model=typed["model"],
                threshold=typed["threshold"],
                overlap=typed["overlap"],
                channel=typed["channel"],
                replace=bool(typed["replace"]),
            )
        except RetinaJError as error:
            java_class("ij.IJ").showMessage(title, str(error))
            continue
        for name, key in _PREFERENCES.items():
            preferences.set(key, typed[name])
        _record(title, options)
        return options


def _show(title: str, typed: dict[str, str]) -> dict[str, str] | None:
    """What the user typed, as texts; None if canceled."""
    image = java_class("ij.WindowManager").getCurrentImage()
    channels = count_planes(image)[0] if image is not None else 1
    dialog = java_class("ij.gui.GenericDialog")(title)
    dialog.addFileField("Model", typed["model"], 40)
    _let_browse_folders(dialog)
    # Text fields, not numeric ones, so that a wrong number is quoted and explained in the same words as in a macro.
    dialog.addStringField("Threshold", typed["threshold"], 6)
    dialog.addStringField("Overlap", typed["overlap"], 6)
    if channels > 1:
        choices = ["all", *(str(channel) for channel in range(1, channels + 1))]
        dialog.addChoice("Channel", choices, typed["channel"] or "all")
    dialog.addCheckbox("Replace ROIs and results", bool(typed["replace"]))
    dialog.showDialog()
    if bool(dialog.wasCanceled()):
        return None
    model, threshold, overlap = (str(field.getText()) for field in dialog.getStringFields())
    chosen = str(dialog.getChoices().get(0).getSelectedItem()) if channels > 1 else "all"
    return {
        "model": model,
        "threshold": threshold,
        "overlap": overlap,
        "channel": "" if chosen == "all" else chosen,
        "replace": "yes" if bool(dialog.getCheckboxes().get(0).getState()) else "",
    }


def _record(command: str, options: DetectOptions) -> None:
    """Write the macro line. ImageJ's own way is closed: it sets the recorder up only after its listeners were asked."""
    if not bool(java_class("ij.IJ").recording()):
        return
    recorder = java_class("ij.plugin.frame.Recorder")
    recorder.setCommand(command)
    for name, value in recorded(options):
        if value is None:
            recorder.recordOption(name)
        else:
            # The recorder puts values with spaces into brackets itself, and the line is a string of the macro language.
            bare = value[1:-1] if value.startswith("[") and " " in value else value
            recorder.recordOption(name, bare.replace("\\", "\\\\").replace('"', '\\"'))
    recorder.saveCommand()


def _let_browse_folders(dialog: Any) -> None:
    """Let the button of the dialog's last file field offer folders and files together, which ImageJ's own does not."""
    panel = dialog.getComponent(dialog.getComponentCount() - 1)
    button = panel.getComponent(1)
    for listener in button.getActionListeners():
        button.removeActionListener(listener)
    button.addActionListener(_Browse(dialog))


@jpype.JImplements("java.awt.event.ActionListener", deferred=True)
class _Browse:
    """Lets the user choose a model: a folder or a package."""

    def __init__(self, dialog: Any) -> None:
        self._dialog = dialog

    @jpype.JOverride
    def actionPerformed(self, event: Any) -> None:  # noqa: N802  (Java's name)
        field = self._dialog.getStringFields().get(0)
        chooser_class = java_class("javax.swing.JFileChooser")
        known = Path(str(field.getText())).expanduser()
        chooser = chooser_class(str(known.parent))
        chooser.setDialogTitle("A model folder or a package.zip")
        chooser.setFileSelectionMode(chooser_class.FILES_AND_DIRECTORIES)
        if known.name and known.exists():
            chooser.setSelectedFile(java_class("java.io.File")(str(known)))
        if int(chooser.showOpenDialog(self._dialog)) == int(chooser_class.APPROVE_OPTION):
            field.setText(chooser.getSelectedFile().getPath())
