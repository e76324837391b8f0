"""Stacks from annotation to evaluation: each plane that was chosen is an image, with the channels that were chosen."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
import xarray as xr
from fake_detector import fake_detector, patches
from tiny_models import tiny_record
from typer.testing import CliRunner
from zarr_files import write_ome_zarr

from retinaj.annotations import imagej_roi
from retinaj.boxes import Boxes
from retinaj.cli import app
from retinaj.dataset import Dataset, load_dataset
from retinaj.errors import RetinaJError
from retinaj.evaluation.run import evaluate
from retinaj.images import open_image, read_image
from retinaj.images.plane_choice import PlaneChoice
from retinaj.model_folder import ModelRecord
from retinaj.prediction.batch import predict
from retinaj.prediction.detector import Detector
from retinaj.splitting import Grouping, split_dataset, write_split
from retinaj.training.image_store import ImageStore
from retinaj.training.plan import plan_model
from retinaj.training.run_folder import save_sample
from retinaj.training.settings import TrainingSettings

SLICES = 4
# Of each slice, as `patches` draws it, two boxes.
XYXY = [[5, 5, 20, 20], [30, 10, 50, 40]]


def pixels(seed: int = 0, channels: int = 2) -> np.ndarray:
    """uint8 [z, c, y, x]; the channels differ."""
    return np.stack([np.stack([patches(seed + 10 * z + c) for c in range(channels)]) for z in range(SLICES)])


def write_stack(folder: Path, name: str, *, seed: int = 0, planes: tuple[int, ...] = (0, 2), channels: int = 2) -> None:
    """A z-stack, and ImageJ ROIs on some of its slices."""
    (folder / "images").mkdir(exist_ok=True)
    (folder / "rois").mkdir(exist_ok=True)
    labels = ["DAPI", "GFP", "RFP"][:channels] * SLICES
    values = pixels(seed, channels)
    tifffile.imwrite(folder / "images" / f"{name}.tif", values, imagej=True, metadata={"axes": "ZCYX", "Labels": labels})
    place = np.repeat([[0, 0, z] for z in planes], 2, axis=0)
    boxes = Boxes(XYXY * len(planes), [0, 1] * len(planes), ("RBC", "Living Cell"), plane=place)
    imagej_roi.write_roi_set(folder / "rois" / f"{name}.zip", boxes)


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("a", "b", "c")):
        write_stack(tmp_path, name, seed=100 * seed)
    return tmp_path


def load(folder: Path, **choice) -> Dataset:
    return load_dataset(folder / "images", folder / "rois", planes=PlaneChoice(**choice))


def test_planes_with_boxes_are_the_images(folder):
    data = load(folder)
    assert [sample.name for sample in data.samples] == ["a_z1", "a_z3", "b_z1", "b_z3", "c_z1", "c_z3"]
    assert [sample.plane for sample in data.samples[:2]] == [(0, 0), (0, 2)]
    assert all(sample.boxes.xyxy.tolist() == XYXY and sample.boxes.plane is None for sample in data.samples)
    assert data.notes == tuple(f"{name}.tif: 2 of its 4 planes have no boxes and are left out" for name in "abc")
    np.testing.assert_array_equal(data.samples[1].read(), pixels()[2])


def test_projection_of_a_chosen_channel(folder):
    data = load(folder, z="max", channels=("GFP",))
    assert [sample.name for sample in data.samples] == ["a", "b", "c"]
    assert len(data.samples[0].boxes) == 4
    np.testing.assert_array_equal(data.samples[0].read(), pixels()[:, 1].max(axis=0))


def test_planes_of_one_stack_stay_on_one_side_of_a_split(folder):
    for seed in range(5):
        training, validation = load(folder).split(0.4, seed)
        stacks = [{sample.image_path for sample in part.samples} for part in (training, validation)]
        assert not stacks[0] & stacks[1]
        assert (len(training), len(validation)) == (4, 2)
    assert [sample.name for sample in load(folder).subset(["b.tif"]).samples] == ["b_z1", "b_z3"]
    with pytest.raises(RetinaJError, match=r"'b\.tif' is named twice"):
        load(folder).subset(["b_z1", "b.tif"])


@pytest.mark.parametrize("planes", [(1,), (0, 2)])
def test_lists_of_a_split_are_lists_of_files(tmp_path, planes):
    for seed, name in enumerate("abcd"):
        write_stack(tmp_path, name, seed=seed, planes=planes)
    (tmp_path / "plates.csv").write_text("image,group\na.tif,1\nb.tif,1\nc.tif,2\nd.tif,2\n")
    grouping = Grouping.parse(str(tmp_path / "plates.csv"))
    data = load(tmp_path)
    split = split_dataset(data, tmp_path / "images", validation=0.5, test=0, seed=0, grouping=grouping)
    write_split(split, tmp_path / "lists")
    found = [
        load_dataset(tmp_path / "images", tmp_path / "rois", names=tmp_path / "lists" / f"{part}.txt")
        for part in ("train", "validation")
    ]
    assert {len(part) for part in found} == {2 * len(planes)}
    stacks = [sorted({sample.image_path.stem for sample in part.samples}) for part in found]
    assert sorted(stacks) == [["a", "b"], ["c", "d"]]


def test_a_single_stack_is_split_by_its_planes_and_that_is_said(tmp_path):
    write_stack(tmp_path, "only", planes=(0, 1, 2, 3))
    training, validation = load(tmp_path).split(0.25, 0)
    assert (len(training), len(validation)) == (3, 1)
    assert training.notes[-1].startswith("only.tif: is the only image, so that its planes validate each other")


def test_other_images_in_a_file_are_noted(tmp_path):
    write_stack(tmp_path, "a")
    with tifffile.TiffWriter(tmp_path / "images" / "a.tif", ome=True) as writer:
        for name in ("overview", "detail"):
            writer.write(patches(), metadata={"Name": name})
    assert "a.tif: holds 2 images, of which the first, 'overview', is used; --series takes another" in load(tmp_path).notes
    assert not any("holds 2" in note for note in load(tmp_path, series=2).notes)


@pytest.mark.parametrize("name", ["a.ome.tif", "a.ome.zarr", "a.zarr"])
def test_double_suffixes_and_folders_are_images(tmp_path, name):
    (tmp_path / "images").mkdir()
    if name.endswith("zarr"):
        write_ome_zarr(tmp_path / "images" / name, patches(), "yx")
    else:
        tifffile.imwrite(tmp_path / "images" / name, patches())
    (tmp_path / "rois").mkdir()
    imagej_roi.write_roi_set(tmp_path / "rois" / "a.zip", Boxes(XYXY, [0, 0], ("RBC",)))
    data = load(tmp_path)
    assert [sample.name for sample in data.samples] == ["a"]
    np.testing.assert_array_equal(data.samples[0].read(), patches())


def planned(folder: Path, **choice) -> tuple[ModelRecord, Dataset]:
    settings = TrainingSettings(planes=PlaneChoice(**choice))
    training, validation = load(folder, **choice).split(0.3, 0)
    return plan_model("stacks", training, validation, settings, lambda line: None), validation


def test_a_model_is_planned_for_the_chosen_channels(folder):
    record, validation = planned(folder, channels=(2,), z="max")
    assert (record.network.channels, record.pixel_type) == (1, "uint8")
    assert record.training.images == 2
    assert ModelRecord.model_validate_json(record.model_dump_json()).training.settings.planes.channels == (2,)
    store = ImageStore(record)
    assert store[validation.samples[0]].shape[-1] == 1


def test_planes_of_one_file_are_kept_apart_in_memory(folder):
    record, _ = planned(folder)
    store, (first, second) = ImageStore(record), load(folder).samples[:2]
    assert not np.array_equal(store[first], store[second])
    np.testing.assert_array_equal(store[first], record.normalization(pixels()[0].transpose(1, 2, 0)))
    assert store.size(second) == (80, 60)


@pytest.mark.parametrize(("choice", "dims"), [({}, ("c", "y", "x")), ({"z": "max", "channels": ("GFP",)}, ("y", "x"))])
def test_the_sample_that_a_model_keeps_is_what_it_saw(folder, choice, dims):
    (folder / "model" / "training").mkdir(parents=True)
    data = load(folder, **choice)
    chosen = save_sample(folder / "model", data.samples)
    kept = read_image(folder / "model" / "training" / "sample.tif")
    assert kept.dims == dims
    np.testing.assert_array_equal(kept, chosen.read())
    note = json.loads((folder / "model" / "training" / "sample.json").read_text())
    assert note == {"file": "sample.tif", "source": chosen.name if chosen.plane else "a.tif"}


def test_a_sample_in_colour_keeps_its_colours(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "rois").mkdir()
    (tmp_path / "model" / "training").mkdir(parents=True)
    colours = np.random.default_rng(0).integers(0, 256, (3, 60, 80, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "images" / "a.tif", colours, imagej=True, photometric="rgb", metadata={"axes": "ZYXS"})
    boxes = Boxes(XYXY, [0, 0], ("RBC",), plane=[[0, 0, 1]] * 2)
    imagej_roi.write_roi_set(tmp_path / "rois" / "a.zip", boxes, plain_stack=True)
    save_sample(tmp_path / "model", load(tmp_path).samples)
    kept = read_image(tmp_path / "model" / "training" / "sample.tif")
    assert kept.attrs["rgb"]
    np.testing.assert_array_equal(kept, colours[1].transpose(2, 0, 1))


def detector_of(count: int, **choice) -> Detector:
    """A detector that was trained on so many channels, with this choice."""
    record = tiny_record(count, "uint8")
    settings = record.training.settings.model_copy(update={"planes": PlaneChoice(**choice)})
    record = record.model_copy(update={"training": record.training.model_copy(update={"settings": settings})})
    return replace(fake_detector(count), record=record)


@pytest.mark.parametrize("choice", [{"channels": (2,)}, {"channels": ("GFP",)}])
def test_detection_picks_the_channels_of_the_training(folder, choice):
    image = read_image(folder / "images" / "a.tif")
    found = detector_of(1, **choice).detect(image)
    expected = fake_detector(1).detect(xr.DataArray(pixels()[:, 1], dims=("z", "y", "x")))
    np.testing.assert_array_equal(found.xyxy, expected.xyxy)
    np.testing.assert_array_equal(found.plane, expected.plane)


def test_an_image_of_nothing_but_these_channels_is_taken_as_it_is():
    plane = xr.DataArray(patches(), dims=("y", "x"))
    np.testing.assert_array_equal(detector_of(1, channels=(2,)).pixels(plane)[..., 0], patches())
    both = xr.DataArray(pixels()[0], dims=("c", "y", "x"))
    np.testing.assert_array_equal(detector_of(2, channels=("DAPI", "GFP")).pixels(both), pixels()[0].transpose(1, 2, 0))
    swapped = both.assign_attrs(channel_names=("GFP", "DAPI"))
    np.testing.assert_array_equal(
        detector_of(2, channels=("DAPI", "GFP")).pixels(swapped), pixels()[0, ::-1].transpose(1, 2, 0)
    )


def test_an_image_without_the_channels_says_what_to_do():
    three = xr.DataArray(np.zeros((3, 9, 9), np.uint8), dims=("c", "y", "x"))
    with pytest.raises(
        RetinaJError, match=r"looks at channel DAPI of an image\. .* no channel 'DAPI': it has 3, without names\. .* Duplicate"
    ):
        detector_of(1, channels=("DAPI",)).detect(three)
    with pytest.raises(RetinaJError, match="The image has no channel 4: it has 3"):
        detector_of(2, channels=(1, 4)).detect(three)


def test_evaluation_reads_as_the_training_did(folder):
    detector = detector_of(1, channels=(2,), z="max")
    found = evaluate(folder / "images", folder / "rois", detector, folder / "out")
    assert [sample.name for sample in found.dataset.samples] == ["a", "b", "c"]
    expected = fake_detector(1).detect(xr.DataArray(pixels()[:, 1].max(axis=0), dims=("y", "x")), threshold=0.05)
    np.testing.assert_array_equal(found.predictions[0].xyxy, expected.xyxy)
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "channel 2; the brightest value of all slices" in page
    assert page.count("data:image/jpeg") == 3
    other = evaluate(
        folder / "images",
        folder / "rois",
        detector_of(1, channels=(2,), z="max"),
        folder / "other",
        planes=PlaneChoice(channels=(1,)),
    )
    assert len(other.dataset) == 6


def test_prediction_reads_large_stacks_plane_by_plane_and_corrects_axes(folder, monkeypatch):
    monkeypatch.setattr("retinaj.prediction.batch.open_image", partial(open_image, lazy_above=0))
    outcome = predict(folder / "images" / "a.tif", detector_of(1, channels=(2,)), folder / "out")[0]
    assert outcome.error is None
    wrong = predict(folder / "images" / "a.tif", fake_detector(1), folder / "wrong", axes="yxcz")[0]
    assert wrong.error is not None
    corrected = predict(folder / "images" / "a.tif", fake_detector(1), folder / "corrected", axes="ztyx")[0]
    assert corrected.error is None
    with pytest.raises(RetinaJError, match="axes was 'ztyx' and is None now"):
        predict(folder / "images" / "a.tif", fake_detector(1), folder / "corrected")


def test_an_ome_zarr_is_one_image_for_prediction(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", pixels()[:, 0], "zyx")
    outcomes = predict(path, fake_detector(1), tmp_path / "out")
    assert [outcome.source for outcome in outcomes] == [path]
    assert outcomes[0].error is None
    assert sum(outcomes[0].counts.values()) > 0
    assert predict(path, fake_detector(1), tmp_path / "out")[0].skipped
    chunk = next(file for file in sorted((path / "0" / "c").rglob("*")) if file.is_file())
    os.utime(chunk, (1, 2**31 - 1))
    assert not predict(path, fake_detector(1), tmp_path / "out")[0].skipped


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--channels", "1,,2"], "--channels is '1,,2'"),
        (["--channels", "0"], "--channels is (0,)"),
        (["--axes", "y"], "--axes is 'y'"),
        (["--axes", "tzcyx"], "axes is 'tzcyx', but the axes of"),
        (["--channels", "Cy5"], "has no channel 'Cy5': it has 2, named 'DAPI', 'GFP'"),
        (["--series", "4"], "series is 4, but"),
    ],
)
def test_train_says_which_option_is_wrong(folder, options, message):
    arguments = ["train", str(folder / "images"), str(folder / "rois"), "--output", str(folder / "model"), *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
    assert not (folder / "model").exists()


def test_real_rois_on_a_real_stack(shared_data, tmp_path):
    """The file's own axes, with boxes on two of its seven slices."""
    (tmp_path / "rois").mkdir()
    boxes = Boxes([[20, 20, 80, 90], [30, 30, 70, 70]], [0, 0], ("nucleus",), plane=[[0, 0, 2], [0, 0, 5]])
    imagej_roi.write_roi_set(tmp_path / "rois" / "xyz_8bit__nucleus.zip", boxes, plain_stack=True)
    data = load_dataset(shared_data / "stacks", tmp_path / "rois")
    assert [sample.name for sample in data.samples] == ["xyz_8bit__nucleus_z3", "xyz_8bit__nucleus_z6"]
    whole = read_image(shared_data / "stacks" / "xyz_8bit__nucleus.tif")
    np.testing.assert_array_equal(data.samples[1].read(), whole[5])
