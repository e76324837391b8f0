"""The verb `folder`, asked as the plugin asks it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_detector import MAX_DETECTIONS, fake_detector, open_fake, patches
from written_images import write_image

from retinaj.annotations.imagej_roi import read_roi_set
from retinaj.errors import RetinaJError
from retinaj.prediction.batch import predict
from retinaj_bridge.models import Models
from retinaj_bridge.server import Call, CallCanceledError
from retinaj_bridge.verbs.folder import folder_verb


class Told(Call):
    """A call that keeps what it was told, and is canceled at the n-th report."""

    def __init__(self, cancel_at: int = -1) -> None:
        super().__init__()
        self.told: list[tuple[float, str]] = []
        self.cancel_at = cancel_at

    def report(self, fraction: float, status: str) -> None:
        self.told.append((fraction, status))
        if len(self.told) == self.cancel_at:
            self.canceled.set()
        super().report(fraction, status)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "my imäges [1]"
    folder.mkdir()
    for seed in range(4):
        write_image(folder / f"picture {seed}.tif", patches(seed))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "grey model"
    folder.mkdir()
    (folder / "model.json").write_text("{}")
    return folder


def ask(call: Call | None = None, **fields: object) -> dict[str, Any]:
    verb = folder_verb(Models(open_model=open_fake))
    return dict(verb({name: str(value).encode() for name, value in fields.items()}, call or Call()))


def test_the_results_are_those_of_retinaj_predict(tmp_path: Path, images: Path, model: Path) -> None:
    answer = ask(model=model, source=images, output=tmp_path / "out", threshold="0.55", overlap="0.45")
    expected = predict(images, fake_detector(1), tmp_path / "expected", threshold=0.55, overlap=0.45)
    names = {path.name for path in (tmp_path / "expected").iterdir()}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    for name in names - {"prediction.json"}:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()
    boxes = sum(sum(outcome.counts.values()) for outcome in expected)
    assert boxes > 8
    assert (answer["images"], answer["boxes"], answer["skipped"], answer["failed"]) == ("4", str(boxes), "0", "0")
    assert answer["summary"] == f"{boxes} boxes on 4 images; the results are in {tmp_path / 'out'}."
    assert Path(answer["sheet"]).is_file()
    assert len(Path(answer["detections"]).read_text().splitlines()) == boxes + 1
    assert len(read_roi_set(tmp_path / "out" / "picture 0_RoiSet.zip")) > 1


def test_progress_says_which_image_and_how_long_it_will_take(tmp_path: Path, images: Path, model: Path) -> None:
    call = Told()
    ask(call, model=model, source=images, output=tmp_path / "out")
    assert call.told[0] == (-1, "opening grey model")
    assert call.told[1] == (0.0, "my imäges [1]: image 1 of 4")
    fraction, text = call.told[3]
    assert fraction == 0.5
    assert re.fullmatch(r"my imäges \[1\]: image 3 of 4, about \d+ s left", text)
    assert call.told[-1] == (1, "contact sheet: image 4 of 4")


def test_canceled_it_goes_on_where_it_stopped(tmp_path: Path, images: Path, model: Path) -> None:
    with pytest.raises(CallCanceledError):
        ask(Told(cancel_at=4), model=model, source=images, output=tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"picture 0.csv", "picture 1.csv", "counts.csv"} <= names
    assert not {"picture 2.csv", "contact_sheet.png"} & names
    assert not [name for name in names if name.startswith(".")]
    call = Told()
    answer = ask(call, model=model, source=images, output=tmp_path / "out")
    assert answer["skipped"] == "2"
    assert ", 2 of which were done earlier; " in answer["summary"]
    # What was done earlier took no time, which says nothing of what is left.
    assert [text.partition(": ")[2] for _, text in call.told[2:4]] == ["image 2 of 4", "image 3 of 4"]


def test_images_that_cannot_be_used_are_told(tmp_path: Path, images: Path, model: Path) -> None:
    (images / "broken.tif").write_bytes(b"II*\0 and nothing else")
    crowded = np.zeros((120, 120), np.uint8)
    crowded[::4, ::4] = 250
    write_image(images / "full.tif", crowded)
    answer = ask(model=model, source=images, output=tmp_path / "out")
    assert answer["failed"] == "1"
    first, second = answer["warnings"]
    assert "broken.tif" in first
    assert f"On 1 image, such as full.tif, there are {MAX_DETECTIONS} boxes, as many as the model can give" in second


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"source": "/no such/folder"}, "/no such/folder does not exist; expected an image or a folder"),
        ({"source": ""}, "The folder of images is missing: give the option source="),
        ({"output": "IMAGES/results"}, "into the folder of the images, where RetinaJ changes nothing"),
        ({"output": "IMAGES"}, "into the folder of the images"),
        ({"model": "/no such/model"}, "The model /no such/model does not exist"),
        ({"threshold": "abc"}, "threshold is 'abc'; expected a number"),
        ({"threshold": "nan"}, "threshold is 'nan'; expected a number"),
        ({"threshold": "2"}, "threshold is 2.0; expected a number above 0"),
        ({"overlap": "-1"}, "overlap is -1.0; expected a number above 0"),
        ({"output": "a\0b"}, "output that came from ImageJ is not an option"),
        ({"output": "x" * 5000}, "output that came from ImageJ is not an option"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    tmp_path: Path, images: Path, model: Path, changes: dict[str, str], expected: str
) -> None:
    fields = {"model": str(model), "source": str(images), "output": str(tmp_path / "out")} | changes
    fields["output"] = fields["output"].replace("IMAGES", str(images))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RetinaJError, match=re.escape(expected)):
        ask(**fields)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_of_other_results_is_not_touched(tmp_path: Path, images: Path, model: Path) -> None:
    ask(model=model, source=images, output=tmp_path / "out", threshold="0.5")
    with pytest.raises(RetinaJError, match=r"results of other settings: threshold was 0\.5 and is 0\.6 now"):
        ask(model=model, source=images, output=tmp_path / "out", threshold="0.6")


def test_text_that_is_none_is_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(RetinaJError, match="source that came from ImageJ is not a text"):
        folder_verb(Models(open_model=open_fake))({"model": str(model).encode(), "source": b"\xff\xfe"}, Call())
