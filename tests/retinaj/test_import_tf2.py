"""Models that the TF2 Object Detection API made say the same in RetinaJ as they did there. See data/tf2_models/README.md."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tf2_checkpoints import VALUE, SavedModel, save_checkpoint
from tiny_models import as_image, tiny_record
from typer.testing import CliRunner

from retinaj.cli import app
from retinaj.errors import RetinaJError
from retinaj.importing.checkpoint import Checkpoint, SavedObjects
from retinaj.importing.pipeline import Pipeline, read_pipeline
from retinaj.importing.tf2_model import import_tf2
from retinaj.importing.tf2_weights import imported_arrays, match_variables, require_classes
from retinaj.model_folder import ModelRecord, StartRecord, load_network, parse_record
from retinaj.network.config import NetworkConfig
from retinaj.network.detection import clip_to_image, network_input, select_detections
from retinaj.network.retinanet import build_network, flatten_levels
from retinaj.normalization import FixedScale
from retinaj.prediction import open_model
from retinaj.training.freezing import freeze
from retinaj.training.settings import TrainingSettings
from retinaj.training.start import StartingPoint
from retinaj.weights_file import assign_arrays

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
    """A fixture, and what RetinaJ makes of it."""

    saved: SavedModel
    pipeline: Pipeline
    network: Any
    outputs: dict[str, list[Any]]


@dataclass(frozen=True)
class Folder(Imported):
    """The same, as a model folder."""

    path: Path
    record: ModelRecord
    log: tuple[str, ...]


@pytest.fixture(scope="module", params=COMPARED)
def imported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    if request.param == SMALL:
        return request.getfixturevalue("small")
    saved = SavedModel.named(request.param)
    folder = saved.save(tmp_path_factory.mktemp("saved") / "model")
    pipeline = read_pipeline(folder / "pipeline.config")
    network = build_network(pipeline.network)
    assign_arrays(network, imported_arrays(Checkpoint(folder / "checkpoint" / "ckpt-0"), pipeline, network))
    shutil.rmtree(folder)
    return Imported(saved, pipeline, network, outputs_of(network, pipeline.network, saved.image))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    saved = SavedModel.named(SMALL)
    work = tmp_path_factory.mktemp("small")
    done = CliRunner().invoke(app, ["import-tf2", str(saved.save(work / "saved")), "--output", str(work / "model")])
    assert done.exit_code == 0, done.output
    record, network = load_network(work / "model")
    pipeline = read_pipeline(saved.folder / "pipeline.config")
    outputs = outputs_of(network, record.network, saved.image)
    return Folder(saved, pipeline, network, outputs, work / "model", record, tuple(done.output.splitlines()))


def outputs_of(network: Any, config: NetworkConfig, image: NDArray[np.uint8]) -> dict[str, list[Any]]:
    """What a network says about an image."""
    return network(network_input(FixedScale()(image)[None], config), training=False)


def in_our_order(rows: NDArray[Any], config: NetworkConfig) -> NDArray[Any]:
    """[A, values] by cell, aspect ratio and scale, as the API has them, by cell, scale and aspect ratio."""
    cells = rows.reshape(-1, len(config.anchors.aspect_ratios), len(config.anchors.scales), rows.shape[-1])
    return cells.swapaxes(1, 2).reshape(rows.shape)


def sampled(rows: NDArray[Any], model: Imported) -> NDArray[Any]:
    """Of all anchors in our order, those that the fixture has, in its order."""
    numbers = in_our_order(np.arange(len(rows))[:, None], model.pipeline.network)[:, 0]
    return rows[np.argsort(numbers)[model.saved.said["anchors"]]]


class TestOutputs:
    def test_class_logits_are_those_of_the_api(self, imported: Imported) -> None:
        logits = np.asarray(flatten_levels(imported.outputs["class_logits"], imported.pipeline.network.num_classes))[0]
        expected = imported.saved.said["classes"][:, int(imported.pipeline.background) :]
        assert expected.std() > 0.1
        assert np.abs(sampled(logits, imported) - expected).max() <= 1e-4

    def test_boxes_are_those_of_the_api(self, imported: Imported) -> None:
        deltas = np.asarray(flatten_levels(imported.outputs["box_deltas"], 4))[0]
        encodings = deltas[:, [1, 0, 3, 2]] * np.array(imported.pipeline.box_scales, np.float32)
        expected = imported.saved.said["encodings"]
        assert expected.std() > 0.1
        assert np.abs(sampled(encodings, imported) - expected).max() <= 1e-4

    def test_detections_are_those_of_the_api(self, imported: Imported) -> None:
        config, image, said = imported.pipeline.network, imported.saved.image, imported.saved.said
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

    def test_the_output_depends_on_the_image(self, small: Folder) -> None:
        logits = outputs_of(small.network, small.record.network, small.saved.image[::-1].copy())["class_logits"][0]
        assert np.abs(logits - small.outputs["class_logits"][0]).max() > 0.1

    @pytest.mark.parametrize("name", ["resnet101-v1-fpn", "resnet152-v1-fpn"])
    def test_every_variable_of_the_large_ones_has_its_place(self, name: str) -> None:
        saved = SavedModel.named(name)
        pipeline = read_pipeline(saved.folder / "pipeline.config")
        network = build_network(pipeline.network)
        matched = match_variables(SavedObjects(saved.graph, saved.shapes, name), pipeline, network)
        assert {stored.key for _, stored in matched.values() if stored} == {key for key in saved.shapes if saved.shapes[key]}
        background = pipeline.network.anchors.per_cell * (3 * 3 * 256 + 1)
        assert network.count_params() == sum(math.prod(shape) for shape in saved.shapes.values() if shape) - background


class TestModelFolder:
    def test_it_is_told_what_differs(self, small: Folder) -> None:
        assert small.log[1].startswith("Imported ")
        assert small.log[1].endswith(f"(ssd_mobilenet_v2_fpn_keras, 3 classes) as {small.path}.")
        assert small.log[2].startswith("The API resizes every image to 384 x 256 pixels first. RetinaJ detects at the size")

    def test_the_record_says_where_it_comes_from(self, small: Folder) -> None:
        source = small.record.training.imported_from
        assert source is not None
        assert (source.program, source.model) == ("TF2 Object Detection API", "ssd_mobilenet_v2_fpn_keras")
        assert (source.checkpoint, source.resizer) == ("ckpt-0", "to 384 x 256 pixels")
        assert parse_record(small.record.model_dump_json(), "x") == small.record

    def test_a_model_of_another_size_detects_in_image_coordinates(self, small: Folder) -> None:
        detector = open_model(small.path)
        larger = np.pad(small.saved.image, ((0, 45), (0, 67), (0, 0)), mode="edge")
        boxes = detector.detect(as_image(larger), threshold=0.5)
        assert len(boxes) > 10
        assert boxes.xyxy[:, 2].max() <= 384 + 67
        assert boxes.xyxy[:, 3].max() <= 256 + 45

    def test_training_can_go_on_with_other_classes(self, small: Folder) -> None:
        start = StartingPoint.of_folder(small.path)
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
        said = outputs_of(network, config, small.saved.image)
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


class TestMatching:
    """A checkpoint that is not what pipeline.config describes."""

    def refused(self, small: Imported, shapes: dict[str, tuple[int, ...]], graph: bytes | None = None) -> str:
        objects = SavedObjects(graph or small.saved.graph, shapes, "ckpt-0")
        with pytest.raises(RetinaJError) as caught:
            match_variables(objects, small.pipeline, small.network)
        return str(caught.value)

    def test_variables_that_it_lacks_are_named(self, small: Imported) -> None:
        lost = "model/_feature_extractor/_fpn_features_generator/top_layers/0/bias"
        shapes = {key: shape for key, shape in small.saved.shapes.items() if key != lost + VALUE}
        assert self.refused(small, shapes) == f"ckpt-0 is not the model that pipeline.config describes: it lacks {lost}."

    def test_variables_that_it_has_besides_are_named(self, small: Imported) -> None:
        more = {f"model/_mask_head/{number}/kernel{VALUE}": (3,) for number in range(7)}
        assert self.refused(small, small.saved.shapes | more).endswith(
            "it also has model/_mask_head/0/kernel, model/_mask_head/1/kernel, model/_mask_head/2/kernel, "
            "model/_mask_head/3/kernel, model/_mask_head/4/kernel and 2 more."
        )

    def test_what_an_optimizer_keeps_does_not_matter(self, small: Imported) -> None:
        kept = {f"model/_box_predictor/x/.OPTIMIZER_SLOT/optimizer/m{VALUE}": (3,), f"optimizer/momentum{VALUE}": (3,)}
        objects = SavedObjects(small.saved.graph, small.saved.shapes | kept, "ckpt-0")
        assert len(match_variables(objects, small.pipeline, small.network)) == len(small.network.variables)

    def test_other_shapes_are_named(self, small: Imported) -> None:
        name = "model/_feature_extractor/classification_backbone/layer_with_weights-2/depthwise_kernel"
        message = self.refused(small, small.saved.shapes | {name + VALUE: (5, 5, 32, 1)})
        assert message.endswith(f"{name} has the shape (5, 5, 32, 1), expected (3, 3, 32, 1).")

    def test_layers_in_another_order_are_named(self, small: Imported) -> None:
        graph = small.saved.graph.replace(b"block_1_expand/kernel", b"block_2_expand/kernel")
        assert graph != small.saved.graph
        message = self.refused(small, small.saved.shapes, graph)
        assert message.endswith("was made as 'block_2_expand/kernel', expected 'block_1_expand'.")

    def test_another_number_of_classes_is_seen_before_anything_is_built(self, small: Imported) -> None:
        network = small.pipeline.network.model_copy(update={"num_classes": 9999})
        objects = SavedObjects(small.saved.graph, small.saved.shapes, "ckpt-0")
        with pytest.raises(
            RetinaJError, match=r"has \(16,\) outputs; pipeline.config says \(40000,\), for 4 anchors of a cell"
        ):
            require_classes(objects, replace(small.pipeline, network=network))

    def test_a_model_of_another_kind(self, small: Imported) -> None:
        objects = SavedObjects(small.saved.graph, {f"step{VALUE}": ()}, "ckpt-0")
        with pytest.raises(RetinaJError, match="ckpt-0 lacks the variable model/_box_predictor/_prediction_heads"):
            require_classes(objects, small.pipeline)

    @pytest.mark.parametrize(("graph", "message"), [(b"\xff" * 50, "cannot be read"), (b"", "holds no objects")])
    def test_objects_that_are_damaged(self, graph: bytes, message: str) -> None:
        with pytest.raises(RetinaJError, match=f"ckpt-0 is damaged: .*{message}"):
            SavedObjects(graph, {}, "ckpt-0")


class TestFiles:
    """Checkpoints whose files are not as they should be."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        values = {"a": np.arange(5000, dtype=np.float32), "nan": np.full(2, np.nan, np.float32), "double": np.zeros(2)}
        arrays: dict[str, NDArray[Any]] = {f"model/{name}{VALUE}": array for name, array in values.items()}
        saved = SavedModel.named(SMALL)
        return save_checkpoint(tmp_path / "saved", arrays, saved.graph, saved.folder / "pipeline.config")

    def test_values_are_read(self, folder: Path) -> None:
        checkpoint = Checkpoint(folder / "checkpoint" / "ckpt-0")
        assert checkpoint.read(f"model/a{VALUE}").tolist() == list(range(5000))
        with pytest.raises(RetinaJError, match="has values that are not numbers"):
            checkpoint.read(f"model/nan{VALUE}")
        with pytest.raises(RetinaJError, match="is float64; expected float32"):
            checkpoint.read(f"model/double{VALUE}")

    def test_a_checkpoint_of_tensorflow_1(self, tmp_path: Path) -> None:
        arrays = {"FeatureExtractor/MobilenetV2/Conv/weights": np.zeros((3, 3, 3, 32), np.float32)}
        folder = save_checkpoint(tmp_path / "a", arrays, None, SavedModel.named(SMALL).folder / "pipeline.config")
        with pytest.raises(RetinaJError, match="is not a checkpoint of TensorFlow 2"):
            Checkpoint(folder / "checkpoint" / "ckpt-0")

    def test_damaged_data(self, folder: Path) -> None:
        prefix = folder / "checkpoint" / "ckpt-0"
        data = prefix.with_name("ckpt-0.data-00000-of-00001")
        whole = data.read_bytes()
        place = whole.index(np.arange(5000, dtype=np.float32).tobytes())
        data.write_bytes(whole[: place + 40] + bytes(400) + whole[place + 440 :])
        with pytest.raises(RetinaJError, match="ckpt-0 cannot be read as a checkpoint of TensorFlow 2: "):
            Checkpoint(prefix).read(f"model/a{VALUE}")
        data.write_bytes(whole[:10])
        with pytest.raises(RetinaJError, match="ckpt-0 cannot be read as a checkpoint of TensorFlow 2: "):
            Checkpoint(prefix).read(f"model/a{VALUE}")
        data.unlink()
        with pytest.raises(RetinaJError, match=r"expected ckpt-0\.index and ckpt-0\.data-00000-of-00001 beside each other"):
            Checkpoint(prefix)

    def test_a_damaged_index(self, folder: Path) -> None:
        index = folder / "checkpoint" / "ckpt-0.index"
        index.write_bytes(b"nothing" * 100)
        with pytest.raises(RetinaJError, match="ckpt-0 cannot be read as a checkpoint of TensorFlow 2: "):
            Checkpoint(index.with_suffix(""))
        with index.open("wb") as stream:
            stream.truncate(17 * 2**20)
        with pytest.raises(RetinaJError, match="is larger than any model"):
            Checkpoint(index.with_suffix(""))

    def test_nothing_is_written_when_it_fails(self, folder: Path) -> None:
        with pytest.raises(RetinaJError, match="lacks the variable"):
            import_tf2(folder, folder / "model", log=lambda _: None)
        assert sorted(path.name for path in folder.iterdir()) == ["checkpoint", "pipeline.config"]

    def test_an_output_that_exists_is_never_touched(self, tmp_path: Path) -> None:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "mine").touch()
        with pytest.raises(RetinaJError, match="already exists"):
            import_tf2(tmp_path / "nowhere", tmp_path / "model", log=lambda _: None)
        assert [path.name for path in (tmp_path / "model").iterdir()] == ["mine"]
