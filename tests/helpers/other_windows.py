"""Works the dialogs and windows of the commands beside Detect..., in a process of its own; the tests read what it notes.

    python other_windows.py FOLDER

FOLDER holds "image.tif", the folder "pictures", the fake model "grey model" and the model folder "tiny model". The notes go to
FOLDER/notes.json, pictures of the screen beside it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imagej_window import User, drive

# What stands for the training process: it tells, and waits until it is told to stop.
TRAINING = """
import json, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
print("epoch 1/4", flush=True)
words = "epoch 2 of 4, AP@.5 0.83 so far, about 7 min 30 s left"
(folder / "progress.json").write_text(json.dumps({"fraction": 0.3, "words": words}))
while not (folder / "stop").exists():
    time.sleep(0.05)
(folder / "result.json").write_text(json.dumps({"state": "stopped", "words": "Stopped. The best model so far is kept."}))
"""


def fill(dialog: Any, texts: Sequence[str]) -> None:
    for field, text in zip(dialog.getStringFields(), texts, strict=True):
        field.setText(text)


def session(user: User) -> dict[str, Any]:
    """What the user does, in this order; returns what there was to see."""
    notes: dict[str, Any] = {}
    folder, ij = user.folder, user.java("ij.IJ")
    user.choose("Plugins", "Macros", "Record...")
    user.window("Recorder").setLocation(600, 5)

    user.choose("Plugins", "RetinaJ", "RetinaJ Help")
    page = user.window("RetinaJ Help")
    user.picture("help")
    page.dispose()

    command = "RetinaJ Detect in folder..."
    user.choose("Plugins", "RetinaJ", command)
    dialog = user.window(command)
    fill(dialog, [str(folder / "grey model"), str(folder / "pictures"), str(folder / "out"), "abc", "0.45"])
    user.close(dialog, "OK")
    message = user.wait(
        "the message", lambda: next((w for w in user.windows() if "MessageDialog" in str(w.getClass().getName())), None)
    )
    notes["wrong number"] = user.labels(message)
    user.close(message, "OK")
    dialog = user.window(command)
    notes["typed texts are kept"] = str(dialog.getStringFields().get(3).getText())
    fill(dialog, [str(folder / "grey model"), str(folder / "pictures"), str(folder / "out"), "0.55", "0.45"])
    user.picture("folder dialog")
    user.close(dialog, "OK")
    sheet = user.java("ij.WindowManager")
    user.wait("the contact sheet", lambda: sheet.getImage("contact_sheet.png") is not None)
    sheet.getImage("contact_sheet.png").getWindow().setLocation(10, 300)
    time.sleep(0.5)
    user.picture("contact sheet")

    ij.open(str(folder / "image.tif"))
    image = user.java("ij.WindowManager").getCurrentImage()
    image.getWindow().setLocation(10, 300)
    roi = user.java("ij.gui.Roi")(3.0, 3.0, 20.0, 20.0)
    roi.setName("cell 0.91")
    user.java("ij.plugin.frame.RoiManager").getRoiManager().addRoi(roi)
    command = "RetinaJ Export annotations..."
    user.choose("Plugins", "RetinaJ", command)
    dialog = user.window(command)
    fill(dialog, [str(folder / "my data"), "name"])
    user.picture("export dialog")
    user.close(dialog, "OK")
    user.wait("the annotation", lambda: "was added to the data set" in str(ij.getLog()))

    command = "RetinaJ Model info..."
    user.choose("Plugins", "RetinaJ", command)
    dialog = user.window(command)
    fill(dialog, [str(folder / "tiny model")])
    user.close(dialog, "OK")
    page = user.window("RetinaJ: Tiny test model")
    time.sleep(1)
    user.picture("info")
    page.dispose()

    command = "RetinaJ Correct and retrain..."
    user.choose("Plugins", "RetinaJ", command)
    dialog = user.window(command)
    notes["remembered"] = [str(field.getText()) for field in dialog.getStringFields()]
    fields = dialog.getStringFields()
    fields.get(0).setText(str(folder / "grey model"))
    user.wait("the data set to follow", lambda: str(fields.get(1).getText()) == str(folder / "grey model-data"))
    fields.get(0).setText(str(folder / "tiny model"))
    user.wait("the data set to follow", lambda: str(fields.get(1).getText()) == str(folder / "tiny model-data"))
    fill(dialog, [str(folder / "tiny model"), str(folder / "my data"), "name", "5", ""])
    user.picture("retrain dialog")
    user.click(user.button(dialog, "Help"), lambda: len(user.windows()) and any("Help" in title for title in user.titles()))
    notes["help"] = [title for title in user.titles() if "Help" in title]
    time.sleep(0.5)
    user.picture("retrain help")
    for window in user.windows():
        if hasattr(window, "getTitle") and "Help" in str(window.getTitle()):
            window.dispose()
    user.close(dialog, "OK")
    window = user.window("RetinaJ: training tiny model-2")
    words = user.find(window.getContentPane(), "JTextArea")
    notes["training"] = str(user.wait("progress", lambda: str(words.getText()).startswith("epoch 2") and words.getText()))
    time.sleep(0.5)
    user.picture("training")
    button = user.button(window.getContentPane(), "Stop, and keep the best so far")
    user.click(button, lambda: not bool(button.isEnabled()))
    user.wait("the end", lambda: str(window.getTitle()) == "RetinaJ: tiny model-2 stopped")
    notes["stopped"] = str(words.getText())
    user.picture("stopped")
    notes["log"] = str(ij.getLog())
    notes["recorded"] = user.recorded()
    return notes


def main(folder: Path) -> None:
    import scyjava
    from fake_detector import open_fake

    import retinaj_bridge
    from retinaj_bridge.hosting import serve_in_process
    from retinaj_bridge.models import Models
    from retinaj_bridge.trainings import Trainings
    from retinaj_bridge.verbs import retraining

    trainings = Trainings(lambda job: [sys.executable, "-c", TRAINING, str(job)])
    retraining.retrain = retraining.retrain_verb(trainings)
    retraining.trainings = retraining.trainings_verb(trainings)
    scyjava.config.add_option(f"-Duser.home={folder}")  # where ImageJ keeps its preferences
    started = threading.Event()
    scyjava.when_jvm_starts(lambda: serve_in_process(Models(open_model=open_fake)))
    scyjava.when_jvm_starts(started.set)
    threading.Thread(target=drive, args=(folder, started, session, "RetinaJ Help"), daemon=True).start()
    retinaj_bridge.open_window()
    print("open_window returned")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
