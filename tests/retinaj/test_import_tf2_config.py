"""pipeline.config of the TF2 Object Detection API: what it asks for, and what RetinaJ does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from retinaj.annotations import label_map
from retinaj.errors import RetinaJError
from retinaj.importing.pipeline import Pipeline, read_pipeline
from retinaj.importing.tf2_model import class_names, find_checkpoint, find_config

LITE = Path(__file__).parent / "data" / "tf2_models" / "mobilenet-v2-fpnlite" / "pipeline.config"
RESNET = LITE.parents[1] / "resnet50-other-options" / "pipeline.config"


def changed(folder: Path, old: str, new: str, source: Path = LITE) -> Path:
    """A pipeline.config in which `new` stands for `old`."""
    text = source.read_text()
    assert old in text
    path = folder / "pipeline.config"
    path.write_text(text.replace(old, new))
    return path


class TestPipeline:
    def test_a_model_of_the_zoo(self) -> None:
        pipeline = read_pipeline(LITE)
        network = pipeline.network
        assert (network.backbone, network.num_classes, network.channels) == ("mobilenet_v2", 90, 3)
        assert (network.pyramid_width, network.head_depth, network.separable, network.norm) == (128, 4, True, "batch")
        assert list(network.anchors.levels) == [3, 4, 5, 6, 7]
        assert network.anchors.base == 4
        assert network.anchors.scales == (1, 2**0.5)
        assert network.anchors.aspect_ratios == (1, 0.5, 2)
        assert (network.overlap, network.max_detections, network.score_floor) == (0.6, 100, 1e-8)
        assert network.fill == (-0.0078125,) * 3  # 127.5, which is 0 to it
        layout = network.tf2
        assert layout is not None
        assert layout.separable_pyramid
        assert layout.shared_tower
        assert layout.head_width == 128
        assert layout.backbone == layout.pyramid == layout.heads
        assert (layout.heads.activation, layout.heads.epsilon) == ("relu6", 0.001)
        assert pipeline.background
        assert pipeline.box_scales == (10, 10, 5, 5)
        assert pipeline.scaled == {"backbone": True, "pyramid": True, "heads": True}
        assert pipeline.side == 384
        assert pipeline.resizer == "to 384 x 256 pixels"
        assert pipeline.label_maps == ("PATH_TO_BE_CONFIGURED/label_map.txt",)
        assert pipeline.notes == ()

    def test_a_backbone_that_keeps_its_own_settings(self) -> None:
        pipeline = read_pipeline(RESNET)
        layout = pipeline.network.tf2
        assert layout is not None
        assert (layout.backbone.activation, layout.backbone.epsilon) == ("relu", 1e-5)
        assert (layout.pyramid.activation, layout.pyramid.epsilon) == ("relu6", 0.01)
        assert not layout.separable_pyramid
        assert pipeline.network.separable
        assert not pipeline.background
        assert pipeline.box_scales == (5, 8, 2, 3)
        assert pipeline.network.fill == (123.68 / 64 - 2, 116.779 / 64 - 2, 103.939 / 64 - 2)

    def test_what_is_left_out_has_the_defaults_of_the_api(self, tmp_path: Path) -> None:
        path = tmp_path / "pipeline.config"
        path.write_text(
            """model { ssd {
            num_classes: 1
            box_coder { faster_rcnn_box_coder { } }
            anchor_generator { multiscale_anchor_generator { aspect_ratios: 1 } }
            image_resizer { keep_aspect_ratio_resizer { } }
            feature_extractor { type: "ssd_resnet50_v1_fpn_keras" conv_hyperparams { batch_norm { } } }
            box_predictor { weight_shared_convolutional_box_predictor { conv_hyperparams { batch_norm { } } } }
            post_processing { score_converter: SIGMOID batch_non_max_suppression { } } } }"""
        )
        pipeline = read_pipeline(path)
        network = pipeline.network
        assert (network.pyramid_width, network.head_depth, network.separable) == (256, 0, False)
        assert (network.anchors.min_level, network.anchors.max_level, network.anchors.base) == (3, 7, 4)
        assert len(network.anchors.scales) == 2
        assert (network.overlap, network.max_detections) == (0.6, 100)
        assert network.tf2 is not None
        assert not network.tf2.shared_tower
        assert (network.tf2.heads.activation, network.tf2.heads.epsilon) == ("relu", 0.001)
        assert pipeline.background
        assert pipeline.box_scales == (10, 10, 5, 5)
        assert pipeline.scaled == {"backbone": True, "pyramid": False, "heads": False}
        assert pipeline.resizer == "to a shorter side of 600 pixels, or a longer one of 1024 if that is less"
        assert pipeline.side == 1024

    def test_the_pyramid_of_a_resnet_is_the_one_that_the_api_builds(self, tmp_path: Path) -> None:
        """Whatever `fpn` says: the API's ResNets do not pass it on."""
        path = changed(tmp_path, "additional_layer_depth: 256", "additional_layer_depth: 64", RESNET)
        assert read_pipeline(path).network.pyramid_width == 256
        path = changed(tmp_path, "min_level: 3", "min_level: 2", RESNET)
        with pytest.raises(RetinaJError, match=r"multiscale_anchor_generator\.min_level is 2; .* in which it is 3"):
            read_pipeline(path)

    def test_a_limit_for_each_class_is_told(self, tmp_path: Path) -> None:
        pipeline = read_pipeline(changed(tmp_path, "max_detections_per_class: 100", "max_detections_per_class: 20"))
        assert pipeline.notes == ("The API reports at most 20 objects of a class; RetinaJ only limits all together, to 100.",)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("model { ssd {", "model { faster_rcnn {", "model is faster_rcnn; RetinaJ imports only models in which it is ssd"),
            ("mobilenet_v2_fpn", "mobilenet_v2", "feature_extractor.type is 'ssd_mobilenet_v2_keras'; "),
            ("faster_rcnn_box_coder", "keypoint_box_coder", "model.ssd.box_coder is keypoint_box_coder; "),
            ("multiscale_anchor_generator", "ssd_anchor_generator", "model.ssd.anchor_generator is ssd_anchor_generator; "),
            ("fixed_shape_resizer", "identity_resizer", "model.ssd.image_resizer is identity_resizer; "),
            ("weight_shared_conv", "conv", "model.ssd.box_predictor is convolutional_box_predictor; "),
            ("depth_multiplier: 1.0", "depth_multiplier: 0.75", "feature_extractor.depth_multiplier is 0.75; "),
            ("min_depth: 16", "min_depth: 32", "feature_extractor.min_depth is '32'; "),
            ("min_depth: 16", "use_explicit_padding: true", "feature_extractor.use_explicit_padding is true; "),
            ("min_depth: 16", "pad_to_multiple: 33", "feature_extractor.pad_to_multiple is 33; "),
            ("min_depth: 16", "bifpn { }", "feature_extractor.bifpn is given; "),
            ("max_level: 7  add", "max_level: 4  add", "feature_extractor.fpn.max_level is '4'; "),
            ("max_level: 7  anchor", "max_level: 6  anchor", "multiscale_anchor_generator.max_level is 6; "),
            ("activation: RELU_6", "activation: SWISH", "feature_extractor.conv_hyperparams.activation is SWISH; "),
            ("batch_norm {", "group_norm {", "feature_extractor.conv_hyperparams.batch_norm is left out; "),
            ("scale: true,", "center: false", "feature_extractor.conv_hyperparams.batch_norm.center is false; "),
            ("activation: RELU_6,", "force_use_bias: true", "feature_extractor.conv_hyperparams.force_use_bias is true; "),
            ("kernel_size: 3", "kernel_size: 1", "box_predictor.weight_shared_convolutional_box_predictor.kernel_size is 1; "),
            ("kernel_size: 3", "box_encodings_clip_range { min: -1 max: 1 }", "box_encodings_clip_range is given; "),
            ("  depth: 128", "  depth: 100", "weight_shared_convolutional_box_predictor.depth is 100; "),
            ("depth: 128", "depth: 4096", "additional_layer_depth is '4096'; "),
            ("converter: SIGMOID", "converter: SOFTMAX", "post_processing.score_converter is IDENTITY and SOFTMAX; "),
            ("score_converter: SIGMOID", "", "post_processing.score_converter is IDENTITY and IDENTITY; "),
            ("score_converter: SIGMOID", "score_converter: SIGMOID logit_scale: 2", "post_processing.logit_scale is 2.0; "),
            ("iou_threshold: 0.6", "soft_nms_sigma: 0.5", "batch_non_max_suppression.soft_nms_sigma is 0.5; "),
            ("iou_threshold: 0.6", "use_class_agnostic_nms: true", "use_class_agnostic_nms is true; "),
            ("num_classes: 90", "num_classes: 0", "model.ssd.num_classes is '0'; "),
            ("num_classes: 90", "num_classes: 2.5", "model.ssd.num_classes is 2.5; "),
            ("num_classes: 90", "num_classes: 1 num_classes: 2", "model.ssd.num_classes is given 2 times; expected once."),
            ("num_classes: 90", "num_classes { }", "model.ssd.num_classes is a message in braces; "),
            ("[1.0, 2.0, 0.5]", "[1.0, nan]", "aspect_ratios is 'nan'; "),
            ("[1.0, 2.0, 0.5]", "[]", "aspect_ratios is 0 values; "),
            ("share_prediction_tower: true", "share_prediction_tower: 7", "share_prediction_tower is '7'; "),
            ("height: 256", "convert_to_grayscale: true height: 256", "fixed_shape_resizer.convert_to_grayscale is true; "),
        ],
    )
    def test_what_retinaj_does_not_have_is_one_error_that_names_the_field(
        self, tmp_path: Path, old: str, new: str, message: str
    ) -> None:
        path = changed(tmp_path, old, new)
        with pytest.raises(RetinaJError) as caught:
            read_pipeline(path)
        assert str(caught.value).startswith(f"{path}: model")
        assert message in str(caught.value)


