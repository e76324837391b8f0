"""The commands beside Detect..., run by macros without a window. (Their dialogs: `test_other_windows`.)"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_detector import fake_detector, open_fake, patches
from plugin_java import call
from tiny_models import write_tiny_model
from written_images import write_image

import retinaj_zoo.info
from retinaj.annotations import coco, pascal_voc
from retinaj.dataset import load_dataset
from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj.prediction.batch import predict
from retinaj_bridge import MacroOutcome
from retinaj_bridge.growing_dataset import GrowingDataset
from retinaj_bridge.trainings import Trainings
from retinaj_bridge.verbs import retraining

RunMacro = Callable[..., MacroOutcome]

# --- Detect in folder...


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "my imäges [1]"
    folder.mkdir()
    for seed in range(3):
        write_image(folder / f"picture {seed}.tif", patches(seed))
    return folder


def test_folder_by_macro_is_retinaj_predict(run_macro: RunMacro, models: Path, images: Path, tmp_path: Path) -> None:
    line = (
        f'run("RetinaJ Detect in folder...", "model=[{models / "grey model"}] images=[{images}] '
        f'output=[{tmp_path / "out"}] threshold=0.55 overlap=0.45");'
    )
    printed = run_macro(f'{line} print(getInfo("retinaj.counts")); print(getInfo("retinaj.sheet"));').printed.splitlines()
    expected = predict(images, fake_detector(1), tmp_path / "expected", threshold=0.55, overlap=0.45)
    boxes = sum(sum(outcome.counts.values()) for outcome in expected)
    assert printed == [
        f"RetinaJ: {boxes} boxes on 3 images; the results are in {tmp_path / 'out'}.",
        str(tmp_path / "out" / "counts.csv"),
        str(tmp_path / "out" / "contact_sheet.png"),
    ]
    for name in ("counts.csv", "detections.csv", "picture 1_RoiSet.zip"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()
    (tmp_path / "out" / "picture 2.csv").unlink()
    assert ", 2 of which were done earlier;" in run_macro(line).printed


def test_escape_stops_a_folder_and_it_goes_on_later(
    run_macro: RunMacro,
    models: Path,
    serve: Callable[[Callable[[Path], Any]], None],
    imagej: Callable[[str], Any],
    images: Path,
    tmp_path: Path,
) -> None:
    class Escaping:
        """Stands for a user who presses Escape while the second image is searched."""

        def __init__(self) -> None:
            self.detector = fake_detector(1)
            self.calls = 0

        def __call__(self, *arguments: Any) -> Any:
            self.calls += 1
            if self.calls == 2:
                imagej("ij.IJ").setKeyDown(imagej("java.awt.event.KeyEvent").VK_ESCAPE)
                time.sleep(0.5)
            return self.detector.runtime(*arguments)

    runtime = Escaping()
    serve(lambda path: fake_detector(1, runtime))  # pyright: ignore[reportArgumentType]
    line = (
        f'run("RetinaJ Detect in folder...", "model=[{models / "grey model"}] images=[{images}] output=[{tmp_path / "out"}]");'
    )
    with pytest.raises(RetinaJError, match="canceled"):
        run_macro(line + ' print("GONE ON");')
    imagej("ij.IJ").resetEscape()
    assert (tmp_path / "out" / "picture 0.csv").exists()
    assert not (tmp_path / "out" / "picture 2.csv").exists()
    assert " on 3 images, " in run_macro(line).printed
    assert runtime.calls == 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("model=[MODEL] output=[OUT]", "The option images is missing; name the folder of the images"),
        ("images=[IMAGES] output=[OUT]", "The option model is missing"),
        ("model=[MODEL] images=[IMAGES]", "The option output is missing"),
        ("model=[MODEL] images=[/no such] output=[OUT]", "/no such does not exist; expected an image or a folder"),
        ("model=[MODEL] images=[IMAGES] output=[IMAGES/out]", "where RetinaJ changes nothing"),
        ("model=[MODEL] images=[IMAGES] output=[OUT] threshold=abc", "threshold is 'abc'; expected a number such as 0.4"),
        ("model=[MODEL] images=[IMAGES] output=[OUT] colour=red", "Detect in folder... has no option 'colour'"),
        ("model=[/no such] images=[IMAGES] output=[OUT]", "The model /no such does not exist"),
    ],
)
def test_folder_refuses_in_one_sentence(
    run_macro: RunMacro, models: Path, images: Path, tmp_path: Path, options: str, expected: str
) -> None:
    places = {"MODEL": models / "grey model", "IMAGES": images, "OUT": tmp_path / "out"}
    for word, path in places.items():
        options = options.replace(word, str(path))
    with pytest.raises(RetinaJError, match=re.escape(expected)):
        run_macro(f'run("RetinaJ Detect in folder...", "{options}"); print("GONE ON");')
    assert not (tmp_path / "out").exists()


# --- Export annotations...


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "cell [ä].tif"
    write_image(path, patches(0))
    return path


EXPORT = 'run("RetinaJ Export annotations...", "dataset=[{}] {}");'


def test_detections_become_annotations(run_macro: RunMacro, models: Path, picture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my data"
    printed = run_macro(
        f'open("{picture}"); run("RetinaJ Detect...", "model=[{models / "grey model"}] threshold=0.55");'
        + EXPORT.format(folder, "")
        + EXPORT.format(folder, "")
    ).printed
    expected = fake_detector(1).detect(read_image(picture), threshold=0.55)
    assert f"cell [ä].tif with {len(expected)} boxes was added to the data set; {folder} has 1 image now." in printed
    assert "was in the data set already, with the same boxes" in printed
    dataset = GrowingDataset(folder)
    (sample,) = load_dataset(dataset.images, dataset.annotations).samples
    np.testing.assert_array_equal(sample.read().to_numpy(), patches(0))
    np.testing.assert_allclose(sample.boxes.xyxy, expected.xyxy)
    assert sample.boxes.names == expected.names


def test_outlines_of_all_kinds_by_group_into_coco(run_macro: RunMacro, picture: Path, tmp_path: Path) -> None:
    code = f"""
        open("{picture}");
        makeOval(10, 12, 20, 16); Roi.setGroup(2); Overlay.addSelection;
        makePolygon(40, 10, 60, 12, 50, 30); Roi.setGroup(7); Overlay.addSelection;
        makePoint(5, 5); Overlay.addSelection;
        makeLine(1, 1, 30, 30); Overlay.addSelection;
        setFont("SansSerif", 12); makeText("scale", 5, 5); Overlay.addSelection;
        """ + EXPORT.format(tmp_path / "set", "format=coco classes=group rois=overlay")
    printed = run_macro(code).printed
    assert "3 ROIs of cell [ä].tif are points, lines or texts, or lie outside of the image, and were left out." in printed
    (found,) = coco.read(tmp_path / "set" / "annotations.json")
    assert found.boxes.names == ["group 2", "group 7"]
    np.testing.assert_allclose(found.boxes.xyxy, [[10, 12, 30, 28], [40, 10, 60, 30]])


def test_planes_of_a_stack(run_macro: RunMacro, tmp_path: Path) -> None:
    stack = np.stack([[patches(3 * t + z) for z in range(3)] for t in range(2)])
    write_image(tmp_path / "stack.tif", stack, "TZYX")
    code = f"""
        open("{tmp_path / "stack.tif"}");
        Stack.setPosition(1, 2, 1); makeRectangle(10, 10, 12, 12); roiManager("add");
        makeRectangle(30, 10, 12, 12); roiManager("add");
        Stack.setPosition(1, 3, 2); makeRectangle(5, 6, 7, 8); roiManager("add");
        """
    assert "2 planes with 3 boxes were added" in run_macro(code + EXPORT.format(tmp_path / "set", "")).printed
    dataset = GrowingDataset(tmp_path / "set")
    samples = load_dataset(dataset.images, dataset.annotations).samples
    assert [(each.name, len(each.boxes)) for each in samples] == [("stack_t1_z2", 2), ("stack_t2_z3", 1)]
    np.testing.assert_array_equal(samples[0].read().to_numpy(), stack[0, 1])
    np.testing.assert_array_equal(samples[1].read().to_numpy(), stack[1, 2])
    np.testing.assert_allclose(samples[1].boxes.xyxy, [[5, 6, 12, 14]])


def test_colours_channels_and_scale(run_macro: RunMacro, tmp_path: Path) -> None:
    pixels = np.stack([patches(0), patches(1), patches(2)])
    write_image(tmp_path / "channels.tif", pixels, "CYX")
    draw = 'makeRectangle(3, 3, 9, 9); Roi.setName("a"); roiManager("reset"); roiManager("add");'
    run_macro(
        f'open("{tmp_path / "channels.tif"}"); setVoxelSize(0.25, 0.25, 1, "um"); {draw}'
        + EXPORT.format(tmp_path / "all", "")
        + EXPORT.format(tmp_path / "one", "channel=2")
        + 'run("Stack to RGB"); '
        + draw
        + EXPORT.format(tmp_path / "rgb", "")
    )
    whole = read_image(next((tmp_path / "all" / "images").iterdir()))
    np.testing.assert_array_equal(whole.to_numpy(), pixels)
    assert whole.attrs["physical_size"]["x"] == pytest.approx(0.25)
    np.testing.assert_array_equal(read_image(next((tmp_path / "one" / "images").iterdir())).to_numpy(), pixels[1])
    coloured = read_image(next((tmp_path / "rgb" / "images").iterdir()))
    assert coloured.attrs["rgb"]
    assert coloured.shape == (3, 60, 80)


def test_an_image_without_objects_must_be_meant(run_macro: RunMacro, picture: Path, tmp_path: Path) -> None:
    with pytest.raises(RetinaJError, match="There are no outlines of objects, neither in the ROI Manager nor in the overlay"):
        run_macro(f'open("{picture}");' + EXPORT.format(tmp_path / "set", ""))
    run_macro(f'open("{picture}");' + EXPORT.format(tmp_path / "set", "empty"))
    assert len(pascal_voc.read(tmp_path / "set" / "annotations" / "cell [ä].xml").boxes) == 0
    draw = 'makeRectangle(5, 5, 9, 9); roiManager("add");'
    with pytest.raises(RetinaJError, match=r"The option empty says that .* has no objects, but there are outlines of 1"):
        run_macro(f'open("{picture}"); {draw}' + EXPORT.format(tmp_path / "other", "empty"))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("setup", "options", "expected"),
    [
        ("", "classes=name", "There is no image open"),
        ("open(PICTURE); makeRectangle(1, 1, 9, 9); roiManager('add');", "classes=group", "is in no group"),
        ("open(PICTURE); makeRectangle(1, 1, 9, 9); roiManager('add');", "format=yolo", "format is 'yolo'; expected one of"),
        ("open(PICTURE); makeRectangle(1, 1, 9, 9); roiManager('add');", "channel=2", "channel is 2, but the image"),
        ("open(PICTURE); makeRectangle(200, 1, 9, 9); roiManager('add');", "rois=manager", "None of the 1 ROI is a box"),
        ("open(PICTURE);", "rois=manager", "no outlines of objects, not in the ROI Manager"),
        ("open(STACK); makeRectangle(1, 1, 9, 9); Overlay.addSelection;", "rois=overlay", "do not say on which plane"),
        (
            "open(STACK); makeRectangle(1, 1, 9, 9); Roi.setPosition(7);roiManager('add');",
            "rois=manager",
            "lies on a plane",
        ),
    ],
)
def test_export_refuses_in_one_sentence(
    run_macro: RunMacro, picture: Path, tmp_path: Path, setup: str, options: str, expected: str
) -> None:
    write_image(tmp_path / "stack.tif", np.stack([patches(0), patches(1)]), "ZYX")
    code = setup.replace("PICTURE", f'"{picture}"').replace("STACK", f'"{tmp_path / "stack.tif"}"').replace("'", '"')
    with pytest.raises(RetinaJError, match=re.escape(expected)):
        run_macro(code + EXPORT.format(tmp_path / "set", options) + 'print("GONE ON");')
    assert not list((tmp_path / "set").rglob("*.tif"))


# --- Correct and retrain...

ENDING = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
(folder / "progress.json").write_text(json.dumps({"fraction": 0.5, "words": "epoch 2 of 4"}))
(folder / "result.json").write_text(json.dumps({"state": "STATE", "words": "WORDS"}))
"""


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], None]:
    """Let a process that ends at once stand for the training: training(state, words)."""
    monkeypatch.setenv("RETINAJ_HOME", str(tmp_path / "home"))

    class Info:
        kind, class_names, training, weights = "model folder", ("cell",), object(), ()

    monkeypatch.setattr(retinaj_zoo.info, "describe_model", lambda path: Info)

    def stand_in(state: str, words: str) -> None:
        code = ENDING.replace("STATE", state).replace("WORDS", words)
        trainings = Trainings(lambda folder: [sys.executable, "-c", code, str(folder)])
        monkeypatch.setattr(retraining, "retrain", retraining.retrain_verb(trainings))
        monkeypatch.setattr(retraining, "trainings", retraining.trainings_verb(trainings))

    return stand_in


