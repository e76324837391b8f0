"""Images that show the same are found whatever was done to them; images that do not, are not."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from fields import field, save
from PIL import Image

from retinaj.checking.leakage import compare_parts
from retinaj.checking.overlap import peaks, spectra

FIELD = field(0)
FIRST = FIELD[:200, :240]


@pytest.fixture
def pair(tmp_path):
    """Writes a second image beside the first and compares them, with three unrelated images in each part."""

    def compare(second, name: str = "second.png", **options):
        parts = {
            "train": [save(tmp_path / f"t{at}.png", field(10 + at)[:200, :240]) for at in range(3)],
            "test": [save(tmp_path / f"s{at}.png", field(20 + at)[:200, :240]) for at in range(3)],
        }
        parts["train"].append(save(tmp_path / "first.png", FIRST))
        path = tmp_path / name
        if callable(second):
            second(path)
        else:
            save(path, second)
        parts["test"].append(path)
        return compare_parts(parts, **options)

    return compare


def test_unrelated_images_are_not_alike(pair):
    found = pair(field(5)[:200, :240])
    assert found.findings == []
    assert (found.images, found.pairs, found.all_pairs) == (8, 16, 16)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (FIRST, "has the same pixels as second.png (in train and in test)"),
        ((FIRST * 0.6 + 40).astype(np.uint8), "shows the same as second.png (in train and in test)"),
        (FIRST[:, ::-1], "shows the same, turned or mirrored, as second.png (in train and in test)"),
        (np.rot90(FIRST), "shows the same, turned or mirrored, as second.png (in train and in test)"),
        (np.asarray(Image.fromarray(FIRST).resize((120, 100))), "shows the same as second.png (in train and in test)"),
    ],
    ids=["copy", "contrast", "mirrored", "turned", "resized"],
)
def test_copies(pair, second, message):
    [finding] = pair(second).findings
    assert (finding.check, finding.message) == ("identical-across-parts", message)
    assert (finding.image.name, finding.other_image.name) == ("first.png", "second.png")


def test_copies_in_other_formats(pair):
    [finding] = pair(lambda path: tifffile.imwrite(path, FIRST), "second.tif").findings
    assert finding.message.startswith("has the same pixels as second.tif")
    [finding] = pair(lambda path: Image.fromarray(FIRST).save(path, quality=60), "second.jpg").findings
    assert finding.message.startswith("shows the same as second.jpg")


@pytest.mark.parametrize(("x", "y"), [(60, 0), (0, 70), (50, 40), (20, 80)])
def test_overlapping_fields_with_noise(pair, x, y):
    noise = np.random.default_rng(0).normal(0, 4, (200, 240))
    [finding] = pair(np.clip(FIELD[y : y + 200, x : x + 240] + noise, 0, 255).astype(np.uint8)).findings
    share = (1 - x / 240) * (1 - y / 200)
    assert finding.check == "overlap-across-parts"
    assert finding.message.startswith("shows ")
    assert abs(float(finding.message.split()[1].rstrip("%")) - 100 * share) < 3
    # What both show, in the pixels of each.
    np.testing.assert_allclose(finding.boxes, [(x, y, 240, 200)], atol=3)
    np.testing.assert_allclose(finding.other_boxes, [(0, 0, 240 - x, 200 - y)], atol=3)


def test_neighbours_that_share_little_are_not_taken_for_the_same_field(pair):
    assert pair(FIELD[110:310, 75:315]).findings == []


def test_images_without_content_and_with_the_same_single_object_are_not_alike(pair, tmp_path):
    assert pair(np.full((200, 240), 7, np.uint8)).findings == []
    blank = [save(tmp_path / f"blank{at}.png", np.zeros((50, 50), np.uint8)) for at in range(2)]
    assert compare_parts({"train": blank[:1], "test": blank[1:]}).findings == []
    y, x = np.mgrid[:200, :240]

    def lone(cx: int, cy: int, seed: int):
        cell = 150 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 60)
        return (cell + np.random.default_rng(seed).normal(20, 3, cell.shape)).clip(0, 255).astype(np.uint8)

    cells = [save(tmp_path / f"lone{at}.png", lone(*place, at)) for at, place in enumerate([(60, 60), (150, 120)])]
    assert compare_parts({"train": cells[:1], "test": cells[1:]}).findings == []


def test_one_part_has_only_identical_images_found(tmp_path):
    paths = [save(tmp_path / f"{at}.png", pixels) for at, pixels in enumerate([FIRST, FIELD[50:250, :240], FIRST])]
    [finding] = compare_parts({"all": paths}).findings
    assert (finding.check, finding.message) == ("identical-images", "has the same pixels as 2.png")


def test_what_cannot_be_done_in_time_is_said(pair):
    found = pair(FIRST, seconds=-1)
    assert [each.message for each in found.findings] == ["reading took too long: 8 of 8 images were not compared with others"]


def test_progress_can_cancel(pair):
    done: list[tuple[int, int]] = []

    def cancel(at: int, total: int) -> None:
        done.append((at, total))
        if at == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pair(FIRST, progress=cancel)
    assert done == [(0, 16), (1, 16), (2, 16), (3, 16)]
    done.clear()
    pair(FIRST, progress=lambda at, total: done.append((at, total)))
    assert done == sorted(done)
    assert done[7] == (7, 16)
    assert 12 <= done[-1][0] <= 16


def test_the_peak_of_an_image_with_itself_is_one():
    thumbs = np.stack([field(at, 64) for at in range(2)]).astype(np.float32)
    found = spectra(thumbs)
    fit = peaks(found, found[0], 64)
    assert fit[0] == pytest.approx(1, abs=1e-3)
    assert fit[1] < 0.4


def test_training_is_told_what_was_compared_and_found(tmp_path):
    from retinaj.training.leakage_warning import leakage_lines

    training = [save(tmp_path / f"t{at}.png", field(at)[:200, :240]) for at in range(7)]
    validation = [save(tmp_path / f"v{at}.png", field(20 + at)[:200, :240]) for at in range(2)]
    assert list(leakage_lines(training, validation)) == [
        "Compared 14 pairs of training and validation images: no copies, no overlapping fields."
    ]
    copies = [save(tmp_path / f"c{at}.png", field(at)[:200, :240]) for at in range(7)]
    lines = list(leakage_lines(training, copies))
    assert lines[:2] == [
        "Warning: t0.png has the same pixels as c0.png (in training and in validation)",
        "Warning: t1.png has the same pixels as c1.png (in training and in validation)",
    ]
    assert lines[5:] == [
        "Compared 49 pairs of training and validation images: 7 of them copies or overlapping fields, so that validation "
        "flatters the model (5 are above; `retinaj check` lists all)."
    ]
