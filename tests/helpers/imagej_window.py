"""Works ImageJ's window as a user would, by mouse and keyboard, in a process of its own; the tests read what it notes.

    python imagej_window.py FOLDER

FOLDER holds "image.tif", "stack.tif" (3 time frames of 2 slices), the folder "pictures" and the fake models "grey model" and
"other model". The notes go to FOLDER/notes.json, pictures of the screen beside it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jpype

PATIENCE = 120.0  # seconds; windows come up within one, save on a busy machine


class User:
    """Two hands and two eyes."""

    def __init__(self, folder: Path) -> None:
        from retinaj_bridge.jvm import java_class

        self.folder = folder
        self.java = java_class
        self.robot = java_class("java.awt.Robot")()
        self.robot.setAutoDelay(20)

    def wait(self, what: str, look: Callable[[], Any]) -> Any:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = look()
            if found:
                return found
            time.sleep(0.1)
        self.picture("waited in vain")
        raise AssertionError(f"waited in vain for {what}; there are {self.titles()}")

    def windows(self) -> list[Any]:
        return [window for window in self.java("java.awt.Window").getWindows() if bool(window.isShowing())]

    def titles(self) -> list[str]:
        return [str(window.getTitle()) for window in self.windows() if hasattr(window, "getTitle")]

    def window(self, title: str) -> Any:
        def look() -> Any:
            return next((w for w in self.windows() if hasattr(w, "getTitle") and str(w.getTitle()) == title), None)

        window = self.wait(f"the window {title!r}", look)
        time.sleep(0.3)  # to be drawn and to take keys
        return window

    def gone(self, window: Any) -> None:
        self.wait(f"{window} to close", lambda: not bool(window.isShowing()))

    def click(self, component: Any, done: Callable[[], Any]) -> None:
        """Click until it has an effect; every other time by the space bar.

        A window that has just come up may not take the first click, and without a window manager Java may err about where
        it is.
        """
        for attempt in range(10):
            if attempt % 2 == 0:
                place, size = component.getLocationOnScreen(), component.getSize()
                button = self.java("java.awt.event.InputEvent").BUTTON1_DOWN_MASK
                self.robot.mouseMove(place.x + size.width // 2, place.y + size.height // 2)
                self.robot.mousePress(button)
                self.robot.mouseRelease(button)
            else:
                component.requestFocusInWindow()
                time.sleep(0.3)
                self.press("SPACE")
            end = time.monotonic() + (2 if attempt < 4 else PATIENCE / 10)
            while time.monotonic() < end:
                if done():
                    return
                time.sleep(0.05)
        self.picture("clicked in vain")
        raise AssertionError(f"clicked {component} in vain; there are {self.titles()}")

    def close(self, window: Any, label: str) -> None:
        """Click the button with this label, which closes the window."""
        self.click(self.button(window, label), lambda: not bool(window.isShowing()))

    def press(self, *keys: str) -> None:
        codes = [getattr(self.java("java.awt.event.KeyEvent"), f"VK_{key}") for key in keys]
        for code in codes:
            self.robot.keyPress(code)
        for code in reversed(codes):
            self.robot.keyRelease(code)

    def type_into(self, field: Any, text: str) -> None:
        """Click into a text field and type a text instead of what is there.

        Again, if it came out wrong: ImageJ selects all of a field that gets the focus, which on a busy machine may be when
        the first letters were typed.
        """
        for attempt in range(4):
            self.click(field, lambda: bool(field.isFocusOwner()))
            time.sleep(0.3 * (attempt + 1))
            field.setText("")
            self.type(text)
            end = time.monotonic() + PATIENCE / 10
            while time.monotonic() < end:
                if str(field.getText()) == text:
                    return
                time.sleep(0.1)
        self.picture("typed in vain")
        raise AssertionError(f"typed {text!r}, and there is {field.getText()!r}")

    def type(self, text: str) -> None:
        key_event = self.java("java.awt.event.KeyEvent")
        for letter in text:
            code = key_event.getExtendedKeyCodeForChar(ord(letter))
            if letter.isupper():
                self.robot.keyPress(key_event.VK_SHIFT)
            self.robot.keyPress(code)
            self.robot.keyRelease(code)
            if letter.isupper():
                self.robot.keyRelease(key_event.VK_SHIFT)

    def labels(self, container: Any) -> str:
        """All texts in a window."""
        texts: list[str] = []
        for component in container.getComponents():
            if hasattr(component, "getComponents"):
                texts.append(self.labels(component))
            getters = [name for name in ("getText", "getLabel") if hasattr(component, name)]
            texts.extend(str(getattr(component, name)()) for name in getters)
            if str(component.getClass().getSimpleName()) == "MultiLineLabel":  # it keeps its lines to itself
                field = component.getClass().getDeclaredField("lines")
                field.setAccessible(True)
                texts.extend(str(line) for line in field.get(component))
        return "\n".join(texts)

    def button(self, container: Any, label: str) -> Any:
        for component in container.getComponents():
            if hasattr(component, "getLabel") and str(component.getLabel()).strip() == label:
                return component
            found = self.button(component, label) if hasattr(component, "getComponents") else None
            if found is not None:
                return found
        return None

    def find(self, container: Any, class_name: str) -> Any:
        """The first component of this class in a window."""
        for component in container.getComponents():
            if str(component.getClass().getSimpleName()) == class_name:
                return component
            found = self.find(component, class_name) if hasattr(component, "getComponents") else None
            if found is not None:
                return found
        return None

    def choose(self, *path: str) -> None:
        """Choose from the menu, such as Plugins > RetinaJ > RetinaJ Detect...: posts what the menu posts on a click."""
        item = self.menu_item(*path)
        event = self.java("java.awt.event.ActionEvent")(item, 1001, item.getActionCommand())
        self.java("java.awt.Toolkit").getDefaultToolkit().getSystemEventQueue().postEvent(event)

    def menu_item(self, *path: str) -> Any:
        bar = self.java("ij.Menus").getMenuBar()
        menus = [] if bar is None else [bar.getMenu(at) for at in range(bar.getMenuCount())]
        item = next((menu for menu in menus if str(menu.getLabel()) == path[0]), None)
        for label in path[1:]:
            items = [] if item is None else [item.getItem(at) for at in range(item.getItemCount())]
            item = next((each for each in items if str(each.getLabel()) == label), None)
        return item

    def run_macro(self, code: str) -> None:
        self.java("ij.macro.MacroRunner")(code)

    def picture(self, name: str) -> None:
        screen = self.java("java.awt.Toolkit").getDefaultToolkit().getScreenSize()
        shot = self.robot.createScreenCapture(self.java("java.awt.Rectangle")(screen))
        self.java("javax.imageio.ImageIO").write(shot, "png", self.java("java.io.File")(str(self.folder / f"{name}.png")))

    def entries(self) -> list[dict[str, Any]]:
        manager = self.java("ij.plugin.frame.RoiManager").getInstance()
        rois = [] if manager is None else manager.getRoisAsArray()
        bounds = [(roi, roi.getFloatBounds()) for roi in rois]
        return [
            {"name": str(roi.getName()), "box": [b.getX(), b.getY(), b.getX() + b.getWidth(), b.getY() + b.getHeight()]}
            for roi, b in bounds
        ]

    def recorded(self) -> str:
        recorder = self.java("ij.plugin.frame.Recorder").getInstance()
        return "" if recorder is None else str(recorder.getText())


def session(user: User) -> dict[str, Any]:
    """What the user does, in this order; returns what there was to see."""
    notes: dict[str, Any] = {}
    ij, model = user.java("ij.IJ"), user.folder / "grey model"

    user.choose("Plugins", "RetinaJ", "RetinaJ Detect...")
    message = user.window("RetinaJ Detect...")
    notes["without image"] = user.labels(message)
    user.close(message, "OK")

    ij.open(str(user.folder / "image.tif"))
    user.java("ij.WindowManager").getCurrentImage().getWindow().setLocation(10, 300)
    user.choose("Plugins", "Macros", "Record...")
    user.window("Recorder").setLocation(650, 5)

    # The dialog, by keyboard and mouse; a wrong number first.
    user.choose("Plugins", "RetinaJ", "RetinaJ Detect...")
    dialog = user.window("RetinaJ Detect...")
    user.type_into(dialog.getStringFields().get(0), str(model))
    user.type_into(dialog.getNumericFields().get(0), "abc")
    user.close(dialog, "OK")
    message = user.wait(
        "the message", lambda: next((w for w in user.windows() if "MessageDialog" in str(w.getClass().getName())), None)
    )
    notes["wrong number"] = user.labels(message)
    user.close(message, "OK")
    dialog = user.window("RetinaJ Detect...")
    notes["typed texts are kept"] = texts_of(dialog)
    user.type_into(dialog.getNumericFields().get(0), "0.55")
    user.type_into(dialog.getStringFields().get(1), "0.45")
    user.picture("dialog")
    user.press("ENTER")
    user.gone(dialog)
    user.wait("boxes", lambda: user.entries())
    user.wait("results", lambda: "Results" in user.titles())
    user.window("ROI Manager").setLocation(350, 300)
    user.window("Results").setLocation(650, 350)
    time.sleep(0.5)
    user.picture("boxes")
    notes["entries"] = user.entries()
    notes["results"] = int(user.java("ij.measure.ResultsTable").getResultsTable().size())
    notes["recorded"] = user.recorded()
    notes["shows all"] = user.java("ij.WindowManager").getCurrentImage().getCanvas().getShowAllList() is not None

    # The second time the dialog knows what was typed; Cancel changes nothing.
    user.choose("Plugins", "RetinaJ", "RetinaJ Detect...")
    dialog = user.window("RetinaJ Detect...")
    notes["remembered"] = texts_of(dialog)
    recent = user.wait("the models used lately", lambda: list_of(dialog.getChoices().get(0))[1:])
    notes["recent"] = recent
    notes |= preview(user, dialog)
    if os.environ.get("WINDOW_MANAGER"):
        notes["browsed"] = browse(user, dialog)
    user.close(dialog, "Cancel")
    time.sleep(0.5)
    notes["entries after cancel"] = len(user.entries())
    notes["recorded after cancel"] = user.recorded()

    # Macros: they stop with the reason, and go on when all is well.
    user.run_macro('run("RetinaJ Detect...", "model=[/no such/model] threshold=0.40"); print("GONE ON");')
    message = user.window("Macro Error")
    notes["macro error"] = user.labels(message)
    user.picture("macro error")
    user.close(message, "OK")
    user.wait("the end of the macro", lambda: not bool(ij.isMacro()))
    notes["log after error"] = str(ij.getLog())
    user.run_macro('run("RetinaJ Detect..."); print("GONE ON AFTER CANCEL");')
    dialog = user.window("RetinaJ Detect...")
    user.close(dialog, "Cancel")
    user.wait("the end of the macro", lambda: not bool(ij.isMacro()))
    user.run_macro(notes["recorded"].splitlines()[-1] + ' print("GOOD");')
    user.wait("the macro", lambda: "GOOD" in str(ij.getLog()))
    notes["log"] = str(ij.getLog())
    notes["entries after macro"] = len(user.entries())

    notes |= stack(user, model)
    notes["menus"] = registered(user)

    # The macro for folders, by its dialog.
    user.java("ij.plugin.frame.RoiManager").getInstance().reset()
    ij.run("Clear Results", "")
    user.java("java.lang.Thread").currentThread().setName("user")  # IJ.run has renamed it
    code = Path(os.environ["DETECT_FOLDER"]).read_text(encoding="utf-8")
    user.run_macro(code)
    dialog = user.window("RetinaJ: detect in a folder")
    texts = [str(model / "model.json"), str(user.folder / "pictures"), str(user.folder / "out"), "0.55", "0.45"]
    for field, text in zip(dialog.getStringFields(), texts, strict=True):
        field.setText(text)
    user.picture("folder dialog")
    user.close(dialog, "OK")
    user.wait("counts.csv", lambda: (user.folder / "out" / "counts.csv").exists())
    user.wait("the end of the macro", lambda: not bool(ij.isMacro()))
    user.wait("its report", lambda: "ROI sets and counts.csv" in str(ij.getLog()))
    return notes


def texts_of(dialog: Any) -> list[str]:
    """The texts of the model, the threshold and the overlap."""
    fields = dialog.getStringFields().get(0), dialog.getNumericFields().get(0), dialog.getStringFields().get(1)
    return [str(field.getText()) for field in fields]


def list_of(choice: Any) -> list[str]:
    return [str(choice.getItem(at)) for at in range(choice.getItemCount())]


def preview(user: User, dialog: Any) -> dict[str, Any]:
    """The preview of two thresholds, and what is on the image when it is switched off, whose overlay the user made."""
    image = user.java("ij.WindowManager").getCurrentImage()
    image.setRoi(1, 2, 3, 4)
    image.setOverlay(user.java("ij.gui.Overlay")(user.java("ij.gui.OvalRoi")(5, 5, 9, 9)))
    before, roi = image.getOverlay(), image.getRoi()
    box = dialog.getCheckboxes().lastElement()
    user.click(box, lambda: bool(box.getState()))
    sizes: list[int] = []
    for text in ("0.70", "0.80"):
        user.type_into(dialog.getNumericFields().get(0), text)
        user.wait("a preview", lambda: image.getOverlay() != before and int(image.getOverlay().size()) not in sizes)
        sizes.append(int(image.getOverlay().size()))
    hidden = image.getCanvas().getShowAllList() is None  # what the ROI Manager shows would cover the preview
    user.picture("preview")
    user.click(box, lambda: not bool(box.getState()))
    user.wait("the user's overlay", lambda: image.getOverlay() == before)
    return {"previewed": sizes, "roi is kept": image.getRoi() == roi, "manager is hidden": hidden}


def stack(user: User, model: Path) -> dict[str, Any]:
    """A time series of stacks: the slice and the time of the entries, and what the dialog asks besides."""
    user.java("ij.plugin.frame.RoiManager").getInstance().reset()
    line = f'run("RetinaJ Detect...", "model=[{model}] threshold=0.55 overlap=0.45 slices=2 region=selection");'
    user.run_macro(f'open("{user.folder / "stack.tif"}"); makeRectangle(0, 0, 80, 60); {line} Stack.setPosition(1, 2, 3);')
    user.wait("boxes on the stack", lambda: user.entries())
    user.wait("the end of the macro", lambda: not bool(user.java("ij.IJ").isMacro()))
    image = user.java("ij.WindowManager").getCurrentImage()
    kept = image.getRoi() is not None
    image.getWindow().setLocation(10, 300)
    user.choose("Plugins", "RetinaJ", "RetinaJ Detect...")
    dialog = user.window("RetinaJ Detect...")
    dialog.setLocation(620, 100)
    time.sleep(0.5)
    user.picture("stack")
    asked = user.labels(dialog)
    user.close(dialog, "Cancel")
    rois = user.java("ij.plugin.frame.RoiManager").getInstance().getRoisAsArray()
    places = [[int(roi.getCPosition()), int(roi.getZPosition()), int(roi.getTPosition())] for roi in rois]
    image.changes = False
    image.close()
    return {"places": places, "asked of a stack": asked, "selection is kept": kept}


def registered(user: User) -> list[list[str]]:
    """RetinaJ's menu, and what `register` makes of it: as it is, without one command, and without the menu."""
    import retinaj_bridge

    table, plugins = user.java("ij.Menus").getCommands(), user.menu_item("Plugins")
    menus: list[list[str]] = []
    for missing in ((), ("RetinaJ Detect...",), None):
        if missing is None:
            plugins.remove(user.menu_item("Plugins", "RetinaJ"))
            missing = menus[0]
        for command in missing:
            table.remove(command)
        retinaj_bridge.register()
        menu = user.menu_item("Plugins", "RetinaJ")
        menus.append([str(menu.getItem(at).getLabel()) for at in range(menu.getItemCount())])
        assert table.get("RetinaJ Detect...") == "retinaj.Detect"
    return menus


