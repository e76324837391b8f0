"""What goes wrong at a microscope: the macro stops with the reason, and the ROI Manager is as it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jpype
import numpy as np
import pytest
from fake_detector import BrightPatches, fake_detector, patches
from written_images import write_image

from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj.prediction.detector import Detector
from retinaj_bridge import MacroOutcome

Classes = Callable[[str], Any]
RunMacro = Callable[..., MacroOutcome]
Serve = Callable[[Callable[[Path], Detector]], None]


def entries(imagej: Classes) -> list[str]:
    return [str(roi.getName()) for roi in imagej("ij.plugin.frame.RoiManager").getInstance().getRoisAsArray()]


class During(BrightPatches):
    """Something happens while a plane is searched: the second, or the `at`-th."""

    def __init__(self, happen: Callable[[], object], at: int = 2) -> None:
        super().__init__()
        self._happen = happen
        self._at = at

    def __call__(self, batch: Any, overlap: float) -> Any:
        found = super().__call__(batch, overlap)
        if len(self.calls) == self._at:
            self._happen()
        return found


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return write_image(tmp_path / "a.tif", np.stack([patches(seed) for seed in range(4)]), "ZYX")


def detect(models: Path, more: str = "") -> str:
    return f'run("RetinaJ Detect...", "model=[{models}/grey model] {more}"); print("GONE ON");'


def close(image: Any) -> None:
    image.changes = False
    image.close()


@pytest.mark.parametrize("at", [2, 4])
@pytest.mark.parametrize(
    ("happen", "reason"),
    [
        (close, r"The image a\.tif was closed before RetinaJ was done; leave it open"),
        (lambda image: image.getStack().deleteLastSlice(), r"a\.tif was (changed|closed) before RetinaJ was done"),
        (lambda image: image.setStack(image.getStack().crop(0, 0, 0, 9, 9, 4)), r"a\.tif was changed .* run the command again"),
        (lambda image: image.setDimensions(2, 2, 1), r"a\.tif was changed before RetinaJ was done"),
    ],
)
def test_image_closed_or_changed_during_the_run(
    run_macro: RunMacro,
    imagej: Classes,
    models: Path,
    stack: Path,
    serve: Serve,
    capsys: pytest.CaptureFixture[str],
    happen: Callable[[Any], object],
    reason: str,
    at: int,
) -> None:
    serve(lambda path: fake_detector(1, During(lambda: happen(imagej("ij.WindowManager").getCurrentImage()), at)))
    with pytest.raises(RetinaJError, match=reason):
        run_macro(f'open("{stack}");' + detect(models))
    assert entries(imagej) == []
    assert "GONE ON" not in capsys.readouterr().out


def test_model_replaced_during_the_run(run_macro: RunMacro, imagej: Classes, models: Path, stack: Path, serve: Serve) -> None:
    description = models / "grey model" / "model.json"
    runtime = During(lambda: description.write_text("another model"))
    serve(lambda path: fake_detector(1, runtime))
    with pytest.raises(RetinaJError, match="grey model was changed while it was in use: run the command again"):
        run_macro(f'open("{stack}");' + detect(models))
    assert entries(imagej) == []
    run_macro(f'open("{stack}");' + detect(models))
    assert len(entries(imagej)) > 4


def test_model_deleted_during_the_run(run_macro: RunMacro, imagej: Classes, models: Path, stack: Path, serve: Serve) -> None:
    serve(lambda path: fake_detector(1, During(lambda: (models / "grey model").rename(models / "elsewhere"))))
    with pytest.raises(RetinaJError, match="grey model does not exist; expected a model folder"):
        run_macro(f'open("{stack}");' + detect(models))
    assert entries(imagej) == []


def test_rgb_where_grey_was_trained(run_macro: RunMacro, imagej: Classes, models: Path, tmp_path: Path) -> None:
    pixels = np.repeat(patches()[..., None], 3, axis=2)
    pixels[..., 0] //= 2
    path = write_image(tmp_path / "a.tif", pixels)
    with pytest.raises(RetinaJError, match=r"a\.tif: The image has 3 channels, but the model was trained on images with 1"):
        run_macro(f'open("{path}");' + detect(models))
    assert entries(imagej) == []


def test_image_of_one_pixel(run_macro: RunMacro, imagej: Classes, models: Path) -> None:
    outcome = run_macro('newImage("dot", "8-bit black", 1, 1, 1);' + detect(models, "output=manager,table,overlay"))
    assert outcome.printed == "GONE ON\n"
    assert entries(imagej) == []


@pytest.mark.parametrize(
    "name", ["with spaces", "Größe µ", "a[b] c", "a ]b[", "it's", "x=1 threshold=abc", "-", "a&b", 'say "a"', "back\\slash"]
)
@pytest.mark.parametrize("way", ["line", "variable"])
def test_names_of_models(run_macro: RunMacro, imagej: Classes, models: Path, tmp_path: Path, name: str, way: str) -> None:
    if os.name == "nt" and set(name) & set('"\\'):
        pytest.skip("Windows does not have such names")
    model = models.parent / name / "grey model"
    model.mkdir(parents=True)
    (model / "model.json").write_text("{}")
    path = write_image(tmp_path / "a.tif", patches())
    text = str(model).replace("\\", "\\\\").replace('"', '\\"')
    quoted = f"[{text}]" if text.find("]") >= text.find("[") else f"'{text}'"
    value, variable = (quoted, "") if way == "line" else ("&model", f'model = "{text}";')
    run_macro(f'open("{path}"); {variable} run("RetinaJ Detect...", "model={value} threshold=0.55 overlap=0.45");')
    assert len(entries(imagej)) == len(fake_detector(1).detect(read_image(path), threshold=0.55, overlap=0.45))


@pytest.mark.parametrize("options", ["model=[{models}/grey model] threshold=abc", "model=[/no such]", "model=[/m] wrong=1"])
def test_scripts_and_python_get_an_exception(imagej: Classes, models: Path, stack: Path, options: str) -> None:
    ij = imagej("ij.IJ")
    imagej("ij.WindowManager").setTempCurrentImage(ij.openImage(str(stack)))
    with pytest.raises(jpype.JException, match=r"threshold is 'abc'|no such does not exist|no option 'wrong'"):
        ij.run("RetinaJ Detect...", options.format(models=models))
    assert not bool(ij.isMacro())
    assert imagej("ij.Macro").getOptions() is None
    assert entries(imagej) == []


def test_escape_reaches_a_script_as_an_exception(imagej: Classes, models: Path, stack: Path, serve: Serve) -> None:
    ij = imagej("ij.IJ")
    serve(lambda path: fake_detector(1, During(lambda: ij.setKeyDown(27))))
    imagej("ij.WindowManager").setTempCurrentImage(ij.openImage(str(stack)))
    with pytest.raises(jpype.JException, match="Macro canceled"):
        ij.run("RetinaJ Detect...", f"model=[{models}/grey model]")
    assert entries(imagej) == []
