"""Models that the TF2 Object Detection API made say the same in RetinaJ as they did there. See data/tf2_models/README.md."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tf2_checkpoints import VALUE, SavedModel, save_checkpoint
from tiny_models import as_image, tiny_record

from retinaj.errors import RetinaJError
from retinaj.importing.checkpoint import SavedObjects
from retinaj.importing.pipeline import Pipeline, read_pipeline
from retinaj.importing.tf2_model import import_tf2
from retinaj.importing.tf2_weights import match_variables
from retinaj.model_folder import ModelRecord, StartRecord, load_network, parse_record
from retinaj.network.config import NetworkConfig
from retinaj.network.detection import clip_to_image, network_input, select_detections
from retinaj.network.retinanet import build_network, flatten_levels
from retinaj.prediction import open_model
from retinaj.training.freezing import freeze
from retinaj.training.settings import TrainingSettings
from retinaj.training.start import StartingPoint

COMPARED = (
    "mobilenet-v2-fpnlite",
    "mobilenet-v1-fpn",
    "resnet50-v1-fpn",
    "mobilenet-v2-other-options",
    "mobilenet-v1-other-options",
    "resnet50-other-options",
)
SMALL = "mobilenet-v2-other-options"


@dataclass(frozen=True)
class Imported:
    """A fixture, and what became of it."""

    saved: SavedModel
    pipeline: Pipeline
    folder: Path
    record: ModelRecord
    network: Any
    outputs: dict[str, list[Any]]
    log: tuple[str, ...]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("imported")


@pytest.fixture(scope="module", params=COMPARED)
def imported(request: pytest.FixtureRequest, work: Path) -> Imported:
    return make(request.param, work)


@pytest.fixture(scope="module")
def small(work: Path) -> Imported:
    folder = work / "small"
    folder.mkdir()
    return make(SMALL, folder)


def make(name: str, work: Path) -> Imported:
    saved, log = SavedModel.named(name), list[str]()
    source = saved.save(work / f"{name}-checkpoint")
    import_tf2(source, work / name, log=log.append)
    shutil.rmtree(source)
    record, network = load_network(work / name)
    outputs = network(network_input(record.normalization(saved.image)[None], record.network), training=False)
    return Imported(saved, read_pipeline(saved.folder / "pipeline.config"), work / name, record, network, outputs, tuple(log))


def in_our_order(rows: NDArray[Any], config: NetworkConfig) -> NDArray[Any]:
    """[A, values] by cell, aspect ratio and scale, as the API has them, by cell, scale and aspect ratio."""
    cells = rows.reshape(-1, len(config.anchors.aspect_ratios), len(config.anchors.scales), rows.shape[-1])
    return cells.swapaxes(1, 2).reshape(rows.shape)


def sampled(rows: NDArray[Any], model: Imported) -> NDArray[Any]:
    """Of all anchors in our order, those that the fixture has, in its order."""
    numbers = in_our_order(np.arange(len(rows))[:, None], model.record.network)[:, 0]
    return rows[np.argsort(numbers)[model.saved.said["anchors"]]]


class TestOutputs:
    def test_class_logits_are_those_of_the_api(self, imported: Imported) -> None:
        logits = np.asarray(flatten_levels(imported.outputs["class_logits"], imported.record.network.num_classes))[0]
        expected = imported.saved.said["classes"][:, int(imported.pipeline.background) :]
        assert expected.std() > 0.3
        assert np.abs(sampled(logits, imported) - expected).max() <= 1e-4

    def test_boxes_are_those_of_the_api(self, imported: Imported) -> None:
        deltas = np.asarray(flatten_levels(imported.outputs["box_deltas"], 4))[0]
        encodings = deltas[:, [1, 0, 3, 2]] * np.array(imported.pipeline.box_scales, np.float32)
        expected = imported.saved.said["encodings"]
        assert expected.std() > 0.3
        assert np.abs(sampled(encodings, imported) - expected).max() <= 1e-4

    def test_detections_are_those_of_the_api(self, imported: Imported) -> None:
        config, image, said = imported.record.network, imported.saved.image, imported.saved.said
        # The API drops boxes outside the image before it takes the best 100.
        more = config.model_copy(update={"max_detections": 300})
        rows = np.array(select_detections(imported.outputs, more, config.overlap))[0]
        rows[:, :4] = np.asarray(clip_to_image(rows[None, :, :4], image[None].astype(np.float32)))[0]
        rows = rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])][:100]
        height, width = image.shape[:2]
        boxes = said["boxes"][:, [1, 0, 3, 2]] * [width, height, width, height]
        assert (said["scores"] > 0).sum() == len(rows) == 100
        np.testing.assert_allclose(rows[:, 4], said["scores"], atol=1e-4)
        for box, score, label in zip(boxes, said["scores"], said["labels"], strict=True):
            near = (np.abs(rows[:, :4] - box).max(axis=1) < 0.05) & (np.abs(rows[:, 4] - score) < 1e-4)
            assert (near & (rows[:, 5] == label + 1)).any(), (box, score, label)

    def test_the_output_depends_on_the_image(self, small: Imported) -> None:
        other = network_input(small.record.normalization(small.saved.image[::-1].copy())[None], small.record.network)
        logits = small.network(other, training=False)["class_logits"][0]
        assert np.abs(logits - small.outputs["class_logits"][0]).max() > 0.1

    @pytest.mark.parametrize(("name", "millions"), [("resnet101-v1-fpn", 51.0), ("resnet152-v1-fpn", 66.6)])
    def test_every_variable_of_the_large_ones_has_its_place(self, name: str, millions: float) -> None:
        saved = SavedModel.named(name)
        pipeline = read_pipeline(saved.folder / "pipeline.config")
        network = build_network(pipeline.network)
        matched = match_variables(SavedObjects(saved.graph, saved.shapes, name), pipeline, network)
        assert {stored.key for _, stored in matched.values() if stored} == {key for key in saved.shapes if saved.shapes[key]}
        assert network.count_params() / 1e6 == pytest.approx(millions, abs=0.1)


class TestModelFolder:
    def test_it_is_told_what_differs(self, small: Imported) -> None:
        assert small.log[1].startswith("Imported ")
        assert small.log[1].endswith(f"(ssd_mobilenet_v2_fpn_keras, 3 classes) as {small.folder}.")
        assert small.log[2].startswith("The API resizes every image to 384 x 256 pixels first. RetinaJ detects at the size")

    def test_the_record_says_where_it_comes_from(self, small: Imported) -> None:
        source = small.record.training.imported_from
        assert source is not None
        assert (source.program, source.model) == ("TF2 Object Detection API", "ssd_mobilenet_v2_fpn_keras")
        assert (source.checkpoint, source.resizer) == ("ckpt-0", "to 384 x 256 pixels")
        assert parse_record(small.record.model_dump_json(), "x") == small.record

    def test_a_model_of_another_size_detects_in_image_coordinates(self, small: Imported) -> None:
        detector = open_model(small.folder)
        larger = np.pad(small.saved.image, ((0, 45), (0, 67), (0, 0)), mode="edge")
        boxes = detector.detect(as_image(larger), threshold=0.5)
        assert len(boxes) > 10
        assert boxes.xyxy[:, 2].max() <= 384 + 67
        assert boxes.xyxy[:, 3].max() <= 256 + 45

    def test_training_can_go_on_with_other_classes(self, small: Imported) -> None:
        start = StartingPoint.of_folder(small.folder)
        settings = TrainingSettings(**start.settings())
        assert (settings.backbone, settings.norm, settings.pyramid_width) == ("mobilenet_v2", "batch", 48)
        assert settings.batch_norm_frozen
        start.require_settings(settings)
        config = start.network(2, (0.0, 0.0, 0.0), 50, 100)
        assert config.tf2 == small.record.network.tf2
        record = changed_record(small.record, config, ("class 3", "new"), start)
        network = build_network(config)
        start.assign(network, record)
        freeze(network, settings)
        image = network_input(small.record.normalization(small.saved.image)[None], config)
        said = network(image, training=False)
        np.testing.assert_allclose(said["box_deltas"][1], small.outputs["box_deltas"][1], atol=1e-5)
        before = np.asarray(small.outputs["class_logits"][1])
        after = np.asarray(said["class_logits"][1])
        anchors = config.anchors.per_cell
        kept = after.reshape(*after.shape[:-1], anchors, 2)[..., 0]
        np.testing.assert_allclose(kept, before.reshape(*before.shape[:-1], anchors, 3)[..., 2], atol=1e-5)

    def test_the_class_head_of_separable_convolutions_keeps_what_all_classes_share(self) -> None:
        config = NetworkConfig(num_classes=3, separable=True, pyramid_width=16, head_depth=1)
        network = build_network(config)
        arrays = {variable.path: np.asarray(variable) for variable in network.variables}
        record = tiny_record(3, "uint8").model_copy(update={"network": config, "class_names": ("a", "b", "c")})
        start = StartingPoint(record, arrays)
        fewer = start.network(2, config.fill, 10, 10)
        other = build_network(fewer)
        start.assign(other, changed_record(record, fewer, ("b", "z"), start))
        [depthwise] = [v for v in other.variables if v.path == "class_head_prediction/depthwise_kernel"]
        np.testing.assert_array_equal(np.asarray(depthwise), arrays["class_head_prediction/depthwise_kernel"])


def changed_record(record: ModelRecord, config: NetworkConfig, names: tuple[str, ...], start: StartingPoint) -> ModelRecord:
    """The record of a model that goes on from another."""
    origin = start.described(names, lambda _: None)
    assert isinstance(origin, StartRecord)
    return record.model_copy(update={"network": config, "class_names": names})


class TestBrokenCheckpoints:
    @pytest.fixture(scope="class")
    def saved(self) -> SavedModel:
        return SavedModel.named(SMALL)

    def refused(self, folder: Path) -> str:
        """The one error that importing raises; nothing is written."""
        with pytest.raises(RetinaJError) as caught:
            import_tf2(folder, folder / "model", log=lambda _: None)
        assert not (folder / "model").exists()
        return str(caught.value)

    def test_variables_that_it_lacks_are_named(self, saved: SavedModel, tmp_path: Path) -> None:
        lost = "model/_feature_extractor/_fpn_features_generator/top_layers/0/bias"
        folder = saved.save(tmp_path / "a", {lost + VALUE: None})
        message = f"is not the model that pipeline.config describes: it lacks {lost}."
        assert self.refused(folder) == f"{folder / 'checkpoint' / 'ckpt-0'} {message}"

    def test_variables_that_it_has_besides_are_named(self, saved: SavedModel, tmp_path: Path) -> None:
        more = {f"model/_mask_head/{number}/kernel{VALUE}": np.zeros(3, np.float32) for number in range(7)}
        optimizer = {f"model/_box_predictor/x/.OPTIMIZER_SLOT/optimizer/m{VALUE}": np.zeros(3, np.float32)}
        message = self.refused(saved.save(tmp_path / "a", more | optimizer))
        assert message.endswith(
            "it also has model/_mask_head/0/kernel, model/_mask_head/1/kernel, model/_mask_head/2/kernel, "
            "model/_mask_head/3/kernel, model/_mask_head/4/kernel and 2 more."
        )

    def test_what_an_optimizer_keeps_does_not_matter(self, saved: SavedModel, tmp_path: Path, small: Imported) -> None:
        more = {
            f"model/_box_predictor/x/.OPTIMIZER_SLOT/optimizer/m{VALUE}": np.zeros(3, np.float32),
            f"optimizer/momentum{VALUE}": np.zeros(3, np.float32),
        }
        record = import_tf2(saved.save(tmp_path / "a", more), tmp_path / "model", log=lambda _: None)
        assert record.weights_sha256 == small.record.weights_sha256

    def test_shapes_are_compared_before_anything_is_read(self, saved: SavedModel, tmp_path: Path) -> None:
        name = "model/_feature_extractor/classification_backbone/layer_with_weights-2/depthwise_kernel"
        message = self.refused(saved.save(tmp_path / "a", {name + VALUE: np.zeros((5, 5, 32, 1), np.float32)}))
        assert message.endswith(f"{name} has the shape (5, 5, 32, 1), expected (3, 3, 32, 1).")

    def test_another_number_of_classes(self, saved: SavedModel, tmp_path: Path) -> None:
        folder = saved.save(tmp_path / "a")
        config = folder / "pipeline.config"
        config.write_text(config.read_text().replace("num_classes: 3", "num_classes: 9999"))
        assert "the class head has (16,) outputs; pipeline.config says (40000,), for 4 anchors" in self.refused(folder)

    def test_values_that_are_not_numbers(self, saved: SavedModel, tmp_path: Path) -> None:
        name = f"model/_box_predictor/_box_prediction_head/_box_encoder_layers/0/bias{VALUE}"
        assert "values that are not numbers" in self.refused(
            saved.save(tmp_path / "a", {name: np.full(16, np.nan, np.float32)})
        )
        assert "is float64; expected float32" in self.refused(saved.save(tmp_path / "b", {name: np.zeros(16, np.float64)}))

    def test_layers_in_another_order(self, saved: SavedModel, tmp_path: Path) -> None:
        graph = saved.graph.replace(b"block_1_expand/kernel", b"block_2_expand/kernel")
        assert graph != saved.graph
        folder = save_checkpoint(tmp_path / "a", saved.arrays(), graph, saved.folder / "pipeline.config")
        assert "was made as 'block_2_expand/kernel', expected 'block_1_expand'" in self.refused(folder)

    def test_a_checkpoint_of_tensorflow_1(self, saved: SavedModel, tmp_path: Path) -> None:
        arrays = {"FeatureExtractor/MobilenetV2/Conv/weights": np.zeros((3, 3, 3, 32), np.float32)}
        folder = save_checkpoint(tmp_path / "a", arrays, None, saved.folder / "pipeline.config")
        assert "is not a checkpoint of TensorFlow 2" in self.refused(folder)

    def test_a_checkpoint_of_something_else(self, saved: SavedModel, tmp_path: Path) -> None:
        arrays = {"step": np.zeros(3, np.float32)}
        folder = save_checkpoint(tmp_path / "a", arrays, saved.graph, saved.folder / "pipeline.config")
        assert "lacks the variable model/_box_predictor/_prediction_heads" in self.refused(folder)
        broken = save_checkpoint(tmp_path / "b", arrays, b"\xff" * 50, saved.folder / "pipeline.config")
        assert "is damaged: what it says about its objects cannot be read" in self.refused(broken)
        empty = save_checkpoint(tmp_path / "c", arrays, b"", saved.folder / "pipeline.config")
        assert "is damaged: it holds no objects" in self.refused(empty)

    def test_damaged_files(self, saved: SavedModel, tmp_path: Path) -> None:
        folder = saved.save(tmp_path / "a")
        data = folder / "checkpoint" / "ckpt-0.data-00000-of-00001"
        whole = data.read_bytes()
        data.write_bytes(whole[: len(whole) // 2])
        assert "checkpoint/ckpt-0 " in self.refused(folder).replace("\\", "/")
        data.write_bytes(whole[:10_000] + bytes(5000) + whole[15_000:])
        assert "cannot be read as a checkpoint of TensorFlow 2" in self.refused(folder)
        data.unlink()
        assert "expected ckpt-0.index and ckpt-0.data-00000-of-00001 beside each other" in self.refused(folder)
        data.write_bytes(whole)
        index = folder / "checkpoint" / "ckpt-0.index"
        index.write_bytes(b"nothing" * 100)
        assert "cannot be read as a checkpoint of TensorFlow 2" in self.refused(folder)
        with index.open("wb") as stream:
            stream.truncate(17 * 2**20)
        assert "is larger than any model" in self.refused(folder)

    def test_an_output_that_exists_is_never_touched(self, saved: SavedModel, tmp_path: Path) -> None:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "mine").touch()
        with pytest.raises(RetinaJError, match="already exists"):
            import_tf2(tmp_path / "nowhere", tmp_path / "model", log=lambda _: None)
        assert [path.name for path in (tmp_path / "model").iterdir()] == ["mine"]
