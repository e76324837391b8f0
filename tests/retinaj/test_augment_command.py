"""`retinaj augment`: copies that are right in pixels and boxes, and a page to look at."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import xarray as xr
from discs import CLASSES, write_discs
from PIL import Image
from strengths import strongest
from typer.testing import CliRunner

from retinaj.annotations import pascal_voc
from retinaj.augmentation import AugmentationConfig
from retinaj.augmentation.multiply import ANNOTATIONS_FOLDER, IMAGES_FOLDER, TRAINING_LIST, VALIDATION_LIST, multiply
from retinaj.augmentation.whole_image import turn_image, vary_image
from retinaj.boxes import Boxes
from retinaj.cli import app
from retinaj.dataset import Dataset, Sample, load_dataset
from retinaj.errors import RetinaJError
from retinaj.images import read_image
from retinaj.training.data import WindowSource
from retinaj.training.image_store import ImageStore
from retinaj.training.plan import plan_model
from retinaj.training.run_folder import Run, save_run
from retinaj.training.settings import TrainingSettings
from retinaj.training.validation_images import validation_images

OFF = AugmentationConfig.off()
NOTHING = Dataset(CLASSES, ())
QUICK = TrainingSettings(window=64, downsampling=1, levels=(3, 4), windows_per_epoch=8, batch_size=4, seed=5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_discs(tmp_path_factory.mktemp("some discs"), 6)


def run(*words: str | Path, expect: int = 0) -> str:
    result = CliRunner().invoke(app, ["augment", *map(str, words)])
    assert result.exit_code == expect, result.output
    return result.output


def written(folder: Path, list_name: str = TRAINING_LIST) -> Dataset:
    return load_dataset(folder / IMAGES_FOLDER, folder / ANNOTATIONS_FOLDER, names=folder / list_name)


def one(path: Path, boxes: Boxes) -> Dataset:
    return Dataset(boxes.class_names, (Sample(path.stem, path, boxes),))


def numbered(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


class TestCopies:
    def test_eight_times_are_all_ways_to_lay_an_image_down(self, tmp_path: Path) -> None:
        """Pixels and boxes: what is under a box is the same eight times, and no two images are."""
        pixels, boxes = numbered((20, 30), "uint8"), Boxes([[3, 4, 9, 17]], [0], ("cell",))
        Image.fromarray(pixels).save(tmp_path / "a.png")
        multiply(one(tmp_path / "a.png", boxes), NOTHING, tmp_path / "out", times=8, config=OFF, seed=0)
        found = written(tmp_path / "out")
        assert len(found) == 8
        whole, under = set(), []
        for sample in found.samples:
            image = read_image(sample.image_path).to_numpy()
            x_min, y_min, x_max, y_max = sample.boxes.xyxy[0].astype(int)
            whole.add((image.shape, image.tobytes()))
            under.append(sorted(image[y_min:y_max, x_min:x_max].ravel().tolist()))
        assert len(whole) == 8
        assert under == [sorted(pixels[4:17, 3:9].ravel().tolist())] * 8

    @pytest.mark.parametrize("times", [2, 3, 5])
    def test_each_time_more_adds_another_copy(self, data: tuple[Path, Path], tmp_path: Path, times: int) -> None:
        dataset = load_dataset(*data)
        done = multiply(dataset, NOTHING, tmp_path / "out", times=times, config=OFF, seed=1)
        found = written(tmp_path / "out")
        assert len(found) == done.images == times * len(dataset)
        assert found.counts() == {name: count * times for name, count in dataset.counts().items()}
        assert done.boxes == sum(found.counts().values())
        ends = {sample.name.partition("_")[2] for sample in found.samples}
        assert sorted(ends) == sorted(["", "flipped", "turned90", "turned180", "turned270"][:times])

    def test_originals_are_the_same_bytes_and_jpeg_copies_the_same_pixels(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        Image.fromarray(random.integers(0, 255, (24, 31, 3), np.uint8)).save(tmp_path / "a.jpg")
        boxes = Boxes([[1, 2, 13, 20]], [0], ("cell",))
        multiply(one(tmp_path / "a.jpg", boxes), NOTHING, tmp_path / "out", times=3, config=OFF, seed=0)
        images = tmp_path / "out" / IMAGES_FOLDER
        assert (images / "a.jpg").read_bytes() == (tmp_path / "a.jpg").read_bytes()
        turned = read_image(images / "a_turned90.png").to_numpy()
        np.testing.assert_array_equal(turned, np.rot90(read_image(tmp_path / "a.jpg").to_numpy(), -1, (1, 2)))
        # To the right: what was at the top left is at the top right.
        annotation = pascal_voc.read(tmp_path / "out" / ANNOTATIONS_FOLDER / "a_turned90.xml")
        assert annotation.size == (24, 31)
        assert annotation.boxes.xyxy.tolist() == [[24 - 20, 1, 24 - 2, 13]]

    @pytest.mark.parametrize(
        ("shape", "dtype"), [((12, 17), "uint16"), ((2, 12, 17), "uint16"), ((12, 17), "float32"), ((1, 1), "uint8")]
    )
    def test_tiff_keeps_type_channels_and_the_size_of_a_pixel(self, tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
        axes = "CYX" if len(shape) == 3 else "YX"
        pixels = numbered(shape, dtype) * np.array(150, dtype)
        tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, resolution=(4, 2), metadata={"axes": axes, "unit": "um"})
        multiply(one(tmp_path / "a.tif", Boxes.empty(("cell",))), NOTHING, tmp_path / "out", times=3, config=OFF, seed=0)
        turned = read_image(tmp_path / "out" / IMAGES_FOLDER / "a_turned90.tif")
        assert turned.dtype == dtype
        np.testing.assert_array_equal(turned.to_numpy(), np.rot90(pixels, -1, (-2, -1)))
        assert {key: turned.attrs["physical_size"][key] for key in ("x", "y")} == {"x": 0.5, "y": 0.25}

    def test_names_that_copies_would_take_stay_with_their_images(self, tmp_path: Path) -> None:
        for name in ("a.png", "a_flipped.png"):
            Image.fromarray(numbered((8, 9), "uint8")).save(tmp_path / name)
        samples = tuple(
            one(tmp_path / name, Boxes([[1, 1, 5, 5]], [0], ("cell",))).samples[0] for name in ("a.png", "a_flipped.png")
        )
        multiply(Dataset(("cell",), samples), NOTHING, tmp_path / "out", times=2, config=OFF, seed=0)
        names = sorted(path.name for path in (tmp_path / "out" / IMAGES_FOLDER).iterdir())
        assert names == ["a.png", "a_flipped.png", "a_flipped_2.png", "a_flipped_flipped.png"]
        original = tmp_path / "out" / IMAGES_FOLDER / "a_flipped.png"
        assert original.read_bytes() == (tmp_path / "a_flipped.png").read_bytes()

    def test_planes_of_a_stack_become_images_of_their_own(self, tmp_path: Path) -> None:
        pixels, boxes = numbered((3, 8, 9), "uint16"), Boxes([[1, 2, 6, 7]], [0], ("cell",))
        tifffile.imwrite(tmp_path / "s.tif", pixels, imagej=True, metadata={"axes": "ZYX"})
        samples = tuple(Sample(f"s_z{z + 1}", tmp_path / "s.tif", boxes, (0, z)) for z in (0, 2))
        multiply(Dataset(("cell",), samples), NOTHING, tmp_path / "out", times=3, config=OFF, seed=0)
        found = {sample.name: sample for sample in written(tmp_path / "out").samples}
        assert len(found) == 6
        for z in (0, 2):
            np.testing.assert_array_equal(found[f"s_z{z + 1}"].read().to_numpy(), pixels[z])
            np.testing.assert_array_equal(found[f"s_z{z + 1}_turned90"].read().to_numpy(), np.rot90(pixels[z], -1))

    def test_stacks_and_damaged_images_leave_nothing_behind(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "stack.tif", np.zeros((3, 8, 9), np.uint8), imagej=True, metadata={"axes": "ZYX"})
        (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
        for name, message in (("stack.tif", "is a stack"), ("cut.png", "damaged")):
            with pytest.raises(RetinaJError, match=rf"{name}.*{message}|{message}.*{name}"):
                multiply(one(tmp_path / name, Boxes.empty(("cell",))), NOTHING, tmp_path / "out", times=2, config=OFF, seed=0)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.png", "stack.tif"]


class TestFurtherStrengths:
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
    @pytest.mark.parametrize("channels", [1, 2, 3, 5])
    def test_nothing_is_varied_at_no_strength(self, dtype: str, channels: int) -> None:
        shape = (9, 11) if channels == 1 else (channels, 9, 11)
        image = xr.DataArray(numbered(shape, dtype), dims=("y", "x") if channels == 1 else ("c", "y", "x"))
        boxes = Boxes([[2, 2, 7, 8]], [0], ("cell",))
        varied, followed = vary_image(image, boxes, OFF, np.random.default_rng(0))
        assert (varied.dtype, varied.dims) == (image.dtype, image.dims)
        np.testing.assert_allclose(varied.to_numpy(), image.to_numpy(), rtol=1e-5, atol=1e-4 if dtype == "float32" else 0)
        assert followed.xyxy.tolist() == boxes.xyxy.tolist()

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
    def test_everything_at_its_strongest_stays_within_the_pixel_type(self, dtype: str) -> None:
        image = xr.DataArray(numbered((3, 40, 50), dtype), dims=("c", "y", "x"))
        boxes = Boxes([[5, 5, 30, 30], [0, 0, 50, 40]], [0, 0], ("cell",))
        for seed in range(5):
            varied, followed = vary_image(image, boxes, strongest(), np.random.default_rng(seed))
            assert (varied.dtype, varied.shape) == (image.dtype, image.shape)
            assert np.isfinite(varied.to_numpy()).all()
            assert followed.clipped(50, 40).xyxy.tolist() == followed.xyxy.tolist()

    def test_pixels_that_are_no_number_become_the_mean(self) -> None:
        pixels = np.ones((8, 8), np.float32)
        pixels[0, 0], pixels[0, 1] = np.nan, np.inf
        varied, _ = vary_image(xr.DataArray(pixels, dims=("y", "x")), Boxes.empty(("cell",)), OFF, np.random.default_rng(0))
        np.testing.assert_allclose(varied.to_numpy(), 1, rtol=1e-5)

    def test_copies_differ_and_the_same_seed_gives_the_same(self, data: tuple[Path, Path], tmp_path: Path) -> None:
        config = OFF.model_copy(update={"rotate": 20.0, "brightness": 1.0})
        for folder, seed in (("one", 3), ("again", 3), ("other", 4)):
            multiply(load_dataset(*data), NOTHING, tmp_path / folder, times=2, config=config, seed=seed)
        files = [sorted((tmp_path / folder / IMAGES_FOLDER).glob("*flipped*")) for folder in ("one", "again", "other")]
        contents = [[path.read_bytes() for path in found] for found in files]
        assert contents[0] == contents[1]
        assert all(a != b for a, b in zip(contents[0], contents[2], strict=True))

    def test_turning_keeps_what_is_not_pixels(self) -> None:
        image = xr.DataArray(numbered((3, 4), "uint8"), dims=("y", "x"), attrs={"rgb": False, "path": "a"})
        turned, boxes = turn_image(image, Boxes.empty(("cell",)), mirrored="", turns=1)
        assert (turned.sizes["x"], turned.attrs, len(boxes)) == (3, image.attrs, 0)


class TestCommand:
    def test_only_training_images_are_multiplied(self, data: tuple[Path, Path], tmp_path: Path) -> None:
        out = tmp_path / "my copies"
        printed = run(*data, "--output", out, "--times", "4", "--validation", "0.34")
        training, validation = written(out), written(out, VALIDATION_LIST)
        assert (len(training), len(validation)) == (16, 2)
        kept = {sample.name for sample in validation.samples}
        assert not kept & {sample.name.partition("_")[0] for sample in training.samples}
        assert len(list((out / IMAGES_FOLDER).iterdir())) == len(list((out / ANNOTATIONS_FOLDER).iterdir())) == 18
        assert "--times 4 --seed 0" in (out / "README.txt").read_text()
        assert "4 training images became 16 with" in printed
        assert f"'{out / TRAINING_LIST}'" in printed

    def test_strengths_vary_the_copies_and_are_written_down(self, data: tuple[Path, Path], tmp_path: Path) -> None:
        run(*data, "--output", tmp_path / "a", "--augment", "rotate=30", "--augment", "blur=1")
        assert "varied by rotate=30 blur=1" in (tmp_path / "a" / "README.txt").read_text()
        flipped = sorted((tmp_path / "a" / IMAGES_FOLDER).glob("*_flipped.png"))[0]
        plain = read_image(flipped.with_name(flipped.name.replace("_flipped", ""))).to_numpy()
        assert not any((read_image(flipped).to_numpy() == other).all() for other in (plain[:, ::-1], plain[::-1]))

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ((), "Give --output FOLDER"),
            (("--output", "new", "--augment", "mosaic=1"), "'mosaic=1' is not understood"),
            (("--output", "new", "--augment", "blur=11"), "blur is '11'; expected 0 to 10"),
            (("--output", "new", "--names", "nowhere.txt"), "nowhere.txt"),
        ],
    )
    def test_mistakes_are_told_and_leave_nothing(
        self, data: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert message in run(*data, *words, expect=1)
        assert not list(tmp_path.iterdir())

    def test_what_exists_is_not_overwritten(self, data: tuple[Path, Path], tmp_path: Path) -> None:
        (tmp_path / "page.html").write_text("mine")
        assert "already exists" in run(*data, "--preview", tmp_path / "page.html", expect=1)
        assert (tmp_path / "page.html").read_text() == "mine"

    def test_nine_times_are_too_many(self, data: tuple[Path, Path], tmp_path: Path) -> None:
        run(*data, "--output", tmp_path / "a", "--times", "9", expect=2)
        with pytest.raises(RetinaJError, match="--times is 9; expected 2 to 8"):
            multiply(load_dataset(*data), NOTHING, tmp_path / "a", times=9, config=OFF, seed=0)

    def test_real_images_with_their_own_lists(self, shared_data: Path, tmp_path: Path) -> None:
        folder = shared_data / "bccd" / "BCCD"
        names = (folder / "ImageSets" / "Main" / "train.txt").read_text().split()[:2]
        (tmp_path / "train.txt").write_text("\n".join(names))
        (tmp_path / "val.txt").write_text((folder / "ImageSets" / "Main" / "val.txt").read_text().split()[0])
        run(
            folder / "JPEGImages", folder / "Annotations", "--names", tmp_path / "train.txt",
            "--validation", tmp_path / "val.txt", "--output", tmp_path / "out", "--times", "3",
        )  # fmt: skip
        training = written(tmp_path / "out")
        assert [sample.name for sample in training.samples][::3] == names
        assert training.counts() == {
            name: 3 * count
            for name, count in load_dataset(
                folder / "JPEGImages", folder / "Annotations", names=tmp_path / "train.txt", class_names=training.class_names
            )
            .counts()
            .items()
        }


class TestPage:
    def test_it_shows_every_kind_of_change_and_loads_nothing(self, data: tuple[Path, Path], tmp_path: Path) -> None:
        printed = run(*data, "--preview", tmp_path / "page.html", "--augment", "mosaic=0.5", "--seed", "2")
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert "page.html" in printed
        assert [*re.findall(r"<h3>(\w+)</h3>", page)] == list(AugmentationConfig.model_fields)
        assert '--augment "mosaic=0.5"' in page.replace("&#34;", '"')
        assert not re.search(r"https?://|<script|<link", page)
        assert page.count("<svg ") == page.count("</svg>") == page.count("data:image/jpeg")
        for text in ("weak: rotate=10", "strong: rotate=45", "flip=on", "seed 2", *CLASSES):
            assert text in page
        # These images are grey: of several channels none can be blanked.
        assert page.count("It changes nothing on these images.") >= 1

    def test_sixteen_bit_images_of_two_channels(self, tmp_path: Path) -> None:
        from retinaj.report.augmentation import write_preview

        random = np.random.default_rng(0)
        samples: list[Sample] = []
        for number in range(3):
            path = tmp_path / f"<b>{number}.tif"
            tifffile.imwrite(path, random.integers(0, 4000, (2, 80, 90), np.uint16), imagej=True, metadata={"axes": "CYX"})
            samples.append(Sample(path.stem, path, Boxes([[10, 10, 40, 50]], [0], ("<i>cell",))))
        dataset = Dataset(("<i>cell",), tuple(samples))
        write_preview(tmp_path / "page.html", dataset, dataset, config=strongest(), seed=0)
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert "&lt;i&gt;cell" in page
        assert "<i>" not in page
        assert "<b>1" not in page


class TestTraining:
    def source(self, data: tuple[Path, Path], config: AugmentationConfig) -> WindowSource:
        dataset = load_dataset(*data)
        settings = QUICK.model_copy(update={"augmentation": config})
        record = plan_model("test", dataset, dataset, settings, lambda line: None)
        return WindowSource(dataset.samples, record, ImageStore(record))

    @pytest.mark.parametrize("make", [strongest, AugmentationConfig])
    def test_an_epoch_is_the_same_whatever_came_before(
        self, data: tuple[Path, Path], make: Callable[[], AugmentationConfig]
    ) -> None:
        """What resuming to the bit rests on; with mosaics, too, which take other images by chance."""
        config = make()
        whole, resumed = self.source(data, config), self.source(data, config)
        for _ in whole.epoch(1):
            pass
        count = 0
        for one_batch, other in zip(whole.epoch(2), resumed.epoch(2), strict=True):
            for a, b in zip(one_batch, other, strict=True):
                np.testing.assert_array_equal(a.numpy(), b.numpy())
            count += 1
        assert count == 2

    def test_the_page_shows_the_very_windows_of_training(self, data: tuple[Path, Path]) -> None:
        source = self.source(data, strongest())
        order = source.order(1, 8)
        batches = np.concatenate([images.numpy() for images, _, _ in source.epoch(1)])
        for at in range(8):
            np.testing.assert_array_equal(source.augmented(1, at, int(order[at]))[0], batches[at])

    def test_validation_images_are_never_changed(self, data: tuple[Path, Path]) -> None:
        dataset = load_dataset(*data)
        images: list[list[np.ndarray]] = []
        for config in (OFF, strongest()):
            record = plan_model("test", dataset, dataset, QUICK.model_copy(update={"augmentation": config}), lambda line: None)
            images.append([each.image for each in validation_images(dataset.samples, record, ImageStore(record))])
        for one_image, other in zip(*images, strict=True):
            np.testing.assert_array_equal(one_image, other)

    def test_a_run_is_not_resumed_with_other_strengths(self, data: tuple[Path, Path], tmp_path: Path) -> None:
        dataset = load_dataset(*data)
        record = plan_model("test", dataset, dataset, QUICK, lambda line: None)
        save_run(tmp_path, Run.of(record, dataset, dataset))
        words = ["train", *map(str, data), "--output", str(tmp_path), "--resume", "--augment", "rotate=30"]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 1
        assert "The run began with augment rotate 0.0, now it is 30.0." in result.output

    def test_the_option_reaches_the_settings(
        self, data: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: list[TrainingSettings] = []
        monkeypatch.setattr("retinaj.training.train.train", lambda *_, settings, **__: given.append(settings))
        words = [
            "train",
            *map(str, data),
            "--output",
            str(tmp_path / "m"),
            "--augment",
            "rotate=30 mosaic=0.5",
            "--augment",
            "flip=off",
        ]
        assert CliRunner().invoke(app, words).exit_code == 0
        changed = {"rotate": 30.0, "mosaic": 0.5, "flip": False}
        assert given[0].augmentation == AugmentationConfig().model_copy(update=changed)
        result = CliRunner().invoke(app, [*words[:-1], "blurr=3"])
        assert result.exit_code == 1
        assert "'blurr=3' is not understood" in result.output
