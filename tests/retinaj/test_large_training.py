"""Training on large images: as many windows as they hold, made where they lie, and validation in the tiles of prediction."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import noise_pixels, tiny_record

from retinaj.augmentation import AugmentationConfig, random_window
from retinaj.boxes import Boxes
from retinaj.dataset import Dataset, Sample
from retinaj.evaluation import evaluate_boxes
from retinaj.images import read_image
from retinaj.model_folder import ModelRecord
from retinaj.network.config import AnchorConfig, NetworkConfig
from retinaj.prediction.detector import Detector, to_channels
from retinaj.prediction.tiles import find_objects
from retinaj.training.data import WindowSource
from retinaj.training.image_store import ImageStore, LargeImage, average_down, middle, whole
from retinaj.training.large_images import in_large_image
from retinaj.training.leakage_warning import leakage_lines
from retinaj.training.plan import plan_model
from retinaj.training.run_folder import save_sample
from retinaj.training.settings import TrainingSettings
from retinaj.training.validation_images import validation_images

CLASSES = ("cell", "no", "µ|x")
STORE = "retinaj.training.image_store"


def record(*, channels: int = 1, pixel_type: str = "uint8", window: int = 32, **changes: object) -> ModelRecord:
    made = tiny_record(channels, pixel_type)
    network = NetworkConfig.model_validate(made.network.model_dump() | changes)
    training = made.training.model_copy(update={"window": window})
    return made.model_copy(update={"network": network, "training": training})


def settings_of(made: ModelRecord, **changes: object) -> ModelRecord:
    chosen = made.training.settings.model_copy(update=changes)
    return made.model_copy(update={"training": made.training.model_copy(update={"settings": chosen})})


def write_sample(folder: Path, name: str, pixels: np.ndarray, xyxy: list[list[float]]) -> Sample:
    path = folder / f"{name}.tif"
    stored = pixels[..., 0] if pixels.shape[-1] == 1 else np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(path, stored, photometric="minisblack", metadata={"axes": "YX" if stored.ndim == 2 else "CYX"})
    return Sample(name, path, Boxes(np.array(xyxy, np.float32), np.zeros(len(xyxy), np.int32), CLASSES))


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image is too large to be kept as the network sees it."""
    monkeypatch.setattr(f"{STORE}._WHOLE_BYTES", 1)


class TestStore:
    @pytest.mark.parametrize("room", [0, 2**30])
    @pytest.mark.parametrize(("channels", "pixel_type", "downsampling"), [(1, "uint8", 1), (2, "uint16", 2), (3, "uint16", 4)])
    def test_parts_are_parts_of_the_whole_image(self, tmp_path, monkeypatch, channels, pixel_type, downsampling, room):
        made = record(channels=channels, pixel_type=pixel_type, downsampling=downsampling)
        sample = write_sample(tmp_path, "a", noise_pixels(131, 97, channels, pixel_type), [])
        expected = ImageStore(made)[sample]
        monkeypatch.setattr(f"{STORE}._WHOLE_BYTES", 1)
        monkeypatch.setattr(f"{STORE}._CACHE_BYTES", room)
        store = ImageStore(made)
        found = store[sample]
        assert isinstance(expected, np.ndarray)
        assert isinstance(found, LargeImage)
        assert store[sample] is found
        assert (found.shape, store.size(sample)) == (expected.shape, (97, 131))
        np.testing.assert_allclose(whole(found), expected, atol=1e-5)
        np.testing.assert_array_equal(found.part(3, 5, 20, 22), whole(found)[5:22, 3:20])
        np.testing.assert_array_equal(middle(found), whole(found))

    def test_the_size_is_known_before_the_image_is_read(self, tmp_path):
        sample = write_sample(tmp_path, "a", noise_pixels(40, 60, 1), [])
        assert ImageStore(record()).size(sample) == (60, 40)

    def test_windows_of_a_file_larger_than_memory_are_read_where_they_lie(self, tmp_path):
        path = tmp_path / "slide.tif"
        pixels = tifffile.memmap(path, shape=(20_000, 40_000), dtype=np.uint8)
        pixels[19_000:19_020, 39_000:39_020] = 200
        pixels.flush()
        sample = Sample("slide", path, Boxes([[39_000, 19_000, 39_020, 19_020]], [0], CLASSES))
        made = settings_of(record(window=256), augmentation=AugmentationConfig(on_object=1.0, rotate=20))
        tracemalloc.start()
        try:
            source = WindowSource((sample,), made, ImageStore(made))
            for position in range(5):
                window, boxes, _ = source.augmented(1, position, 0)
                assert window.shape == (256, 256, 1)
                assert len(boxes) == 1
                x, y = ((boxes[0, :2] + boxes[0, 2:]) / 2).astype(int)
                assert window[y, x, 0] > 0  # the object lies where its box says
            assert tracemalloc.get_traced_memory()[1] < 60 * 2**20
        finally:
            tracemalloc.stop()