def retrain_line(picture: Path, tmp_path: Path, options: str = "wait") -> str:
    return (
        f'open("{picture}"); makeRectangle(3, 3, 20, 20); Roi.setName("cell 0.91"); roiManager("add");'
        f'run("RetinaJ Correct and retrain...", "model=[{tmp_path / "my model"}] dataset=[{tmp_path / "data"}] {options}");'
        'print("new: " + getInfo("retinaj.model"));'
    )


def test_correct_and_retrain(run_macro: RunMacro, training: Callable[[str, str], None], picture: Path, tmp_path: Path) -> None:
    training("done", "The new model is there.")
    printed = run_macro(retrain_line(picture, tmp_path)).printed
    assert f"cell [ä].tif with 1 box was added to the data set; {tmp_path / 'data'} has 1 image now." in printed
    assert "training my model-2 in the background. There is only one image, so that the model learns from it" in printed
    assert printed.splitlines()[-2:] == ["RetinaJ: The new model is there.", f"new: {tmp_path / 'my model-2'}"]
    # The corrected boxes of an image replace its earlier ones, which are kept.
    changed = retrain_line(picture, tmp_path).replace("(3, 3, 20, 20)", "(5, 5, 30, 30)")
    assert "has new boxes (1) in the data set" in run_macro('roiManager("reset");' + changed).printed
    assert (tmp_path / "data" / "earlier" / "cell [ä]-1.xml").is_file()
    # Without an image, what is in the data set is trained on.
    (line,) = re.findall(r'run\("RetinaJ.*?"\);', retrain_line(picture, tmp_path, "rois=none wait output=[OUT]"))
    assert "The new model is there." in run_macro(line.replace("OUT", str(tmp_path / "another"))).printed