def browse(user: User, dialog: Any) -> str:
    """Choose the folder of the other model by the button; without a window manager the keys would be lost afterwards."""
    field = dialog.getStringFields().get(0)
    typed = str(field.getText())
    title = "A model folder or a package.zip"
    user.click(user.button(dialog, "Browse"), lambda: title in user.titles())
    chooser = user.find(user.window(title), "JFileChooser")
    user.picture("browse")
    model = user.java("java.io.File")(str(user.folder / "other model"))

    @jpype.JImplements("java.lang.Runnable")
    class Choose:
        @jpype.JOverride
        def run(self) -> None:
            chooser.setSelectedFile(model)
            chooser.approveSelection()

    user.java("java.awt.EventQueue").invokeLater(Choose())
    user.wait("the choice", lambda: str(field.getText()) != typed)
    return str(field.getText())


def drive(folder: Path, started: threading.Event, session: Callable[[User], dict[str, Any]], command: str) -> None:
    """Work the window when the menu has `command`, and write down what `session` saw, or why it failed."""
    notes: dict[str, Any] = {}
    try:
        assert started.wait(PATIENCE)
        user = User(folder)
        user.wait("ImageJ", lambda: user.java("ij.IJ").getInstance() is not None)
        user.wait("its menus", lambda: user.menu_item("Plugins", "RetinaJ", command))
        time.sleep(0.5)
        notes = session(user)
    except BaseException:
        notes["failure"] = traceback.format_exc()
    (folder / "notes.json").write_text(json.dumps(notes), encoding="utf-8")
    if "failure" in notes:
        os._exit(3)
    for image_id in user.java("ij.WindowManager").getIDList() or []:
        user.java("ij.WindowManager").getImage(image_id).changes = False
    user.java("ij.IJ").getInstance().quit()


def main(folder: Path) -> None:
    import scyjava
    from fake_detector import open_fake

    import retinaj_bridge
    from retinaj_bridge.hosting import serve_in_process
    from retinaj_bridge.models import Models

    scyjava.config.add_option(f"-Duser.home={folder}")  # where ImageJ keeps its preferences
    started = threading.Event()
    scyjava.when_jvm_starts(lambda: serve_in_process(Models(open_model=open_fake)))
    scyjava.when_jvm_starts(started.set)
    threading.Thread(target=drive, args=(folder, started, session, "RetinaJ Detect..."), daemon=True).start()
    retinaj_bridge.open_window()
    print("open_window returned")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
