"""The summary of a folder's results: one table of all boxes, and thumbnails of all images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from retinaj.boxes import Boxes
from retinaj.colours import class_colour
from retinaj.errors import RetinaJError
from retinaj.prediction.contact_sheet import Thumbnail, write_contact_sheet
from retinaj.prediction.outputs import join_csv, read_csv, write_csv
from retinaj.prediction.overlay import draw_overlay

CLASSES = ("cell", "debris, old")
BOXES = Boxes([[1.5, 2, 9.25, 8], [0.1, 0, 4, 4]], [1, 0], CLASSES, [0.9, 0.5])


def thumbnail(folder: Path, boxes: Boxes, shape: tuple[int, int] = (3000, 4000), name: str = "a.png") -> Thumbnail:
    image = xr.DataArray(np.full(shape, 128, np.uint8), dims=("y", "x"))
    path = folder / "overlay.png"
    draw_overlay(image, boxes).save(path)
    return Thumbnail(name, (shape[1], shape[0]), path, boxes)


def places(page: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    return np.argwhere((np.asarray(page) == colour).all(axis=2))


def test_frames_of_large_images_are_seen_where_the_boxes_are(tmp_path: Path) -> None:
    boxes = Boxes([[1000, 750, 2000, 1500]], [1], CLASSES, [0.9])
    shown = thumbnail(tmp_path, boxes)
    (path,) = write_contact_sheet(tmp_path, 1, lambda at: shown, CLASSES)
    page = Image.open(path)
    frame = places(page, class_colour(1))
    # The picture is 300 of 4,000 pixels wide and stands below the heading; the legend has the colour, too.
    left, top = 16 + 75, 16 + 30 + 56.25
    frame = frame[frame[:, 0] < 16 + 30 + 225]
    assert np.abs(frame.min(axis=0) - [top, left]).max() <= 1
    assert np.abs(frame.max(axis=0) - [top + 56.25, left + 75]).max() <= 2
    assert page.size == (16 + 300 + 16, page.height)


def test_a_stack_shows_the_boxes_of_the_plane_that_its_picture_shows(tmp_path: Path) -> None:
    one = Boxes([[10, 10, 40, 40]], [0], CLASSES, [0.9])
    two = Boxes([[50, 10, 90, 40], [50, 50, 90, 90]], [1, 1], CLASSES, [0.9, 0.8])
    boxes = Boxes.concatenate([one.on_plane(0, 0, 0), two.on_plane(0, 0, 2)])
    image = xr.DataArray(np.full((3, 100, 100), 128, np.uint8), dims=("z", "y", "x"))
    draw_overlay(image, boxes).save(tmp_path / "overlay.png")
    shown = Thumbnail("stack.tif", (100, 100), tmp_path / "overlay.png", boxes)
    (path,) = write_contact_sheet(tmp_path, 1, lambda at: shown, CLASSES)
    picture = Image.open(path).crop((16, 46, 316, 346))
    assert len(places(picture, class_colour(1))) > 500
    assert not len(places(picture, class_colour(0)))


@pytest.mark.parametrize(("count", "pages", "shown"), [(0, 0, 0), (48, 1, 48), (49, 2, 49), (2000, 20, 960)])
def test_pages_are_bounded_and_images_spread_over_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, pages: int, shown: int
) -> None:
    monkeypatch.setattr("retinaj.prediction.contact_sheet._picture", lambda thumbnail, boxes: Image.new("RGB", (9, 9)))
    asked: list[int] = []
    reported: list[tuple[int, int]] = []

    def make(at: int) -> Thumbnail:
        asked.append(at)
        return Thumbnail(f"{at}.png", (9, 9), tmp_path, BOXES)

    written = write_contact_sheet(tmp_path, count, make, CLASSES, progress=lambda done, total: reported.append((done, total)))
    names = ["contact_sheet.png", *(f"contact_sheet_{page}.png" for page in range(2, pages + 1))][:pages]
    assert [path.name for path in written] == names
    assert len(set(asked)) == shown
    assert reported == [(at, shown) for at in range(1, shown + 1)]
    if count == 2000:
        assert asked[-1] >= count - 3


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "overlay.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing else")
    shown = Thumbnail("a.png", (9, 9), tmp_path / "overlay.png", BOXES)
    with pytest.raises(RetinaJError, match=r"overlay\.png cannot be read for the contact sheet"):
        write_contact_sheet(tmp_path, 1, lambda at: shown, CLASSES)
    assert not (tmp_path / "contact_sheet.png").exists()


@pytest.mark.parametrize("boxes", [BOXES, BOXES.on_plane(3, 0, 6), Boxes.empty(CLASSES, scored=True)])
def test_tables_are_read_as_they_were_written(tmp_path: Path, boxes: Boxes) -> None:
    write_csv(tmp_path / "a.csv", boxes)
    found = read_csv(tmp_path / "a.csv", CLASSES)
    np.testing.assert_array_equal(found.xyxy, boxes.xyxy)
    np.testing.assert_array_equal(found.score, boxes.score)
    assert found.names == boxes.names
    assert (found.plane is None) == (boxes.plane is None)
    if boxes.plane is not None:
        np.testing.assert_array_equal(found.plane, boxes.plane)


@pytest.mark.parametrize("row", ["a,0,1,1,0.5,cell", "0,0,1,1,0.5,other", "0,0,1", "0,0,1,nan,0.5,cell"])
def test_a_changed_table_is_refused(tmp_path: Path, row: str) -> None:
    path = tmp_path / "a.csv"
    write_csv(path, Boxes.empty(CLASSES, scored=True))
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(RetinaJError):
        read_csv(path, CLASSES)


def test_one_table_has_the_boxes_of_all_images(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", BOXES)
    write_csv(tmp_path / "b.csv", BOXES.on_plane(0, 0, 6))
    join_csv(tmp_path / "all.csv", [("ä, 1.png", tmp_path / "a.csv"), ("b.tif", tmp_path / "b.csv")])
    lines = (tmp_path / "all.csv").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["image,x_min,y_min,x_max,y_max,score,class,t,z", '"ä, 1.png",1.5,2.0,9.25,8.0,0.9,"debris, old",,']
    assert lines[4] == "b.tif,0.1,0.0,4.0,4.0,0.5,cell,1,7"
    assert len(lines) == 5