@pytest.mark.parametrize(
    ("state", "words", "options", "expected"),
    [
        ("failed", "The images have 3 channels.", "wait", "The images have 3 channels."),
        ("stopped", "Stopped.", "wait", "canceled"),
        ("done", "", "wait minutes=soon", "minutes is 'soon'; expected a number above 0"),
        ("done", "", "wait output=[HERE]", "already exists, and RetinaJ does not overwrite it"),
        ("done", "", "wait epochs=3", "has no option 'epochs'"),
    ],
)
def test_retraining_fails_in_one_sentence(
    run_macro: RunMacro,
    training: Callable[[str, str], None],
    picture: Path,
    tmp_path: Path,
    state: str,
    words: str,
    options: str,
    expected: str,
) -> None:
    training(state, words)
    with pytest.raises(RetinaJError, match=re.escape(expected)):
        run_macro(retrain_line(picture, tmp_path, options.replace("HERE", str(tmp_path))) + 'print("GONE ON");')


# --- Model info... and Help


def test_model_info_is_printed_without_a_window(
    run_macro: RunMacro, serve: Callable[[Callable[[Path], Any]], None], tmp_path: Path
) -> None:
    serve(lambda path: open_fake(path))
    model = write_tiny_model(tmp_path / "tiny model")
    printed = run_macro(f'run("RetinaJ Model info...", "model=[{model}]");').printed
    assert re.search(r"^name +Tiny test model$", printed, re.MULTILINE)
    assert re.search(r"^classes +cell, no, µ\|x$", printed, re.MULTILINE)
    with pytest.raises(RetinaJError, match="The model is missing; name a model folder"):
        run_macro('run("RetinaJ Model info...", "");')


