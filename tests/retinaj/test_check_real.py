"""What is known to be wrong with real data is found, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from retinaj.checking.fix import write_fixed
from retinaj.checking.leakage import compare_parts
from retinaj.checking.parts import find_parts
from retinaj.checking.run import check_dataset
from retinaj.images.files import read_names


@pytest.fixture(scope="module")
def bccd(shared_data):
    folder = shared_data / "bccd" / "BCCD"
    parts = find_parts(folder / "JPEGImages", [folder / "Annotations"])
    return check_dataset(folder / "JPEGImages", parts, seconds=300)


def test_bccd(bccd):
    assert dict(bccd.parts) == {"training": 205, "validation": 87, "test": 72}
    assert bccd.counts() == {"overlap-across-parts": 14, "near-duplicate-box": 8, "zero-area": 2}
    assert [(each.file.stem, each.place) for each in bccd.of("zero-area")] == [
        ("BloodImage_00338", "object 13"),
        ("BloodImage_00343", "object 4"),
    ]
    assert [(each.file.stem[-5:], each.place) for each in bccd.of("near-duplicate-box")] == [
        ("00013", "object 7 and object 15"),
        ("00020", "object 14 and object 15"),
        ("00100", "object 2 and object 3"),
        ("00104", "object 13 and object 14"),
        ("00251", "object 7 and object 8"),
        ("00284", "object 1 and object 2"),
        ("00331", "object 2 and object 3"),
        ("00403", "object 3 and object 4"),
    ]


def test_overlapping_fields_of_bccd(bccd):
    """All 14 were looked at: each pair shows the same cells."""
    pairs = {
        frozenset((each.image.stem[-5:], each.other_image.stem[-5:]))
        for each in bccd.of("overlap-across-parts")
        if each.other_image is not None
    }
    known = "037-038 204-277 205-276 223-263 226-261 227-260 229-258 230-257 233-254 236-253 242-249 244-247 248-249 386-391"
    assert pairs == {frozenset(f"00{number}" for number in pair.split("-")) for pair in known.split()}


def test_a_fixed_copy_of_bccd(bccd, tmp_path):
    fixed = write_fixed(bccd, tmp_path / "fixed")
    checks = [each.check for each in fixed.changes]
    assert (checks.count("zero-area"), checks.count("near-duplicate-box"), len(checks)) == (2, 7, 9)
    again = check_dataset(bccd.images, find_parts(bccd.images, [tmp_path / "fixed" / "Annotations"]), compare=False)
    assert (again.boxes, again.counts()) == (bccd.boxes - 9, {"near-duplicate-box": 1})


def test_nanowell(shared_data):
    folder = shared_data / "nanowell"
    result = check_dataset(folder / "JPEGImages", find_parts(folder / "JPEGImages", [folder / "Annotations"]), compare=False)
    assert result.counts() == {"depth-differs": 343, "no-objects": 13}
    assert result.of("depth-differs")[0].message == "the annotation states 1 channel, the image has 3 channels"


def test_copies_in_nanowell(shared_data):
    """Pairs that were looked at: with another contrast, mirrored, turned, and wells that only look alike."""
    names = {
        "train": ("ncell (201)", "ncell (15)", "ncell (28)", "cell (201)"),
        "test": ("ncell (220)", "ncell (125)", "ncell (53)", "ncell (69)"),
    }
    images = shared_data / "nanowell" / "JPEGImages"
    found = compare_parts({part: [images / f"{name}.png" for name in each] for part, each in names.items()}, seconds=300)
    pairs = {(each.image.stem, each.other_image.stem) for each in found.findings if each.image and each.other_image}
    assert pairs == {
        ("ncell (201)", "ncell (220)"),
        ("ncell (15)", "ncell (125)"),
        ("ncell (28)", "ncell (53)"),
    }


def test_nuclei_have_no_false_alarms(shared_data):
    folder = shared_data / "nuclei_fluo"
    parts = find_parts(folder / "images", [folder / f"{part}.json" for part in ("val", "test")])
    result = check_dataset(folder / "images", parts, seconds=300)
    assert result.counts() == {"missing-annotation": 325}
    assert dict(result.parts) == {"val": 71, "test": 72}


def test_names_of_the_parts_agree_with_the_lists(bccd, shared_data: Path):
    lists = shared_data / "bccd" / "BCCD" / "ImageSets" / "Main"
    counts = [len(read_names(lists / f"{name}.txt")) for name in ("train", "val", "test")]
    assert list(bccd.parts.values()) == counts
