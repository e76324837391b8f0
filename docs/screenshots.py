"""Makes the pictures in docs/fiji.md: a Fiji that stands alone, with RetinaJ installed, worked by mouse on a virtual display.

    retinaj demo --output DEMO
    python docs/screenshots.py DEMO FOLDER

DEMO holds example-data and example-detector.zip. FOLDER is made, and its path can be read in the pictures. The display needs
Xvfb, and openbox for frames round the windows. The pictures go to docs/images.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import jpype
import numpy as np
import tifffile
from PIL import Image

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests" / "helpers"))

COMMAND = "RetinaJ Detect..."
SLICES = 4
MARGIN = 8
MENU_PADDING = 22  # between the words in ImageJ's menu bar, in pixels


class Photographer:
    """Takes pictures of windows."""

    def __init__(self, user: Any) -> None:
        self.user = user

    def take(self, name: str, windows: list[Any], *, below: int = 0, right: int = 0) -> None:
        """A picture of the part of the screen with these windows in it, and as many pixels below and right of them."""
        time.sleep(1)  # to be drawn
        self.user.picture(name)
        boxes = [(w.getX(), w.getY(), w.getX() + w.getWidth() + right, w.getY() + w.getHeight() + below) for w in windows]
        with Image.open(self.user.folder / f"{name}.png") as screen:
            part = (
                max(min(box[0] for box in boxes) - MARGIN, 0),
                max(min(box[1] for box in boxes) - MARGIN, 0),
                min(max(box[2] for box in boxes) + MARGIN, screen.width),
                min(max(box[3] for box in boxes) + MARGIN, screen.height),
            )
            small = screen.convert("RGB").crop(part).quantize(128, dither=Image.Dither.NONE)
            small.save(DOCS / "images" / f"{name}.png", optimize=True)


def prepare(demo: Path, folder: Path) -> Path:
    """A Fiji with RetinaJ in it, an image and a stack; returns Fiji's folder."""
    from standalone_imagej import make_fiji

    from retinaj_bridge.fiji.installing import install

    fiji = make_fiji(folder / "Fiji.app")
    install(fiji)
    names = (demo / "example-data" / "ImageSets" / "Main" / "test.txt").read_text().split()
    planes = [np.asarray(Image.open(demo / "example-data" / "JPEGImages" / f"{name}.png")) for name in names[:SLICES]]
    tifffile.imwrite(folder / "cells.tif", planes[0], imagej=True)
    tifffile.imwrite(folder / "stack.tif", np.stack(planes), imagej=True, metadata={"axes": "ZYX"})
    (folder / "cells.zip").symlink_to((demo / "example-detector.zip").resolve())
    return fiji.path


def session(user: Any, folder: Path) -> None:
    """What the user does, and the pictures of it."""
    photographer = Photographer(user)
    main = user.java("ij.IJ").getInstance()
    main.setLocation(20, 20)
    open_image(user, folder / "cells.tif", (20, 170))

    pull_down(user, main, "Plugins", "RetinaJ")
    photographer.take("fiji-menu", [main], below=480, right=110)
    for _ in range(3):
        user.press("ESCAPE")

    user.choose("Plugins", "Macros", "Record...")
    recorder = user.window("Recorder")
    recorder.setBounds(640, 20, 600, 120)
    user.choose("Plugins", "RetinaJ", COMMAND)
    dialog = user.window(COMMAND)
    dialog.setLocation(430, 170)
    user.type_into(dialog.getStringFields().get(0), str(folder / "cells.zip"))
    preview = dialog.getCheckboxes().lastElement()
    user.click(preview, lambda: bool(preview.getState()))
    image = user.java("ij.WindowManager").getCurrentImage()
    user.wait("the preview", lambda: image.getOverlay() is not None and int(image.getOverlay().size()) > 0)
    photographer.take("fiji-dialog", [image.getWindow(), dialog])
    user.click(preview, lambda: not bool(preview.getState()))
    user.close(dialog, "OK")
    user.wait("boxes", user.entries)
    user.wait("the recorder", lambda: COMMAND in user.recorded())
    arrange(user)
    recorder.toFront()
    photographer.take("fiji-recorder", [recorder])
    recorder.close()
    photographer.take("fiji-boxes", [image.getWindow(), user.window("ROI Manager"), user.window("Results")])

    user.java("ij.plugin.frame.RoiManager").getInstance().reset()
    image.changes = False
    image.close()
    open_image(user, folder / "stack.tif", (20, 170))
    line = f"model=[{folder / 'cells.zip'}] threshold=0.40 replace"
    user.run_macro(f'run("{COMMAND}", "{line}"); setSlice({SLICES // 2});')
    user.wait("boxes on the stack", lambda: len(user.entries()) > SLICES)
    user.wait("the end of the macro", lambda: not bool(user.java("ij.IJ").isMacro()))
    image = user.java("ij.WindowManager").getCurrentImage()
    arrange(user)
    photographer.take("fiji-stack", [image.getWindow(), user.window("ROI Manager"), user.window("Results")])