def test_help_is_printed_without_a_window(run_macro: RunMacro) -> None:
    printed = run_macro('run("RetinaJ Help");').printed
    assert printed.startswith("RetinaJ: boxes around cells, nuclei, crystals")
    assert "- Detect in folder...: find them on all images of a folder." in printed
    assert "<" not in printed


@pytest.mark.parametrize("name", ["index", "detect", "folder", "annotations", "retrain", "info"])
def test_pages_of_help_are_whole(imagej: Callable[[str], Any], repository: Path, name: str) -> None:
    page = str(call("Help", "page", name))
    assert page.startswith("<html>")  # by which ImageJ's dialogs know a page from an address
    assert "<a" not in str(call("Help", "forDialog", name))
    for link in re.findall(r'href="(.*?)"', page):
        kind, _, target = link.partition(":")
        assert kind == "help"
        call("Help", "page", target)
    for tag in ("h1", "h2", "p", "table", "tr", "td", "ul", "ol", "li", "pre", "code", "b"):
        assert len(re.findall(rf"<{tag}[ >]", page)) == page.count(f"</{tag}>"), tag


def test_all_commands_are_known_in_their_order(imagej: Callable[[str], Any]) -> None:
    known = imagej("ij.Menus").getCommands()
    commands = ["Detect...", "Detect in folder...", "Export annotations...", "Correct and retrain...", "Model info...", "Help"]
    classes = [str(known.get(f"RetinaJ {command}")) for command in commands]
    assert classes == [
        f"retinaj.{name}" for name in ("Detect", "DetectFolder", "ExportAnnotations", "Retrain", "ModelInfo", "Help")
    ]
