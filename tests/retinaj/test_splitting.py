"""Splits: complete, fair to each class, whole groups, the same on every machine; what cannot be is said in one sentence."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from retinaj.boxes import Boxes
from retinaj.cli import app
from retinaj.dataset import Dataset, Sample, load_dataset
from retinaj.errors import RetinaJError
from retinaj.images.files import read_names
from retinaj.name_pattern import NamePattern
from retinaj.splitting import Grouping, Unit, split_dataset, stratify, write_split

CLASSES = ("cell", "debris", "crystal")
# A split that changed between versions would make old results incomparable.
WRITTEN = (["s1", "s10"], ["s3", "s8"])
FOLDER = Path("images")


def sample(name: str, *labels: int) -> Sample:
    corners = np.tile(np.array([[1, 1, 9, 9]], np.float32), (len(labels), 1))
    return Sample(name.rsplit(".", 1)[0], FOLDER / name, Boxes(corners, labels, CLASSES))


def dataset(*samples: Sample) -> Dataset:
    return Dataset(CLASSES, samples)


def plates(plate_count: int, wells: int) -> Dataset:
    """Images plate0_0.png and so on, each with one cell."""
    return dataset(*(sample(f"plate{plate}_{well}.png", 0) for plate in range(plate_count) for well in range(wells)))


def names(split) -> dict[str, list[str]]:
    return {part.name: [each.name for each in part.samples] for part in split.parts}


images = st.lists(st.lists(st.integers(0, 2), max_size=6), min_size=3, max_size=60)


class TestProperties:
    @settings(max_examples=40, deadline=None)
    @given(images, st.sampled_from([(0.15, 0.15), (0.2, 0.0), (0.0, 0.3), (0.4, 0.4)]), st.integers(0, 1000))
    def test_parts_are_disjoint_complete_and_of_the_size_asked_for(self, labels, shares, seed):
        data = dataset(*(sample(f"{at}.png", *each) for at, each in enumerate(labels)))
        split = split_dataset(data, FOLDER, validation=shares[0], test=shares[1], seed=seed)
        dealt = [name for part in names(split).values() for name in part]
        assert sorted(dealt) == sorted(each.name for each in data.samples)
        for part in split.parts:
            wanted = part.share * len(labels)
            assert part.samples
            # rounded to whole images; each part has one at least, which the others give up
            assert abs(len(part.samples) - wanted) <= (2 if part.name == "train" or wanted < 1 else 0.5) or len(labels) < 5
            order = [each.name for each in data.samples if each in part.samples]
            assert order == [each.name for each in part.samples]

    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)), min_size=60, max_size=150),
        st.integers(0, 99),
    )
    def test_each_part_has_its_share_of_each_class(self, counts, seed):
        data = dataset(
            *(sample(f"{at}.png", *[label for label in range(3) for _ in range(each[label])]) for at, each in enumerate(counts))
        )
        split = split_dataset(data, FOLDER, validation=0.2, test=0.2, seed=seed)
        total = data.counts()
        for part in split.parts:
            for name, count in split.counts(part).items():
                if total[name] >= 30:
                    assert abs(count / total[name] - part.share) < 0.07, (part.name, name)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.integers(1, 4), min_size=30, max_size=60), st.integers(0, 99))
    def test_groups_stay_whole_and_parts_near_their_size(self, sizes, seed):
        data = dataset(*(sample(f"p{group}_{at}.png", at % 3) for group, size in enumerate(sizes) for at in range(size)))
        grouping = Grouping("pattern", r"^(p\d+)_")
        split = split_dataset(data, FOLDER, validation=0.2, test=0.2, seed=seed, grouping=grouping)
        where = {name: part for part, each in names(split).items() for name in each}
        for group in range(len(sizes)):
            assert len({where[name] for name in where if name.startswith(f"p{group}_")}) == 1
        for part in split.parts:
            assert abs(len(part.samples) / len(data) - part.share) < 0.05
            assert set(part.groups) == {split.group_of[each.name] for each in part.samples}

    @settings(max_examples=30, deadline=None)
    @given(images, st.integers(0, 99), st.randoms())
    def test_the_order_of_images_does_not_matter(self, labels, seed, random):
        data = dataset(*(sample(f"{at}.png", *each) for at, each in enumerate(labels)))
        turned = list(data.samples)
        random.shuffle(turned)
        parts = [
            {
                name: sorted(each)
                for name, each in names(split_dataset(one, FOLDER, validation=0.2, test=0.2, seed=seed)).items()
            }
            for one in (data, dataset(*turned))
        ]
        assert parts[0] == parts[1]


def test_a_rare_class_reaches_every_part_and_training_first():
    data = dataset(*(sample(f"{at}.png", 0, *([1] if at in (5, 17, 31) else [])) for at in range(40)))
    for seed in range(5):
        split = split_dataset(data, FOLDER, validation=0.15, test=0.15, seed=seed)
        assert [split.counts(part)["debris"] for part in split.parts] == [1, 1, 1]
    lone = dataset(*(sample(f"{at}.png", 0, *([1] if at == 5 else [])) for at in range(40)))
    split = split_dataset(lone, FOLDER, validation=0.15, test=0.15, seed=0)
    assert [split.counts(part)["debris"] for part in split.parts] == [1, 0, 0]
    assert split.notes == ("No object of 'debris' is in validation and test: one image of the data set has any.",)


def test_images_without_objects_are_shared_out_too():
    data = dataset(*(sample(f"{at}.png", *([] if at < 10 else [0])) for at in range(50)))
    split = split_dataset(data, FOLDER, validation=0.2, test=0.2, seed=3)
    assert [part.empty for part in split.parts] == [6, 2, 2]


def test_the_split_is_written_down():
    units = [Unit(f"s{at}", 1, (1 + at % 3, at % 2)) for at in range(12)]
    parts = stratify(units, (8, 2, 2), seed=0)
    assert [unit.key for unit, part in zip(units, parts, strict=True) if part == 1] == WRITTEN[0]
    assert [unit.key for unit, part in zip(units, parts, strict=True) if part == 2] == WRITTEN[1]
    assert stratify(units, (8, 2, 2), seed=1) != parts


def test_many_images_take_seconds():
    rng = np.random.default_rng(0)
    units = [Unit(str(at), 1, tuple(rng.integers(0, 4, 5).tolist())) for at in range(20_000)]
    started = time.perf_counter()
    parts = Counter(stratify(units, (14_000, 3_000, 3_000), seed=0))
    assert time.perf_counter() - started < 20
    assert parts == {0: 14_000, 1: 3_000, 2: 3_000}


class TestImpossible:
    @pytest.mark.parametrize(
        ("validation", "test", "message"),
        [
            (-0.1, 0.1, "--validation is -0.1; expected a share"),
            (0.1, 1.0, "--test is 1; expected a share"),
            (float("nan"), 0.1, "--validation is nan"),
            (0.5, 0.5, "leave no image for training"),
            (0.0, 0.0, "nothing to divide"),
        ],
    )
    def test_shares(self, validation, test, message):
        with pytest.raises(RetinaJError, match=message):
            split_dataset(plates(5, 2), FOLDER, validation=validation, test=test, seed=0)

    def test_too_few_images_or_groups(self):
        with pytest.raises(RetinaJError, match="There are 2 annotated images, but 3 parts"):
            split_dataset(plates(2, 1), FOLDER, validation=0.2, test=0.2, seed=0)
        with pytest.raises(RetinaJError, match=r"There are 2 groups of images \(plate0, plate1\), but 3 parts"):
            split_dataset(plates(2, 9), FOLDER, validation=0.2, test=0.2, seed=0, grouping=Grouping("pattern", r"(plate\d)"))

    def test_a_group_larger_than_its_part(self):
        data = dataset(*(sample(f"{'big' if at < 16 else 'small'}{at // 8}_{at}.png", 0) for at in range(20)))
        grouping = Grouping("pattern", "^(big|small)")
        with pytest.raises(RetinaJError, match=r"too large.*validation would get 4 of the 20 images where 10.*'big', has 16"):
            split_dataset(data, FOLDER, validation=0.5, test=0, seed=0, grouping=grouping)
        assert len(split_dataset(data, FOLDER, validation=0.2, test=0, seed=0, grouping=grouping).parts[1].samples) == 4

    @pytest.mark.parametrize(
        ("pattern", "message"),
        [
            ("well(.)", "matches no image's name, such as 'plate0_0.png'"),
            (r"plate[12]_(\d)", "matches only 6 of the 9 images' names, not others"),
            ("(plate)", "puts all 9 images, such as 'plate0_0.png', into one group, 'plate'"),
            (r"plate\d", "with 0 groups; expected one pair of parentheses"),
            (r"(plate)(\d)", "with 2 groups"),
            ("(plate", "no regular expression"),
            (r"(a)\1", "no regular expression"),
            ("(\udcff)", "not valid text"),
            ("(" + "a" * 2000 + ")", "2,002 characters"),
            ("((a{1000}){1000}){1000}", "no regular expression"),
        ],
    )
    def test_patterns(self, pattern, message):
        with pytest.raises(RetinaJError, match=message):
            split_dataset(plates(3, 3), FOLDER, validation=0.3, test=0, seed=0, grouping=Grouping("pattern", pattern))

    def test_a_hostile_pattern_is_fast(self):
        started = time.perf_counter()
        assert NamePattern("^(a+)+$|(?:x{900}){1,1}", "--group-by").find("a" * 5000 + "b") is None
        assert time.perf_counter() - started < 2


class TestTable:
    def split(self, tmp_path, text: str, encoding: str = "utf-8"):
        table = tmp_path / "groups.csv"
        table.write_bytes(text.encode(encoding))
        grouping = Grouping.parse(str(table))
        assert grouping.by == "table"
        return split_dataset(plates(4, 1), FOLDER, validation=0.5, test=0, seed=0, grouping=grouping)

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    def test_names_with_or_without_suffix_header_and_other_images(self, tmp_path, separator):
        rows = ["Image,Patient", "plate0_0,A", "plate1_0.png,A", "", "plate2_0,B", "plate3_0,B", "plate9_0,C"]
        split = self.split(tmp_path, "\r\n".join(rows).replace(",", separator), "utf-8-sig")
        assert split.group_of == {"plate0_0": "A", "plate1_0": "A", "plate2_0": "B", "plate3_0": "B"}
        assert [len(part.groups) for part in split.parts] == [1, 1]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("plate0_0,A\nplate1_0,B\n", "has no row for 2 of the 4 images, such as 'plate2_0.png', 'plate3_0.png'"),
            ("plate0_0,A\nplate0_0,B\n", "line 2: 'plate0_0' is in the group 'B', and before in 'A'"),
            ("plate0_0,A,x\n", "line 1: has 3 columns"),
            ("plate0_0,\n", "line 1: has 2 columns"),
            ("plate0_0\n", "line 1: has 1 columns"),
            ('plate0_0,"' + "x" * 200_000, "is not a table"),
        ],
    )
    def test_broken_tables(self, tmp_path, text, message):
        with pytest.raises(RetinaJError, match=message):
            self.split(tmp_path, text)

    def test_not_text_or_absent(self, tmp_path):
        with pytest.raises(RetinaJError, match="not text in UTF-8"):
            self.split(tmp_path, "plate0_0,ä", "latin-1")
        with pytest.raises(RetinaJError, match=r"none\.csv does not exist; expected a table"):
            split_dataset(
                plates(3, 1), FOLDER, validation=0.3, test=0, seed=0, grouping=Grouping.parse(str(tmp_path / "none.csv"))
            )


def test_folders_as_groups():
    data = dataset(*(sample(f"day{at % 3}/{at}.png", 0) for at in range(9)))
    split = split_dataset(data, FOLDER, validation=0.33, test=0.33, seed=0, grouping=Grouping.parse("folder"))
    assert sorted(part.groups for part in split.parts) == [("day0",), ("day1",), ("day2",)]


def test_planes_of_one_file_stay_together():
    boxes = sample("x.png", 0).boxes
    planes = [Sample(f"stack{at // 5}_z{at % 5}", FOLDER / f"stack{at // 5}.tif", boxes, (0, at % 5)) for at in range(40)]
    split = split_dataset(dataset(*planes), FOLDER, validation=0.25, test=0.25, seed=0)
    assert [(len(part.samples), len(part.names)) for part in split.parts] == [(20, 4), (10, 2), (10, 2)]
    assert sorted(name for part in split.parts for name in part.names) == [f"stack{at}.tif" for at in range(8)]


def test_uneven_groups_are_said():
    data = dataset(*(sample(f"p{at // 10}_{at}.png", *[0] * (30 if at < 10 else 1)) for at in range(100)))
    split = split_dataset(data, FOLDER, validation=0.1, test=0, seed=0, grouping=Grouping("pattern", "^(p.)"))
    assert len(split.notes) == 1
    assert "of the objects of 'cell' rather than 10%, because the groups differ so much" in split.notes[0]
    single = split_dataset(plates(5, 1), FOLDER, validation=0.2, test=0, seed=0, grouping=Grouping("pattern", "(plate.)"))
    assert single.notes == ("Each of the 5 images is a group of its own, so that --group-by keeps none together.",)


def test_files_are_the_same_bytes_and_never_overwritten(tmp_path):
    grouping = Grouping("pattern", r"(plate\d)")
    for folder in ("one", "two"):
        split = split_dataset(plates(8, 2), FOLDER, validation=0.25, test=0.25, seed=7, grouping=grouping)
        write_split(split, tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["split.json", "test.txt", "train.txt", "validation.txt"]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)
    record = json.loads((tmp_path / "one" / "split.json").read_text(encoding="utf-8"))
    assert (record["seed"], record["group_by"]) == (7, {"kind": "pattern", "value": r"(plate\d)"})
    assert record["parts"]["test"] == {
        "list": "test.txt",
        "share": 0.25,
        "images": 4,
        "images_without_objects": 0,
        "objects": {"cell": 4, "debris": 0, "crystal": 0},
        "groups": list(split.parts[2].groups),
    }
    assert record["group_of"]["plate3_1"] == "plate3"
    with pytest.raises(RetinaJError, match="already exists"):
        write_split(split, tmp_path / "one")


@pytest.mark.parametrize("name", [" a", "a\nb", "a\udcff", "\ufeffa"])
def test_names_that_no_list_can_hold_are_refused(tmp_path, name):
    data = dataset(sample("b.png", 0), Sample(name, FOLDER / "x.png", Boxes([[1, 1, 9, 9]], [0], CLASSES)))
    split = split_dataset(data, FOLDER, validation=0.5, test=0, seed=0)
    with pytest.raises(RetinaJError, match="cannot stand in a list of names"):
        write_split(split, tmp_path / "split")
    assert not (tmp_path / "split").exists()


def test_dataset_split_says_which_class_a_part_lacks():
    data = dataset(*(sample(f"{at}.png", 0, *([1] if at == 3 else [])) for at in range(10)))
    training, validation = data.split(0.2, seed=0)
    part = "validation" if training.counts()["debris"] else "training"
    assert training.notes == (f"no object of 'debris' is among the {part} images: `retinaj split` shares rare classes out",)
    assert validation.notes == ()


REAL = {
    "bccd": ("bccd/BCCD/JPEGImages", "bccd/BCCD/Annotations", []),
    "nanowell": ("nanowell/JPEGImages", "nanowell/Annotations", ["--group-by", r"^n?cell \((\d\d?)"]),
    "nuclei_fluo": ("nuclei_fluo/images", "nuclei_fluo/train.json", ["--seed", "5"]),
}


@pytest.mark.parametrize("name", REAL)
def test_real_data(shared_data, tmp_path, name):
    images, annotations, options = REAL[name]
    output = tmp_path / "split"
    arguments = ["split", str(shared_data / images), str(shared_data / annotations), "--output", str(output), *options]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "validation" in done.output
    whole = load_dataset(shared_data / images, shared_data / annotations)
    parts = {part: whole.subset(read_names(output / f"{part}.txt")) for part in ("train", "validation", "test")}
    taken = load_dataset(shared_data / images, shared_data / annotations, names=output / "test.txt")
    assert [sample.name for sample in taken.samples] == [sample.name for sample in parts["test"].samples]
    assert sorted(s.name for part in parts.values() for s in part.samples) == sorted(s.name for s in whole.samples)
    slack = 0.04 if "--group-by" in options else 0.02
    for part, share in (("train", 0.7), ("validation", 0.15), ("test", 0.15)):
        assert len(parts[part]) / len(whole) == pytest.approx(share, abs=slack)
        for class_name, count in parts[part].counts().items():
            assert count / whole.counts()[class_name] == pytest.approx(share, abs=slack), (part, class_name)
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1
    assert "already exists" in again.output