class TestPlan:
    def test_a_large_image_is_surveyed_in_bands_to_the_same_plan(self, tmp_path, monkeypatch):
        for kind, channels in (("uint16", 2), ("uint8", 1)):
            samples = tuple(
                write_sample(tmp_path, f"{kind}{at}", noise_pixels(150, 120 + at, channels, kind, at), [[5, 5, 30, 40]])
                for at in range(2)
            )
            data = Dataset(CLASSES, samples)
            plans: list[tuple[NetworkConfig, str]] = []
            for band in (2**26, 3000):
                monkeypatch.setattr("retinaj.images.bands.BAND_BYTES", band)
                monkeypatch.setattr("retinaj.training.survey.BAND_BYTES", band)
                made = plan_model("a", data, data, TrainingSettings(), lambda line: None)
                plans.append((made.network.model_copy(update={"fill": ()}), made.pixel_type))
                assert made.network.fill == pytest.approx(tuple(_mean(samples, made)), abs=2e-4)
            assert plans[0] == plans[1]

    def test_of_a_large_image_the_model_keeps_the_surroundings_of_an_object(self, tmp_path):
        path = tmp_path / "slide.tif"
        pixels = tifffile.memmap(path, shape=(9000, 9000), dtype=np.uint8)
        pixels[8900:8910, 30:40] = 200
        pixels.flush()
        (tmp_path / "model" / "training").mkdir(parents=True)
        save_sample(tmp_path / "model", (Sample("slide", path, Boxes([[30, 8900, 40, 8910]], [0], CLASSES)),))
        kept = read_image(tmp_path / "model" / "training" / "sample.tif")
        assert dict(kept.sizes) == {"y": 2048, "x": 2048}
        assert int(kept[-100, 30]) == 200
        assert len(list(leakage_lines([path], [path]))) == 1  # which says that it is too large


def _mean(samples: tuple[Sample, ...], made: ModelRecord) -> np.ndarray:
    planes = [to_channels(sample.read(), made.network.channels) for sample in samples]
    return np.mean([made.normalization(plane).mean(axis=(0, 1)) for plane in planes], axis=0)


class TestWindows:
    @settings(max_examples=40, deadline=None)
    @given(
        st.integers(0, 2**31),
        st.floats(1, 4),
        st.floats(0, 180),
        st.floats(0, 0.5),
        st.sampled_from([0.0, 1.0]),
    )
    def test_of_a_large_image_are_those_of_the_whole_one(self, seed, scale, rotate, translate, mosaic):
        made = record(channels=2)
        pixels = noise_pixels(150, 120, 2, seed=seed % 7)
        boxes, label = np.array([[20, 30, 60, 70], [90, 100, 120, 150]], np.float32), np.array([0, 1], np.int32)
        image = LargeImage(lambda: xr.DataArray(np.moveaxis(pixels, -1, 0), dims=("c", "y", "x")), made)
        array = average_down(made.normalization(pixels), made.network)
        config = AugmentationConfig(scale=scale, rotate=rotate, translate=translate, mosaic=mosaic)
        windows = [
            random_window(
                scene,
                boxes,
                label,
                side=48,
                fill=np.array([0.25, 0.5], np.float32),
                config=config,
                random=np.random.default_rng(seed),
                others=lambda _, scene=scene: (scene, boxes, label),
            )
            for scene in (array, image)
        ]
        np.testing.assert_allclose(windows[0][0], windows[1][0], atol=2e-3)
        np.testing.assert_array_equal(windows[0][1], windows[1][1])

    def test_small_images_come_as_ever(self, tmp_path):
        made = settings_of(record(), windows_per_epoch=50, seed=3)
        samples = tuple(write_sample(tmp_path, f"{at}", noise_pixels(128, 128, 1), [[5, 5, 20, 20]]) for at in range(7))
        source = WindowSource(samples, made, ImageStore(made))
        random = np.random.default_rng([3, 2])
        expected = np.concatenate([random.permutation(7) for _ in range(8)])[:52]
        np.testing.assert_array_equal(source.order(2, 52), expected)
        assert source.counts.words(52, AugmentationConfig()) == "52 windows per epoch from 7 images."

    def test_a_large_image_gets_windows_by_what_it_holds(self, tmp_path):
        grid = [[float(x), float(y), x + 9.0, y + 9.0] for x in range(8, 640, 32) for y in range(8, 640, 32)]
        samples = (
            write_sample(tmp_path, "small", noise_pixels(100, 100, 1), [[5, 5, 20, 20]]),
            write_sample(tmp_path, "dense", noise_pixels(640, 640, 1), grid),
            write_sample(tmp_path, "sparse", noise_pixels(640, 640, 1), grid[:40]),
        )
        made = settings_of(record(), windows_per_epoch=120)
        source = WindowSource(samples, made, ImageStore(made))
        # Of 400 cells all, or 40 and a third as many empty ones, each 16 once.
        assert source.counts.parts.tolist() == [1, 25, 4]
        assert source.counts.large.tolist() == [False, True, True]
        assert np.bincount(source.order(1, 120)).tolist() == [4, 100, 16]
        words = source.counts.words(120, made.training.settings.augmentation)
        assert "120 windows per epoch from 3 images; 2 of them are larger than 4 x 4 windows: 97 %" in words
        assert "75% of those round an object" in words
        hard = WindowSource(samples, settings_of(made, hard_images=1.0), ImageStore(made))
        assert np.bincount(hard.order(1, 120)).tolist() == [4, 100, 16]
        hard.image_loss[:] = [1, 1, 4]
        assert np.bincount(hard.order(1, 120)).argmax() == 1
        assert np.bincount(hard.order(1, 120))[2] > 16

    def test_windows_of_a_large_image_show_objects_mostly_and_background_too(self, tmp_path):
        sample = write_sample(tmp_path, "slide", noise_pixels(900, 900, 1), [[400, 400, 410, 410], [800, 60, 812, 70]])
        made = record()
        source = WindowSource((sample,), made, ImageStore(made))
        shown = sum(bool(len(source.augmented(1, position, 0)[1])) for position in range(400))
        assert 0.68 * 400 < shown < 0.82 * 400
        plain = settings_of(made, augmentation=AugmentationConfig.off())
        anywhere = WindowSource((sample,), plain, ImageStore(plain))
        assert sum(bool(len(anywhere.augmented(1, position, 0)[1])) for position in range(200)) < 10

    def test_an_epoch_is_the_same_whatever_came_before(self, tmp_path, all_large):
        samples = tuple(
            write_sample(tmp_path, f"{at}", noise_pixels(200 + 60 * at, 300, 1, seed=at), [[50, 50, 80, 80]]) for at in range(3)
        )
        made = settings_of(record(), windows_per_epoch=12, augmentation=AugmentationConfig(mosaic=0.5))
        fresh, used = (WindowSource(samples, made, ImageStore(made)) for _ in range(2))
        for _ in used.epoch(1):
            pass
        for one_batch, other in zip(fresh.epoch(2), used.epoch(2), strict=True):
            for a, b in zip(one_batch, other, strict=True):
                np.testing.assert_array_equal(a.numpy(), b.numpy())

    @pytest.mark.parametrize(("share", "expected"), [(0, 0), (0.5, 0.75), (1, 1)])
    def test_what_is_turned_off_stays_off(self, share, expected):
        assert in_large_image(AugmentationConfig(on_object=share)).on_object == expected