def open_image(user: Any, path: Path, at: tuple[int, int]) -> None:
    """Open an image, twice as large as it is."""
    user.java("ij.IJ").open(str(path))
    image = user.java("ij.WindowManager").getCurrentImage()
    image.getWindow().setLocation(*at)
    user.java("ij.IJ").run(image, "In [+]", "")
    time.sleep(0.5)


def arrange(user: Any) -> None:
    """Put the ROI Manager and the table beside the image."""
    user.window("ROI Manager").setLocation(430, 170)
    user.window("Results").setBounds(430, 470, 660, 160)


def pull_down(user: Any, main: Any, menu: str, submenu: str) -> None:
    """Open a menu of ImageJ's window by the mouse and a submenu by the keyboard, and leave both open."""
    bar = user.java("ij.Menus").getMenuBar()
    menus = [bar.getMenu(at) for at in range(bar.getMenuCount())]
    at = next(at for at, each in enumerate(menus) if str(each.getLabel()) == menu)
    items = [str(menus[at].getItem(item).getLabel()) for item in range(menus[at].getItemCount())]
    button = user.java("java.awt.event.InputEvent").BUTTON1_DOWN_MASK
    place, insets = main.getLocationOnScreen(), main.getInsets()
    letters = main.getFontMetrics(user.java("java.awt.Font")("Dialog", 0, 12))
    widths = [int(letters.stringWidth(str(each.getLabel()))) + MENU_PADDING for each in menus]
    user.robot.mouseMove(place.x + insets.left + sum(widths[:at]) + widths[at] // 2, place.y + insets.top - 8)
    user.robot.mousePress(button)
    user.robot.mouseRelease(button)
    time.sleep(0.5)
    # Lines between items are passed over.
    for _ in range(len([label for label in items[: items.index(submenu)] if label != "-"])):
        user.press("DOWN")
    user.press("RIGHT")
    time.sleep(0.5)


def main(demo: Path, folder: Path) -> None:
    """Start a display and Java on it, and let the user work there."""
    from imagej_window import User
    from virtual_display import virtual_display

    from retinaj_bridge.jvm import select_java

    folder.mkdir(parents=True)
    with virtual_display() as display:
        fiji = prepare(demo, folder)
        os.environ |= {"DISPLAY": display, "RETINAJ_HOME": str(folder / ".retinaj")}
        select_java(window=True)
        options = [f"-Dplugins.dir={fiji}", f"-Duser.home={folder}", "-Dretinaj.worker.idleMinutes=1"]
        jpype.startJVM(*options, classpath=[str(jar) for jar in (fiji / "jars").glob("*.jar")])
        jpype.JClass("ij.ImageJ")()
        session(User(folder), folder)
    os._exit(0)  # or ImageJ's windows would keep the process alive


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
