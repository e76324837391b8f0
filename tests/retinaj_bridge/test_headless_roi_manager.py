"""What macros do with the ROI Manager, without a display."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jpype
import pytest
from plugin_java import call

from retinaj.errors import RetinaJError
from retinaj_bridge import MacroOutcome
from retinaj_bridge.headless_roi_manager import install_headless_roi_manager
from retinaj_bridge.jvm import private_field

Classes = Callable[[str], Any]
RunMacro = Callable[..., MacroOutcome]

# An image with three ROIs: "a" at (10, 10) 20x10, "b" at (15, 5) 20x10, "c" at (60, 60) 4x4.
THREE = """
newImage("ramp", "8-bit ramp", 100, 100, 1);
called = newArray("c", "b", "a");
left = newArray(60, 15, 10); top = newArray(60, 5, 10); wide = newArray(4, 20, 20); high = newArray(4, 10, 10);
for (i = 0; i < 3; i++) {
    makeRectangle(left[i], top[i], wide[i], high[i]);
    roiManager("add");
    roiManager("select", i);
    roiManager("rename", called[i]);
}
run("Select None"); roiManager("deselect");
"""
FUNCTIONS = """
function names() {
    all = "";
    for (i = 0; i < roiManager("count"); i++) all = all + RoiManager.getName(i) + " ";
    return all;
}
function bounds() {
    getSelectionBounds(x, y, w, h);
    return "" + x + " " + y + " " + w + " " + h;
}
"""


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ('print(roiManager("count"), RoiManager.size);', "3 3"),
        ("print(names());", "c b a "),
        ('roiManager("sort"); print(names());', "a b c "),
        ('roiManager("select", 1); print(roiManager("index"), Roi.getName);', "1 b"),
        ('roiManager("select", newArray(0, 2)); print(RoiManager.selected);', "2"),
        ('roiManager("select", 1); roiManager("delete"); print(names());', "c a "),
        ('roiManager("select", 0); roiManager("rename", "x y"); print(names());', "x y b a "),
        ('roiManager("reset"); print(roiManager("count"));', "0"),
        (
            'roiManager("select", 0); makeRectangle(1, 2, 3, 4); roiManager("update"); run("Select None");'
            'roiManager("select", 0); print(bounds());',
            "1 2 3 4",
        ),
        (
            'roiManager("select", newArray(1, 2)); roiManager("and"); getSelectionBounds(x, y, w, h); print(x, y, w, h);',
            "15 10 15 5",
        ),
        (
            'roiManager("select", newArray(1, 2)); roiManager("combine"); getSelectionBounds(x, y, w, h); print(x, y, w, h);',
            "10 5 25 15",
        ),
        ('roiManager("select", newArray(1, 2)); roiManager("xor"); print(selectionType());', "9"),
        ('run("Set Measurements...", "area"); roiManager("measure"); print(nResults, getResult("Area", 1));', "3 200"),
        ('roiManager("select", 0); roiManager("translate", 5, 6); roiManager("select", 0); print(bounds());', "65 66 4 4"),
        ('roiManager("select", 0); roiManager("set color", "red"); roiManager("select", 0); print(Roi.getStrokeColor);', "red"),
        ('roiManager("select", 0); roiManager("set line width", 3); roiManager("select", 0); print(Roi.getStrokeWidth);', "3"),
        (
            'roiManager("show all"); roiManager("show none"); roiManager("show all with labels"); print("shown");'
            'roiManager("show none");',
            "shown",
        ),
        ('roiManager("select", 0); roiManager("fill"); print(getPixel(61, 61) - getPixel(62, 62));', "0"),
        ('roiManager("deselect"); print(roiManager("index"));', "-1"),
        ('RoiManager.selectByName("b"); print(roiManager("index"));', "1"),
        ("RoiManager.setGroup(3); RoiManager.selectGroup(3); print(RoiManager.selected);", "3"),
        ('run("From ROI Manager"); print(Overlay.size);', "3"),
        ('run("ROI Manager..."); print(roiManager("count"));', "3"),
        ('makeRectangle(1, 2, 3, 4); run("Add to Manager"); roiManager("select", 3); print(bounds());', "1 2 3 4"),
        ('run("Add to Manager"); print("no selection");', None),
        (
            'newImage("two", "8-bit black", 50, 50, 1); fillRect(5, 5, 4, 4); setColor(255); fillRect(5, 5, 4, 4);'
            'fillRect(20, 20, 6, 6); setThreshold(1, 255); run("Analyze Particles...", "add");'
            'roiManager("select", roiManager("count") - 1); print("" + roiManager("count") + " " + bounds());',
            "5 20 20 6 6",
        ),
        ('for (i = 0; i < 3; i++) run("Measure"); print(nResults);', "3"),
        (
            'run("Set Measurements...", "area add"); makeRectangle(1, 2, 3, 4); run("Measure");'
            'run("Set Measurements...", "area"); if (Overlay.size > 0) print("added");',
            "added",
        ),
    ],
)
def test_macro_functions(run_macro: RunMacro, code: str, printed: str | None) -> None:
    if printed is None:
        with pytest.raises(RetinaJError, match="There is no selection to add"):
            run_macro(THREE + code + FUNCTIONS)
        return
    outcome = run_macro(THREE + code + FUNCTIONS)
    # Measuring also prints the table; ImageJ writes "red" as #ff0000.
    last = outcome.printed.splitlines()[-1]
    assert last.replace("#ff0000", "red") == printed


def test_saved_and_opened_again(run_macro: RunMacro, tmp_path: Path) -> None:
    path = tmp_path / "a b.zip"
    code = f'roiManager("save", "{path}"); roiManager("reset"); roiManager("open", "{path}"); print(names());'
    assert run_macro(THREE + code + FUNCTIONS).printed == "c b a \n"


def test_seen_by_java_code(run_macro: RunMacro, imagej: Classes) -> None:
    run_macro(THREE)
    manager = imagej("ij.plugin.frame.RoiManager")
    assert int(manager.getRoiManager().getCount()) == 3
    assert int(manager.getInstance().getCount()) == 3


@pytest.fixture
def without_manager(imagej: Classes) -> Any:
    """The ROI Manager is taken away for the test."""
    field = private_field("ij.plugin.frame.RoiManager", "instance")
    manager = field.get(None)
    field.set(None, None)
    yield
    field.set(None, manager)


def test_refused_on_versions_it_was_not_tested_on(without_manager: None, imagej: Classes) -> None:
    reason = r"ImageJ 1\.99z has no ROI Manager without a display.* only with 1\.54p.*output=overlay,table"
    with pytest.raises(RetinaJError, match=reason):
        call("HeadlessRoiManager", "install", "1.99z")
    assert imagej("ij.plugin.frame.RoiManager").getRawInstance() is None


def test_the_rehearsal_notices_a_manager_that_loses_rois(imagej: Classes) -> None:
    unsafe = private_field("sun.misc.Unsafe", "theUnsafe").get(None)
    manager_class = imagej("java.lang.Class").forName("ij.plugin.frame.RoiManager")
    broken = unsafe.allocateInstance(manager_class)
    with pytest.raises(jpype.JException, match="InvocationTargetException"):
        call("HeadlessRoiManager", "rehearse", broken)
    fields = {"list": imagej("javax.swing.JList")(), "rois": imagej("java.util.ArrayList")()}
    for name, value in {**fields, "listModel": imagej("javax.swing.DefaultListModel")()}.items():
        private_field("ij.plugin.frame.RoiManager", name).set(broken, value)
    # its list of names shows another model: what is selected in it is nothing
    with pytest.raises(jpype.JException, match="InvocationTargetException"):
        call("HeadlessRoiManager", "rehearse", broken)


def test_there_is_one(imagej: Classes) -> None:
    manager = imagej("ij.plugin.frame.RoiManager").getRawInstance()
    install_headless_roi_manager()
    assert imagej("ij.plugin.frame.RoiManager").getRawInstance() == manager