@pytest.mark.usefixtures("all_large")
def test_validation_searches_large_images_as_prediction_does(tmp_path, monkeypatch):
    import keras

    from retinaj.network.retinanet import build_network
    from retinaj.prediction.keras_runtime import KerasRuntime
    from retinaj.training.validation import Validator

    anchors = AnchorConfig(min_level=3, max_level=3, base=2.0, scales=(1.0,))
    made = record(channels=2, pixel_type="uint16", anchors=anchors, norm="batch", downsampling=2, max_detections=60)
    keras.utils.set_random_seed(0)
    network = build_network(made.network)
    random = np.random.default_rng(0)
    for variable in network.variables:
        if "class_head" in variable.path and "kernel" in variable.path:
            variable.assign(random.normal(0, 0.3, variable.shape))
    detector = Detector.of(made, KerasRuntime(network, made.network))
    samples: list[Sample] = []
    for at, (height, width) in enumerate([(900, 833), (100, 120)]):
        pixels = noise_pixels(height, width, 2, "uint16", seed=at)
        sample = write_sample(tmp_path, f"{at}", pixels, [])
        found = find_objects(detector, sample.read(), tiles="none", threshold=0.4)
        truth = found.boxes.select(np.arange(0, len(found.boxes), 3))
        samples.append(Sample(sample.name, sample.image_path, truth))
    store = ImageStore(made)
    validator = Validator(tuple(samples), made, store, network)
    loss_of_wholes, _ = validator()
    monkeypatch.setattr("retinaj.prediction.pass_memory.PASS_BYTES", 130 * 128 * 128)
    assert len(list(validation_images(tuple(samples), made, store))) == 5  # of the larger image, four
    loss, result = validator()
    found = [find_objects(detector, sample.read(), threshold=0.4).boxes for sample in samples]
    most = max(map(len, found))
    assert result.max_detections == most > 60  # more than a pass can give
    expected = evaluate_boxes([each.boxes for each in samples], found, max_detections=most)
    assert result.overall.ap == pytest.approx(expected.overall.ap, abs=0.01)  # averaged down by other code: nearly tied scores
    assert loss == pytest.approx(loss_of_wholes, rel=0.5)
    assert validator.seconds() > 0