class TestClassNames:
    @pytest.fixture
    def pipeline(self) -> Pipeline:
        return read_pipeline(RESNET)

    def test_without_a_label_map_they_are_numbered(self, pipeline: Pipeline) -> None:
        said: list[str] = []
        assert class_names(pipeline, RESNET, None, said.append) == ("class 1", "class 2", "class 3")
        assert said == [
            "The classes have no names (PATH_TO_BE_CONFIGURED/label_map.txt is not there): they are called class 1 to class 3. "
            "Give a label map with --label-map."
        ]

    def test_the_one_that_the_configuration_names_is_taken_where_it_exists(self, tmp_path: Path) -> None:
        label_map.write(tmp_path / "cells.pbtxt", ["red", "white", "platelet"])
        path = changed(tmp_path, "PATH_TO_BE_CONFIGURED/label_map.txt", "cells.pbtxt", RESNET)
        said: list[str] = []
        assert class_names(read_pipeline(path), path, None, said.append) == ("red", "white", "platelet")
        assert said == [f"Names of the classes from {tmp_path / 'cells.pbtxt'}."]

    def test_numbers_without_a_name_keep_their_place(self, pipeline: Pipeline, tmp_path: Path) -> None:
        path = tmp_path / "labels.pbtxt"
        path.write_text("item { id: 3 name: 'x' display_name: 'cell' } item { id: 1 name: 'dust' }")
        assert class_names(pipeline, RESNET, path, lambda _: None) == ("dust", "class 2", "cell")

    def test_a_label_map_of_another_model(self, pipeline: Pipeline, tmp_path: Path) -> None:
        label_map.write(tmp_path / "more.pbtxt", ["a", "b", "c", "d"])
        with pytest.raises(RetinaJError, match="'d' has the id 4, but the model has 3 classes"):
            class_names(pipeline, RESNET, tmp_path / "more.pbtxt", lambda _: None)
        label_map.write(tmp_path / "twice.pbtxt", ["a", "b", "a"])
        with pytest.raises(RetinaJError, match="two classes are called 'a'"):
            class_names(pipeline, RESNET, tmp_path / "twice.pbtxt", lambda _: None)


