"""The example data set: complete, repeatable, and annotated where the objects are."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from retinaj.dataset import load_dataset
from retinaj.errors import RetinaJError
from retinaj.example_data import CLASS_NAMES, draw_image, make_example_data
from retinaj.images import read_image


def digest(folder) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_layout_loads_without_a_note(tmp_path):
    folder = make_example_data(tmp_path / "example", seed=5, train=6, validation=2, test=3, size=128)
    images, annotations = folder / "JPEGImages", folder / "Annotations"
    whole = load_dataset(images, annotations)
    assert (len(whole), whole.class_names, whole.notes) == (11, CLASS_NAMES, ())
    assert min(whole.counts().values()) > 0
    seen: list[str] = []
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        data = load_dataset(images, annotations, names=folder / "ImageSets" / "Main" / f"{part}.txt")
        assert len(data) == count
        seen += [sample.name for sample in data.samples]
    assert seen == [sample.name for sample in whole.samples]
    image = read_image(whole.samples[0].image_path)
    assert (dict(image.sizes), image.dtype) == ({"y": 128, "x": 128}, np.uint8)
    readme = (folder / "README.txt").read_text()
    assert "seed 5" in readme
    assert "128 x 128" in readme


def test_same_seed_same_files_and_more_test_images_change_no_others(tmp_path):
    make_example_data(tmp_path / "a", seed=1, train=2, validation=1, test=1, size=64)
    make_example_data(tmp_path / "b", seed=1, train=2, validation=1, test=1, size=64)
    make_example_data(tmp_path / "c", seed=2, train=2, validation=1, test=1, size=64)
    make_example_data(tmp_path / "d", seed=1, train=2, validation=1, test=3, size=64)
    a, b, c, d = (digest(tmp_path / name) for name in "abcd")
    assert a == b
    assert a["JPEGImages/culture_0001.png"] != c["JPEGImages/culture_0001.png"]
    assert all(d[name] == a[name] for name in a if name.startswith(("JPEGImages", "Annotations")))


def test_boxes_lie_on_light():
    for seed in range(4):
        pixels, boxes = draw_image(np.random.default_rng(seed), 256)
        covered = np.zeros(pixels.shape, bool)
        for x_min, y_min, x_max, y_max in boxes.xyxy.astype(int):
            covered[y_min:y_max, x_min:x_max] = True
        assert 0.02 < covered.mean() < 0.6
        assert pixels[covered].mean() > 1.3 * pixels[~covered].mean()
        assert boxes.xyxy.min() >= 0
        assert boxes.xyxy.max() <= 256
        assert min(boxes.width.min(), boxes.height.min()) >= 3
        # what is left of the brightest spots when all boxes are taken out is noise, not an object without a box
        assert np.percentile(pixels[~covered], 99.5) < np.percentile(pixels[covered], 90)


def test_boxes_are_tight_around_single_objects():
    """Every side of a box touches its object: the rows and columns just inside are brighter than those just outside."""
    inside, outside = [], []
    for seed in range(6):
        pixels, boxes = draw_image(np.random.default_rng(seed), 256)
        padded = np.pad(pixels.astype(float), 3, mode="reflect")
        for x_min, y_min, _, y_max in boxes.xyxy.astype(int) + 3:
            inside.append(padded[y_min:y_max, x_min : x_min + 2].mean())
            outside.append(padded[y_min:y_max, x_min - 3 : x_min - 1].mean())
    assert np.mean(np.array(inside) > np.array(outside)) > 0.8


@pytest.mark.parametrize("options", [{"train": 0}, {"test": -1}, {"size": 32}, {"seed": -1}])
def test_impossible_requests_are_refused_before_anything_is_made(tmp_path, options):
    with pytest.raises(RetinaJError, match="cannot be made"):
        make_example_data(tmp_path / "example", **options)
    assert not list(tmp_path.iterdir())


def test_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(RetinaJError, match="already exists"):
        make_example_data(tmp_path, train=1, validation=1, test=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
