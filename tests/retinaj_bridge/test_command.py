"""`run("RetinaJ Detect...", ...)` without a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jpype
import numpy as np
import pytest
from fake_detector import CLASSES, BrightPatches, fake_detector, patches
from written_images import write_image

import retinaj_bridge
from retinaj.annotations.imagej_roi import read_roi_set, roi_names, write_roi_set
from retinaj.colours import class_colour
from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj.normalization import PercentileScale
from retinaj.prediction.batch import predict
from retinaj.prediction.detector import Detector
from retinaj_bridge import MacroOutcome, hosting

Classes = Callable[[str], Any]
RunMacro = Callable[..., MacroOutcome]
Serve = Callable[[Callable[[Path], Detector]], None]
DETECT = 'open("{image}"); run("RetinaJ Detect...", "model=[{model}] threshold=0.55 overlap=0.45{more}");'


def detect(image: Path, model: Path, more: str = "") -> str:
    return DETECT.format(image=image, model=model, more=more)


def in_manager(imagej: Classes) -> list[Any]:
    return list(imagej("ij.plugin.frame.RoiManager").getInstance().getRoisAsArray())


def corners(rois: list[Any]) -> np.ndarray[Any, Any]:
    bounds = [roi.getFloatBounds() for roi in rois]
    return np.array([(b.getX(), b.getY(), b.getX() + b.getWidth(), b.getY() + b.getHeight()) for b in bounds])


@pytest.fixture
def grey_image(tmp_path: Path) -> Path:
    return write_image(tmp_path / "an image.tif", patches())


def test_entries_equal_the_prediction(run_macro: RunMacro, imagej: Classes, models: Path, grey_image: Path) -> None:
    expected = fake_detector(1).detect(read_image(grey_image), threshold=0.55, overlap=0.45)
    assert len(expected) >= 4
    assert expected.score is not None
    run_macro(detect(grey_image, models / "grey model"))
    rois = in_manager(imagej)
    np.testing.assert_array_equal(corners(rois), expected.xyxy)
    assert {roi.getTypeAsString() for roi in rois} == {"Rectangle"}
    assert [str(roi.getName()) for roi in rois] == roi_names(expected)
    assert [str(roi.getProperty("class")) for roi in rois] == expected.names
    assert [str(roi.getProperty("score")) for roi in rois] == [f"{score:.4f}" for score in expected.score]
    colours = [(c.getRed(), c.getGreen(), c.getBlue()) for c in (roi.getStrokeColor() for roi in rois)]
    assert colours == [class_colour(label) for label in expected.label]
    assert {int(roi.getPosition()) for roi in rois} == {0}

    table = imagej("ij.measure.ResultsTable").getResultsTable()
    assert str(table.getColumnHeadings()).split() == ["image", "class", "score", "x_min", "y_min", "x_max", "y_max"]
    assert int(table.size()) == len(expected)
    for at in range(len(expected)):
        assert (table.getStringValue("image", at), table.getStringValue("class", at)) == ("an image.tif", expected.names[at])
        numbers = [table.getValue(column, at) for column in ("score", "x_min", "y_min", "x_max", "y_max")]
        np.testing.assert_array_equal(numbers, [expected.score[at], *expected.xyxy[at]])


def test_roi_set_saved_by_the_macro_equals_ours(run_macro: RunMacro, models: Path, grey_image: Path, tmp_path: Path) -> None:
    run_macro(detect(grey_image, models / "grey model") + f'roiManager("save", "{tmp_path}/theirs.zip");')
    write_roi_set(tmp_path / "ours.zip", fake_detector(1).detect(read_image(grey_image), threshold=0.55, overlap=0.45))
    theirs, ours = read_roi_set(tmp_path / "theirs.zip", CLASSES), read_roi_set(tmp_path / "ours.zip", CLASSES)
    np.testing.assert_array_equal(theirs.xyxy, ours.xyxy)
    assert (theirs.names, theirs.plane) == (ours.names, None)


def test_rgb_model_on_grey_and_rgb_images(run_macro: RunMacro, imagej: Classes, models: Path, tmp_path: Path) -> None:
    grey = patches(1)
    for name, pixels in (("grey.tif", grey), ("rgb.tif", np.repeat(grey[..., None], 3, axis=2))):
        path = write_image(tmp_path / name, pixels)
        run_macro(detect(path, models / "rgb model", " replace"))
        expected = fake_detector(3).detect(read_image(path), threshold=0.55, overlap=0.45)
        np.testing.assert_array_equal(corners(in_manager(imagej)), expected.xyxy)


def test_what_is_there_is_kept(run_macro: RunMacro, imagej: Classes, models: Path, grey_image: Path) -> None:
    mine = 'makeOval(1,1,5,5); roiManager("add"); roiManager("select", 0); roiManager("rename", "mine"); run("Measure"); run('
    run_macro(detect(grey_image, models / "grey model").replace("run(", mine, 1))
    names = [str(roi.getName()) for roi in in_manager(imagej)]
    assert names[0] == "mine"
    count = len(names) - 1
    assert count >= 4
    table = imagej("ij.measure.ResultsTable").getResultsTable()
    assert int(table.size()) == 1 + count
    assert float(table.getValue("Area", 0)) > 0
    run_macro(detect(grey_image, models / "grey model", " replace"))
    assert [str(roi.getName()) for roi in in_manager(imagej)] == names[1:]
    assert int(table.size()) == count


def test_image_and_selection_are_untouched(run_macro: RunMacro, imagej: Classes, models: Path, tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", np.stack([patches(seed) for seed in range(6)]).reshape(3, 2, 60, 80), "ZCYX")
    code = detect(path, models / "grey model", " channel=2").replace(
        "run(", "makeRectangle(3,4,5,6); Stack.setPosition(1,2,1); run(", 1
    )
    run_macro(code + 'if (is("changes")) exit("changed");')
    image = imagej("ij.WindowManager").getCurrentImage()
    assert (image.getC(), image.getZ(), image.getT()) == (1, 2, 1)
    assert "x=3,y=4,width=5,height=6" in str(image.getRoi().getBounds())
    assert not bool(image.isLocked())
    assert image.getOverlay() is None


@pytest.mark.parametrize(
    ("axes", "more", "per_plane"),
    [
        ("ZYX", "", "n"),
        ("TYX", "", "n"),
        ("TZYX", "", "czt"),
        ("ZCYX", " channel=2", "czt"),
        ("TCYX", " channel=1", "czt"),
        ("TZCYX", " channel=2", "czt"),
        ("CYX", " channel=2", "czt"),
    ],
)
def test_place_in_the_stack(
    run_macro: RunMacro, imagej: Classes, models: Path, tmp_path: Path, axes: str, more: str, per_plane: str
) -> None:
    sizes = {"T": 3, "Z": 4, "C": 2}
    shape = tuple(sizes[axis] for axis in axes[:-2])
    pixels = np.stack([patches(seed) for seed in range(int(np.prod(shape)))]).reshape(*shape, 60, 80)
    path = write_image(tmp_path / "a.tif", pixels, axes)
    image = read_image(path)
    channel = int(more[-1]) if more else None
    if channel is not None:
        image = image.isel(c=channel - 1)
    expected = fake_detector(1).detect(image, threshold=0.55, overlap=0.45)
    plane = expected.plane if expected.plane is not None else np.zeros((len(expected), 3), int)
    assert "C" in axes or len(np.unique(plane, axis=0)) == len(pixels.reshape(-1, 60, 80))

    run_macro(detect(path, models / "grey model", more))
    rois = in_manager(imagej)
    np.testing.assert_array_equal(corners(rois), expected.xyxy)
    if per_plane == "n":
        assert [int(roi.getPosition()) for roi in rois] == (plane.max(axis=1) + 1).tolist()
    else:
        wanted = [(channel or 0, z + 1, t + 1) for t, _, z in plane.tolist()]
        assert [(roi.getCPosition(), roi.getZPosition(), roi.getTPosition()) for roi in rois] == wanted
    table = imagej("ij.measure.ResultsTable").getResultsTable()
    for at, (t, _, z) in enumerate(plane.tolist()):
        places = [int(table.getValue(column, at)) for column in ("channel", "slice", "frame")]
        assert places == [channel or 0, z + 1, t + 1]


def test_all_channels_together(run_macro: RunMacro, imagej: Classes, models: Path, tmp_path: Path) -> None:
    path = write_image(
        tmp_path / "a.tif", np.stack([patches(seed) for seed in (0, 0, 0, 1, 1, 1)]).reshape(2, 3, 60, 80), "ZCYX"
    )
    run_macro(detect(path, models / "rgb model"))
    expected = fake_detector(3).detect(read_image(path), threshold=0.55, overlap=0.45)
    rois = in_manager(imagej)
    np.testing.assert_array_equal(corners(rois), expected.xyxy)
    assert expected.plane is not None
    assert [(roi.getCPosition(), roi.getZPosition()) for roi in rois] == [(0, z + 1) for z in expected.plane[:, 2]]


def test_options_as_macro_variables(run_macro: RunMacro, imagej: Classes, models: Path, grey_image: Path) -> None:
    run_macro(
        f'path = "{models / "grey model"}"; t = 0.55; open("{grey_image}");'
        'run("RetinaJ Detect...", "model=&path threshold=&t overlap=0.45");'
        'names = split(getInfo("retinaj.classes"), "\\n"); print(names.length, names[1]);'
    )
    assert len(in_manager(imagej)) == len(fake_detector(1).detect(read_image(grey_image), threshold=0.55, overlap=0.45))


def test_user_group_does_not_win_over_the_colour(
    run_macro: RunMacro, imagej: Classes, models: Path, grey_image: Path, tmp_path: Path
) -> None:
    imagej("ij.gui.Roi").setDefaultGroup(7)
    try:
        run_macro(
            detect(grey_image, models / "grey model")
            + f'roiManager("save", "{tmp_path}/a.zip"); roiManager("reset"); roiManager("open", "{tmp_path}/a.zip");'
        )
    finally:
        imagej("ij.gui.Roi").setDefaultGroup(0)
    roi = in_manager(imagej)[0]
    colour = roi.getStrokeColor()
    label = CLASSES.index(str(roi.getProperty("class")))
    assert (colour.getRed(), colour.getGreen(), colour.getBlue()) == class_colour(label)


def test_the_model_is_opened_once(run_macro: RunMacro, models: Path, grey_image: Path, serve: Serve) -> None:
    opened: list[Path] = []

    def open_model(path: Path) -> Any:
        opened.append(path)
        return fake_detector(1)

    serve(open_model)
    code = detect(grey_image, models / "grey model")
    run_macro(code + code)
    run_macro(code)
    assert len(opened) == 1


@pytest.mark.parametrize(("most", "told"), [(2, True), (50, False)])
def test_as_many_boxes_as_the_model_can_give_are_told_in_the_log(
    run_macro: RunMacro,
    imagej: Classes,
    models: Path,
    grey_image: Path,
    serve: Serve,
    most: int,
    told: bool,
) -> None:
    detector = replace(fake_detector(1), max_detections=most)
    serve(lambda path: detector)
    done = run_macro(detect(grey_image, models / "grey model") + 'print("GONE ON");')
    assert ("an image.tif there are 2 boxes, as many as the model can give" in done.printed) == told
    assert "GONE ON" in done.printed
    assert len(in_manager(imagej)) > 2


# --- failures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("model=[{models}/grey model] threshold=abc", r"threshold is 'abc'; expected a number such as 0\.4\."),
        ("model=[{models}/grey model] threshold=2", r"threshold is 2\.0; expected a number above 0 and at most 1"),
        ("model=[{models}/grey model] overlap=0", r"overlap is 0\.0"),
        ("model=[{models}/grey model] iou=0.4", "no option 'iou'"),
        ("model={models}/grey model threshold=0.4", "option model is given twice|no option"),
        ("model=[{models}/no such] threshold=0.4", "no such does not exist; expected a model folder"),
        ("model=&nowhere", "no variable 'nowhere'"),
        ("threshold=0.4", "The model is missing"),
        ("", "The model is missing"),
        ("model=[{models}/grey model] channel=2", "channel is 2, but the image an image.tif has 1"),
    ],
)
@pytest.mark.parametrize("place", ["{}", "for (i = 0; i < 3; i++) {{ {} }}", "f(); function f() {{ {} }}"])
def test_wrong_options_stop_the_macro(
    run_macro: RunMacro,
    imagej: Classes,
    models: Path,
    grey_image: Path,
    capsys: pytest.CaptureFixture[str],
    options: str,
    reason: str,
    place: str,
) -> None:
    line = f'run("RetinaJ Detect...", "{options.format(models=models)}"); print("GONE ON");'
    with pytest.raises(RetinaJError, match=rf"^macro under test\.ijm stopped: .*({reason}).*\(line 1: "):
        run_macro(f'open("{grey_image}"); {place.format(line)} print("GONE ON");')
    assert "GONE ON" not in capsys.readouterr().out
    assert in_manager(imagej) == []
    assert not bool(imagej("ij.IJ").isMacro())


def test_without_second_argument(run_macro: RunMacro, grey_image: Path) -> None:
    with pytest.raises(RetinaJError, match="The model is missing"):
        run_macro(f'open("{grey_image}"); run("RetinaJ Detect...");')


def test_without_image(run_macro: RunMacro, models: Path) -> None:
    with pytest.raises(RetinaJError, match="There is no image open"):
        run_macro(f'run("RetinaJ Detect...", "model=[{models}/grey model]");')


def test_rgb_image_for_a_grey_model(run_macro: RunMacro, models: Path, tmp_path: Path) -> None:
    path = write_image(tmp_path / "colour.tif", np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype(np.uint8))
    with pytest.raises(RetinaJError, match=r"colour\.tif: The image has 3 channels, but the model was trained on .* 1"):
        run_macro(detect(path, models / "grey model"))


def test_two_channels_for_a_grey_model(run_macro: RunMacro, models: Path, tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", np.zeros((2, 9, 9), np.uint8), "CYX")
    with pytest.raises(RetinaJError, match="choose one of its channels, channel=1 to channel=2"):
        run_macro(detect(path, models / "grey model"))


def test_an_image_in_use(run_macro: RunMacro, imagej: Classes, models: Path, grey_image: Path) -> None:
    run_macro(f'open("{grey_image}");')
    image = imagej("ij.WindowManager").getCurrentImage()

    @jpype.JImplements("java.lang.Runnable")
    class Locker:
        @jpype.JOverride
        def run(self) -> None:
            image.lock()

    thread = imagej("java.lang.Thread")(Locker())
    thread.start()
    thread.join()
    try:
        with pytest.raises(RetinaJError, match=r"an image\.tif is in use by another command"):
            run_macro(f'run("RetinaJ Detect...", "model=[{models}/grey model]");')
    finally:
        image.unlock()


class FailsOnSecondPlane(BrightPatches):
    def __init__(self, fail: Callable[[], object]) -> None:
        super().__init__()
        self._fail = fail

    def __call__(self, batch: Any, overlap: float) -> Any:
        if len(self.calls) == 1:
            self._fail()
        return super().__call__(batch, overlap)


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RetinaJError("The weights are damaged."), r"a\.tif: The weights are damaged\."),
        (ValueError("shapes (1,) (2,)"), r"RetinaJ failed unexpectedly: ValueError: shapes \(1,\) \(2,\)"),
        (MemoryError(), "This computer has not enough memory for that image: close other images"),
    ],
)
def test_all_or_nothing(
    run_macro: RunMacro,
    imagej: Classes,
    models: Path,
    tmp_path: Path,
    serve: Serve,
    error: Exception,
    reason: str,
) -> None:
    runtime = FailsOnSecondPlane(lambda: _raise(error))
    serve(lambda path: fake_detector(1, runtime))
    path = write_image(tmp_path / "a.tif", np.stack([patches(0), patches(1)]), "ZYX")
    with pytest.raises(RetinaJError, match=reason):
        run_macro(detect(path, models / "grey model", " replace"))
    assert len(runtime.calls) == 1
    assert in_manager(imagej) == []
    assert int(imagej("ij.measure.ResultsTable").getResultsTable().size()) == 0


def test_escape(
    run_macro: RunMacro,
    imagej: Classes,
    models: Path,
    tmp_path: Path,
    serve: Serve,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runtime = FailsOnSecondPlane(lambda: imagej("ij.IJ").setKeyDown(27))
    serve(lambda path: fake_detector(1, runtime))
    path = write_image(tmp_path / "a.tif", np.stack([patches(seed) for seed in range(4)]), "ZYX")
    with pytest.raises(RetinaJError, match="canceled"):
        run_macro(detect(path, models / "grey model") + 'print("GONE ON");')
    assert len(runtime.calls) == 2
    assert "GONE ON" not in capsys.readouterr().out
    assert in_manager(imagej) == []


def test_called_from_python(imagej: Classes, models: Path, grey_image: Path) -> None:
    ij = imagej("ij.IJ")
    image = ij.openImage(str(grey_image))
    imagej("ij.WindowManager").setTempCurrentImage(image)
    with pytest.raises(jpype.JException, match="no such does not exist"):
        ij.run("RetinaJ Detect...", f"model=[{models}/no such]")
    assert not bool(ij.isMacro())
    ij.run("RetinaJ Detect...", f"model=[{models}/grey model] threshold=0.55 overlap=0.45")
    expected = fake_detector(1).detect(read_image(grey_image), threshold=0.55, overlap=0.45)
    np.testing.assert_array_equal(corners(in_manager(imagej)), expected.xyxy)


def test_boxes_that_imagej_cannot_hold(run_macro: RunMacro, imagej: Classes, models: Path) -> None:
    far = 'newImage("far", "8-bit black", 61000, 20, 1); setColor(255); fillRect(60900, 5, 9, 9); fillRect(5, 5, 9, 9);'
    with pytest.raises(RetinaJError, match="outside of what ImageJ"):
        run_macro(f'{far} run("RetinaJ Detect...", "model=[{models}/grey model]");')
    assert in_manager(imagej) == []


def test_registering_twice_is_registering_once(imagej: Classes) -> None:
    commands = dict(imagej("ij.Menus").getCommands())
    server = hosting.serve_in_process()
    retinaj_bridge.register()
    retinaj_bridge.register(gateway=object())
    assert commands["RetinaJ Detect..."] == "retinaj.Detect"
    assert dict(imagej("ij.Menus").getCommands()) == commands
    assert hosting.serve_in_process() is server


def test_real_images(
    run_macro: RunMacro, imagej: Classes, models: Path, shared_data: Path, serve: Serve, tmp_path: Path
) -> None:
    """On every real stack, the entries and the RoiSet.zip are those of `retinaj predict`: boxes, names and planes."""
    found = 0
    for path in sorted((shared_data / "stacks").glob("*.tif")):
        channels = read_image(path).sizes.get("c", 1)
        detector = replace(fake_detector(channels), normalization=PercentileScale())  # for images of any range
        serve(lambda _, detector=detector: detector)
        predict(path, detector, tmp_path / path.stem, threshold=0.55, overlap=0.45)
        predicted = read_roi_set(tmp_path / path.stem / f"{path.stem}_RoiSet.zip", CLASSES)
        more = f" replace output=manager,zip file=[{tmp_path / path.stem}.zip]"
        run_macro(detect(path, models / "grey model", more) + "close();")
        ours = read_roi_set(tmp_path / f"{path.stem}.zip", CLASSES)
        rois = in_manager(imagej)
        np.testing.assert_array_equal(corners(rois).reshape(-1, 4), predicted.xyxy, err_msg=path.name)
        np.testing.assert_array_equal(ours.xyxy, predicted.xyxy, err_msg=path.name)
        # In ImageJ, a ROI on an image of several channels has a position also where there is one plane.
        planes = np.zeros((len(ours), 3), int) if predicted.plane is None else predicted.plane
        np.testing.assert_array_equal(planes if ours.plane is None else ours.plane, planes, err_msg=path.name)
        assert ours.names == predicted.names
        scored = detector.detect(read_image(path), threshold=0.55, overlap=0.45)  # in full: a file has four digits of a score
        assert [str(roi.getName()) for roi in rois] == roi_names(scored)
        found += len(ours)
    assert found > 50