class TestFinding:
    def test_the_last_checkpoint_is_taken(self, tmp_path: Path) -> None:
        for name in ("ckpt-2.index", "ckpt-10.index", "ckpt-9.index", "ckpt-x.index", "ckpt-11.data-00000-of-00001"):
            (tmp_path / name).touch()
        assert find_checkpoint(tmp_path) == tmp_path / "ckpt-10"
        (tmp_path / "checkpoint").mkdir()
        (tmp_path / "checkpoint" / "ckpt-0.index").touch()
        assert find_checkpoint(tmp_path) == tmp_path / "checkpoint" / "ckpt-0"

    def test_the_configuration_lies_in_the_folder_or_beside_it(self, tmp_path: Path) -> None:
        (tmp_path / "checkpoint").mkdir()
        with pytest.raises(RetinaJError, match=r"has no pipeline\.config.*--pipeline-config"):
            find_config(tmp_path / "checkpoint")
        (tmp_path / "pipeline.config").touch()
        assert find_config(tmp_path / "checkpoint") == find_config(tmp_path) == tmp_path / "pipeline.config"

    def test_what_is_no_checkpoint(self, tmp_path: Path) -> None:
        with pytest.raises(RetinaJError, match="nowhere does not exist; expected the folder of a model"):
            find_checkpoint(tmp_path / "nowhere")
        with pytest.raises(RetinaJError, match=r"has no checkpoint: expected files such as checkpoint/ckpt-0\.index"):
            find_checkpoint(tmp_path)
        (tmp_path / "saved_model.pb").touch()
        with pytest.raises(RetinaJError, match="holds a frozen model; expected its checkpoint"):
            find_checkpoint(tmp_path)
        with pytest.raises(RetinaJError, match="is a file"):
            find_checkpoint(tmp_path / "saved_model.pb")
